use super::*;
use crate::config::{NetConfig, NetHost, UserConfig};

fn user(options: &str) -> UserConfig {
    match NetConfig::parse(options.as_ref()).unwrap().backend {
        NetHost::User(user) => user,
        other => panic!("{other:?} is not of a user"),
    }
}

#[test]
fn a_plain_network_leaves_all_addresses_to_passt() {
    let words = arguments::arguments(&user("user"), 1500, 7);
    assert_eq!(words, ["--foreground", "--quiet", "--fd", "7", "--mtu", "1500"]);
}

#[test]
fn forwards_and_the_guests_network_become_options_of_passt() {
    let user = user(
        "user,forward=8080:80,guest=10.0.2.15/24,forward=127.0.0.1/5353:53/udp,\
         forward=::1/8000-8010:80-90",
    );
    let words = arguments::arguments(&user, 65520, 5);
    let network = ["--address", "10.0.2.15", "--netmask", "255.255.255.0", "--gateway", "10.0.2.1"];
    let forwards = [
        ["--tcp-ports", "8080:80"],
        ["--udp-ports", "127.0.0.1/5353:53"],
        ["--tcp-ports", "::1/8000-8010:80-90"],
    ];
    assert_eq!(words[6..12], network);
    assert_eq!(words[12..], forwards.concat());
}

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

#[test]
fn the_probe_for_ipv4_is_an_arp_request() {
    let expected = "ffffffffffff525400123456080600010800060400015254001234560000000000000000000\
                    0a9fe0101";
    assert_eq!(hex(&probe::arp(MAC)), expected);
}

#[test]
fn the_probe_for_ipv6_is_a_solicitation_with_a_right_checksum() {
    let frame = probe::solicitation(MAC);
    let expected = "3333ff010001525400123456\
                    86dd6000000000203afffe80000000000000505400fffe123456ff0200000000000000000001ff0100018700";
    assert_eq!(hex(&frame[..56]), expected);
    let pseudo = [&frame[22..54], &[0, 0, 0, 32, 0, 0, 0, 58], &frame[54..]].concat();
    assert_eq!(probe::checksum(&pseudo), 0);
    assert_eq!(frame.len(), 14 + 40 + 32);
}

#[test]
fn what_passt_says_is_told_with_what_it_means() {
    let told = |said: &str| PasstError::of_words(said.to_owned()).to_string();
    assert_eq!(
        told("No external routable interface for IPv4; External interface not usable"),
        "user needs a host interface with an address and a default route, and there is none: No \
         external routable interface for IPv4; External interface not usable"
    );
    let refused = told("Couldn't create user namespace: No space left on device");
    assert!(refused.contains("max_user_namespaces") && refused.ends_with("left on device"));
    assert_eq!(told("Invalid netmask: 33"), "passt ended at once: Invalid netmask: 33");
    assert_eq!(
        told("No external routable interface for IPv6; Invalid netmask: 33"),
        "passt ended at once: Invalid netmask: 33"
    );
    assert_eq!(told(""), "passt ended at once");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
