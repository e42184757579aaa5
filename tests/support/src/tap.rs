use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

/// A tap interface of the host, up and with an address; gone when dropped.
pub struct Tap {
    name: String,
    address: String,
}

impl Tap {
    /// A tap with this address, such as "10.9.8.1/24". `None`, saying why,
    /// where this process may not make one.
    ///
    /// # Panics
    /// If it may, and yet it fails.
    pub fn new(address: &str) -> Option<Self> {
        Self::make(address, &[])
    }

    /// The same with several queues.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn with_queues(address: &str) -> Option<Self> {
        Self::make(address, &["multi_queue"])
    }

    fn make(address: &str, flags: &[&str]) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: only root may make a tap interface");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("kt{}x{number}", process::id());
        ip(&[&["tuntap", "add", "dev", &name, "mode", "tap"], flags].concat());
        let tap = Self { name, address: address.to_owned() };
        ip(&["addr", "add", address, "dev", &tap.name]);
        ip(&["link", "set", &tap.name, "up"]);
        Some(tap)
    }

    /// What has a guest reach the host: its eth0 has the tap's address but for
    /// the last number, which is 2, and is up.
    ///
    /// # Panics
    /// If the tap's address is not an IPv4 address with a length.
    pub fn guest_setup(&self) -> String {
        let (address, length) = self.address.split_once('/').expect("an address has a length");
        let (network, _) = address.rsplit_once('.').expect("it is an IPv4 address");
        format!("ip addr add {network}.2/{length} dev eth0; ip link set eth0 up")
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // A test that is failing already should not abort.
        let _ = Command::new("ip").args(["link", "delete", &self.name]).status();
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output();
    let output = output.expect("the command `ip` (package iproute2) can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`ip {}` failed: {said}", arguments.join(" "));
}
