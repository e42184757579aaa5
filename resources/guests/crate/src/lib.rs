//! What a test finds out about where it runs. `cargo test -- --nocapture`
//! shows it.

#[cfg(test)]
mod tests {
    use std::{env, fs};

    #[test]
    fn it_says_where_it_runs() {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        println!("release={}", release.trim());
        println!("folder={}", env::current_dir().unwrap().display());
        println!("manifest={}", fs::read_to_string("Cargo.toml").unwrap().lines().count());
        println!("version={}", env::var("CARGO_PKG_VERSION").unwrap());
    }

    #[test]
    fn it_does_as_it_is_told() {
        assert!(env::var_os("TRAVELLER_FAILS").is_none(), "told to fail");
    }
}
