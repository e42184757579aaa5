//! Hands the linker the order of the code, which matters to starts and memory
//! of release builds only.

use std::env;

fn main() {
    let order = "resources/link/order.ld";
    println!("cargo::rerun-if-changed={order}");
    if env::var("PROFILE").is_ok_and(|profile| profile == "release")
        && let Ok(folder) = env::var("CARGO_MANIFEST_DIR")
    {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{folder}/{order}");
    }
}
