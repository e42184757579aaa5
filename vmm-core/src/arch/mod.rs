//! What depends on the processor architecture. Kiln runs on x86-64 only.

pub mod x86_64;
