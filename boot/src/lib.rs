//! Kernel loaders, boot protocols and ACPI tables. Knows no devices.
#![forbid(unsafe_code)]
