use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use testing::{USER, busybox};

use super::page::commands;

/// A host and the network that it is on, each a network namespace, with a
/// cable between them. Gone when dropped.
pub(crate) struct Place {
    /// The host, 192.0.2.10, to which the page's commands are given.
    pub(crate) host: String,
    /// A router, 192.0.2.1, that knows of nothing behind the host.
    pub(crate) router: String,
}

impl Place {
    /// A new one. `None`, saying why, where this process may not make it.
    ///
    /// # Panics
    /// If it may, and yet it fails.
    pub(crate) fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: only root may make network namespaces");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let [host, router] = ["host", "router"].map(|n| format!("{n}-{}-{number}", process::id()));
        run("ip", &["netns", "add", &host]);
        run("ip", &["netns", "add", &router]);
        let place = Self { host, router };
        let cable = format!(
            "ip link add eth0 netns {} type veth peer name eth0 netns {}",
            place.host, place.router
        );
        run("sh", &["-c", &cable]);
        place.on_host("ip link set lo up; ip addr add 192.0.2.10/24 dev eth0");
        place.on_host("ip link set eth0 up; ip route add default via 192.0.2.1");
        place.on_router("ip link set lo up; ip addr add 192.0.2.1/24 dev eth0");
        place.on_router("ip link set eth0 up");
        Some(place)
    }

    /// Does on the host what the page says under `name`.
    pub(crate) fn follow(&self, name: &str) {
        self.on_host(&commands(name));
    }

    /// Has programs on the host ask that name server.
    ///
    /// # Panics
    /// If it cannot be written down.
    pub(crate) fn resolve_by(&self, address: &str) {
        // What `ip netns exec` shows as /etc/resolv.conf.
        let folder = self.settings();
        fs::create_dir_all(&folder).expect("root can make a folder in /etc");
        fs::write(folder.join("resolv.conf"), format!("nameserver {address}\n"))
            .expect("the folder can be written to");
    }

    fn settings(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.host)
    }

    /// Runs a script on the host.
    pub(crate) fn on_host(&self, script: &str) -> String {
        inside(&self.host, script)
    }

    /// Runs a script on the router.
    pub(crate) fn on_router(&self, script: &str) -> String {
        inside(&self.router, script)
    }

    /// Whether the host has an answer from this address.
    pub(crate) fn host_reaches(&self, address: &str) -> bool {
        reaches(&self.host, address)
    }

    /// Whether the router has an answer from this address.
    pub(crate) fn router_reaches(&self, address: &str) -> bool {
        reaches(&self.router, address)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for namespace in [&self.host, &self.router] {
            // A test that is failing already should not abort.
            let _ = Command::new("ip").args(["netns", "delete", namespace]).status();
        }
        // Most places have none.
        let _ = fs::remove_dir_all(self.settings());
    }
}

/// A script in a network namespace, which ends at the first command to fail;
/// returns what it printed.
fn inside(namespace: &str, script: &str) -> String {
    let script = format!("owner={USER} uplink=eth0\n{script}");
    run("ip", &["netns", "exec", namespace, "sh", "-euc", &script])
}

fn reaches(namespace: &str, address: &str) -> bool {
    let mut ping = Command::new("ip");
    ping.args(["netns", "exec", namespace]).arg(busybox());
    ping.args(["ping", "-c", "3", "-W", "4", address]);
    ping.output().expect("`ip` can be run").status.success()
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{program} {}` failed: {said}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
