//! docs/networking.md: what its commands make is what it says they make. Each
//! guest that must not be reached is seen to reach others in the same test.

mod member;
mod page;
pub(crate) mod place;

use testing::patiently;

use member::Member;
use page::{commands, interfaces};
use place::Place;

const ROUTER: &str = "192.0.2.1";

#[test]
fn a_host_only_guest_reaches_the_host_and_once_closed_nothing_else() {
    patiently(|| {
        let Some(place) = Place::new() else { return };
        place.follow("host-only");
        let [net] = interfaces("host-only run").try_into().unwrap();
        let mut guest = Member::start(&place, &net, "host-only guest", 2).up();
        assert!(guest.reaches("10.71.0.1"));
        assert!(place.host_reaches("10.71.0.2"));
        assert!(!guest.reaches(ROUTER));

        // All that can let it out, and then what is to keep it in.
        place.on_host("sysctl -w net.ipv4.ip_forward=1");
        place.on_router("ip route add 10.71.0.0/24 via 192.0.2.10");
        assert!(guest.reaches(ROUTER));
        place.follow("host-only closed");
        assert!(!guest.reaches(ROUTER));
        assert!(!place.router_reaches("10.71.0.2"));
        assert!(guest.reaches("10.71.0.1"));
        guest.power_off();
    });
}

#[test]
fn guests_behind_nat_get_out_by_the_hosts_address_and_not_to_isolated_ones() {
    patiently(|| {
        let Some(place) = Place::new() else { return };
        place.follow("nat");
        let [web, db] = interfaces("nat run").try_into().unwrap();
        let web = Member::start(&place, &web, "nat guest", 2);
        let mut db = Member::start(&place, &db, "nat guest", 3).up();
        let mut web = web.up();
        // The router has no way to 10.72.0.0/24: only the host's address gets an answer.
        assert!(web.reaches(ROUTER) && db.reaches(ROUTER));
        assert!(web.reaches("10.72.0.3") && db.reaches("10.72.0.2"));

        // A router that knows the way is not let in, except through the port.
        place.on_router("ip route add 10.72.0.0/24 via 192.0.2.10");
        assert!(!place.router_reaches("10.72.0.2"));
        place.follow("nat port");
        let connect = format!("{} nc 192.0.2.10 8080", testing::busybox().display());
        let page = place.on_router(&format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | {connect}"));
        assert!(page.ends_with("this is guest 2\n"), "{page}");

        place.follow("isolated");
        assert!(!web.reaches("10.72.0.3") && !db.reaches("10.72.0.2"));
        assert!(web.succeeds("ip route add 10.72.0.3/32 via 10.72.0.1"));
        assert!(db.succeeds("ip route add 10.72.0.2/32 via 10.72.0.1"));
        assert!(!web.reaches("10.72.0.3"));
        assert!(web.reaches(ROUTER) && db.reaches(ROUTER));
        web.power_off();
        db.power_off();
    });
}

#[test]
fn bridged_guests_are_on_the_hosts_network_and_vlans_keep_them_apart() {
    patiently(|| {
        let Some(place) = Place::new() else { return };
        place.follow("bridge");
        let [web, db] = interfaces("bridge run").try_into().unwrap();
        let web = Member::start(&place, &web, "bridge guest", 21);
        let db = Member::start(&place, &db, "bridge guest", 22);
        let (mut web, mut db) = (web.up(), db.up());
        assert!(web.reaches("192.0.2.22") && db.reaches("192.0.2.21"));
        assert!(web.reaches(ROUTER) && web.reaches("192.0.2.10"));
        assert!(place.router_reaches("192.0.2.22"));
        assert!(place.host_reaches(ROUTER));

        place.follow("vlan");
        let [lab] = interfaces("vlan run").try_into().unwrap();
        let mut lab = Member::start(&place, &lab, "bridge guest", 23).up();
        assert!(web.reaches("192.0.2.22") && db.reaches("192.0.2.21"));
        assert!(!lab.reaches("192.0.2.21") && !web.reaches("192.0.2.23"));
        // The host and the untagged network are in neither.
        assert!(!web.reaches("192.0.2.10") && !lab.reaches(ROUTER));
        assert!(place.host_reaches(ROUTER));

        // The router is in VLAN 10 first, then in VLAN 20.
        for (vlan, reached) in [(10, [true, false]), (20, [false, true])] {
            place.on_router(&format!(
                "ip addr flush dev eth0
                ip link add link eth0 name vlan{vlan} type vlan id {vlan}
                ip addr add {ROUTER}/24 dev vlan{vlan}
                ip link set vlan{vlan} up"
            ));
            assert_eq!([web.reaches(ROUTER), lab.reaches(ROUTER)], reached, "VLAN {vlan}");
            place.on_router(&format!("ip link delete vlan{vlan}"));
        }
        for guest in [web, db, lab] {
            guest.power_off();
        }
    });
}

#[test]
fn guests_on_a_bridge_without_address_reach_one_another_only() {
    patiently(|| {
        let Some(place) = Place::new() else { return };
        place.follow("guests-only");
        let [web, db] = interfaces("guests-only run").try_into().unwrap();
        let web = Member::start(&place, &web, "guests-only guest", 2);
        let db = Member::start(&place, &db, "guests-only guest", 3);
        let (mut web, mut db) = (web.up(), db.up());
        assert!(web.reaches("10.73.0.3") && db.reaches("10.73.0.2"));
        // The host would have to hear the guest's request for its address.
        assert!(web.succeeds("ip addr add 192.0.2.20/24 dev eth0"));
        assert!(!web.reaches("192.0.2.10"));
        assert!(!place.host_reaches("10.73.0.2"));
        web.power_off();
        db.power_off();
    });
}

#[test]
fn a_guest_on_the_uplink_itself_reaches_the_network_and_not_the_host() {
    patiently(|| {
        let Some(place) = Place::new() else { return };
        place.follow("macvtap");
        let [net] = interfaces("macvtap run").try_into().unwrap();
        let names = commands("macvtap run").lines().take(2).collect::<Vec<_>>().join("\n");
        let [net, tap] = [net.as_str(), "3<>$tap"]
            .map(|word| place.on_host(&format!("{names}\necho \"{word}\"")).trim().to_owned());
        assert!(commands("macvtap run").ends_with(" 3<>$tap\n"));
        let mut guest = Member::start_with(&place, &net, &tap, "bridge guest", 24).up();
        assert!(guest.reaches(ROUTER) && place.router_reaches("192.0.2.24"));
        assert!(!guest.reaches("192.0.2.10"));
        guest.power_off();
    });
}
