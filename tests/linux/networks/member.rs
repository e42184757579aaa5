use testing::{Guest, Running, in_lab, kernel};

use super::page::commands;
use super::place::Place;
use crate::{MINIMAL, POWERED_OFF};

/// A guest on a network, which says what it reaches.
pub(super) struct Member {
    running: Running,
    asked: u32,
}

/// After it has done what the page says: one question a line, a label and a
/// command, until there are no more.
const CONVERSATION: &str = "
mkdir /www; echo this is guest $number >/www/index.html; httpd -p 80 -h /www
echo up
while read -r label question; do
    if $question >/dev/null 2>&1; then echo $label=yes; else echo $label=no; fi
done
poweroff -f";

impl Member {
    /// Starts a guest, with `number` in its address, on the interface `net`.
    /// It follows the page's block `guest`.
    pub(super) fn start(place: &Place, net: &str, guest: &str, number: u32) -> Self {
        Self::start_with(place, net, "", guest, number)
    }

    /// The same, with a shell's redirections.
    pub(super) fn start_with(
        place: &Place,
        net: &str,
        redirections: &str,
        guest: &str,
        number: u32,
    ) -> Self {
        let script = format!("number={number}\n{}{CONVERSATION}", commands(guest));
        let guest = Guest::linux(&kernel(MINIMAL), &script).append("quiet").redirect(redirections);
        let guest = guest.arg("--net").arg(net).inside(&place.host).stdin_pipe();
        // Where files may be out of another user's reach, whoever runs the test does it.
        let guest = if in_lab() { guest.unprivileged() } else { guest };
        Self { running: guest.spawn(), asked: 0 }
    }

    /// Waits until the guest has its address.
    pub(super) fn up(mut self) -> Self {
        self.running.wait_for("up\r\n");
        self
    }

    /// Whether the guest has an answer from this address.
    pub(super) fn reaches(&mut self, address: &str) -> bool {
        self.succeeds(&format!("ping -c 3 -W 4 {address}"))
    }

    /// Whether a command succeeds in the guest.
    pub(super) fn succeeds(&mut self, command: &str) -> bool {
        self.asked += 1;
        let label = format!("answer{}", self.asked);
        self.running.write(format!("{label} {command}\n"));
        self.running.wait_for_line(&format!("{label}=")) == "yes"
    }

    /// Ends it.
    pub(super) fn power_off(mut self) {
        // What a terminal takes for the end of its input.
        self.running.write("\u{4}");
        self.running.wait().expect(0, POWERED_OFF);
    }
}
