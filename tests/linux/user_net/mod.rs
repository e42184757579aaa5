//! Networks of a user without rights: `--net user`. The host is a network
//! namespace with a way out, and Kiln runs there as a user without any
//! capability, in the lab at least.

mod ending;
mod forward;
mod services;
mod transfer;

use testing::{Guest, in_lab, kernel, patiently};

use crate::networks::place::Place;
use crate::report::Report;
use crate::{MINIMAL, POWERED_OFF};
use services::{answer_names, echo};

/// What the guest's DHCP client does with what it is given.
const DHCP: &str = r#"
mkdir -p /etc
cat >/bin/lease <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev $interface
ip route add default via $router
for server in $dns; do echo nameserver $server; done >/etc/resolv.conf
END
chmod +x /bin/lease
mkfifo /open; exec 3<>/open
# A client that waits for the other to close: passt of 2023 does not tell one
# that has closed its own direction.
ask() { echo "$1" >&3; nc $2 $3 <&3; }
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -n -q -s /bin/lease >/dev/null && echo lease=yes
"#;

/// A guest with `--net user` and these further options, which has its lease
/// before it runs `script`.
fn guest(place: &Place, options: &str, programs: &[&str], script: &str) -> Guest {
    let script = format!("{DHCP}{script}\npoweroff -f");
    let guest = Guest::linux_with_programs(&kernel(MINIMAL), programs, &script).append("quiet");
    let guest = guest.arg("--net").arg(format!("user{options}")).inside(&place.host);
    // Elsewhere files may be out of another user's reach.
    if in_lab() { guest.unprivileged() } else { guest }
}

/// An address beyond the host. Not the router's: passt has that one stand for
/// the host's own loopback.
const WORLD: &str = "192.0.2.2";

/// A host with a way to the world, whose programs may ping.
fn place() -> Option<Place> {
    let place = Place::new()?;
    place.on_router("ip addr add 192.0.2.2/24 dev eth0");
    place.on_host("sysctl -w net.ipv4.ping_group_range='0 2147483647'");
    Some(place)
}

#[test]
fn a_user_without_rights_gets_addresses_names_connections_and_echoes() {
    patiently(|| {
        let Some(place) = place() else { return };
        place.resolve_by("127.0.0.53");
        answer_names(&place.host, "127.0.0.53", [10, 1, 1, 1]);
        answer_names(&place.router, WORLD, [10, 2, 2, 2]);
        let port = echo(&place.router, WORLD);
        let script = format!(
            "echo address=$(ip -o addr show eth0 | awk '$3 == \"inet\" {{print $4}}')
            echo router=$(ip route | awk '/^default/ {{print $3}}')
            echo mtu=$(cat /sys/class/net/eth0/mtu)
            echo name=$(nslookup host.test | awk '/^Address: / {{print $2}}')
            echo other=$(nslookup host.test {WORLD} | awk '/^Address: / {{print $2}}')
            echo echo=$(ask 'to and fro' {WORLD} {port})
            ping -c 3 {WORLD} >/dev/null && echo ping=yes"
        );
        let outcome = guest(&place, "", &[], &script).run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        // The host's own address and router.
        assert_eq!(report.one("address"), "192.0.2.10/24", "{outcome}");
        assert_eq!(report.one("router"), "192.0.2.1");
        assert_eq!(report.one("mtu"), "65520");
        assert_eq!(report.one("name"), "10.1.1.1", "{outcome}");
        assert_eq!(report.one("other"), "10.2.2.2", "{outcome}");
        assert_eq!(report.one("echo"), "to and fro", "{outcome}");
        assert_eq!(report.one("ping"), "yes", "{outcome}");
    });
}

#[test]
fn a_guest_has_the_address_it_was_given_and_reaches_the_hosts_loopback_by_its_router() {
    patiently(|| {
        let Some(place) = place() else { return };
        let inner = echo(&place.host, "127.0.0.1");
        let outer = echo(&place.router, WORLD);
        let script = format!(
            "echo address=$(ip -o addr show eth0 | awk '$3 == \"inet\" {{print $4}}')
            echo mtu=$(cat /sys/class/net/eth0/mtu)
            echo inner=$(ask one 10.0.2.1 {inner})
            echo outer=$(ask two {WORLD} {outer})"
        );
        let outcome = guest(&place, ",guest=10.0.2.15/24,mtu=1400", &[], &script).run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.one("address"), "10.0.2.15/24", "{outcome}");
        assert_eq!(report.one("mtu"), "1400");
        assert_eq!((report.one("inner"), report.one("outer")), ("one", "two"), "{outcome}");
    });
}

#[test]
fn a_kernel_with_ipv6_has_an_address_and_a_way_out() {
    patiently(|| {
        let Some(place) = place() else { return };
        place.on_host("ip addr add fd00:1::10/64 dev eth0 nodad");
        place.on_host("ip route add default via fd00:1::1");
        place.on_router(
            "ip addr add fd00:1::1/64 dev eth0 nodad; ip addr add fd00:1::2/64 dev eth0 nodad",
        );
        let port = echo(&place.router, "fd00:1::2");
        let script = format!(
            "mkfifo /open; exec 3<>/open; echo sixth sense >&3
            for module in failover net_failover virtio_net; do
                insmod /modules/$module.ko || echo failed=$module
            done
            ip link set eth0 up
            until ip -6 route | grep -q ^default && ip -o addr show eth0 | grep -q 'inet6 fd' \
                && ! ip -o addr show eth0 | grep -q tentative; do sleep 0.1; done
            echo echo=$(nc fd00:1::2 {port} <&3)
            ping -c 3 fd00:1::2 >/dev/null && echo ping=yes
            poweroff -f"
        );
        let modules = ["net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net"];
        let modules =
            modules.map(|name| kernel(&format!("debian/cloud/modules/kernel/{name}.ko.xz")));
        let kernel = kernel("debian/cloud/vmlinuz");
        let guest = Guest::linux_with_modules(&kernel, &modules, &script).append("quiet");
        let guest = guest.arg("--net").arg("user").inside(&place.host);
        let outcome = if in_lab() { guest.unprivileged() } else { guest }.run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.all("failed"), [""; 0], "{outcome}");
        assert_eq!(report.one("echo"), "sixth sense", "{outcome}");
        assert_eq!(report.one("ping"), "yes", "{outcome}");
    });
}

#[test]
fn a_host_without_a_way_out_is_told_so() {
    let Some(place) = place() else { return };
    place.on_host("ip route delete default");
    let outcome = guest(&place, "", &[], "").run();
    let line = "kiln: --net: user needs a host interface with an address and a default route, \
                and there is none: No external routable interface for IPv4; No external routable \
                interface for IPv6; External interface not usable";
    outcome.expect(125, line);
}
