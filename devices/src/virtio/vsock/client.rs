use std::collections::VecDeque;
use std::io;

use super::connection::{Connection, Key};
use super::hub::{Hub, Peer};
use super::link::Link;
use super::table::Token;
use crate::backend::vsock::{Greeting, read_greeting};

/// The most clients that have not said yet which port they want; for one
/// more, the one that has been silent for longest has to go.
pub const MAX_CLIENTS: usize = 256;

/// Clients that one look accepts, before others have their turn.
const BATCH: usize = 16;

/// The ports that clients get, in turn: the guest sees them at the host's
/// end, and no port is used again soon.
pub(super) const FIRST_PORT: u32 = 1 << 30;
const LAST_PORT: u32 = (1 << 31) - 1;

/// Those who have not said which port they want, longest first.
#[derive(Debug, Default)]
pub(super) struct Clients(VecDeque<Token>);

impl Hub {
    /// Accepts clients that wait.
    pub(super) fn accept(&mut self) {
        for _ in 0..BATCH {
            let client = match self.backend.accept() {
                Ok(client) => client,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => continue,
                    _ => return self.stop_listening(&error),
                },
            };
            if self.clients.0.len() >= MAX_CLIENTS
                && let Some(oldest) = self.clients.0.front().copied()
            {
                self.dismiss(oldest);
            }
            let token = self.peers.insert(Peer::Client(client));
            self.clients.0.push_back(token);
            self.watch(token);
            self.greet(token, true);
        }
    }

    fn watch(&mut self, token: Token) {
        let Some(Peer::Client(client)) = self.peers.get_mut(token) else { return };
        if let Err(error) = self.poller.add(client, token) {
            log::debug!("virtio-vsock: a client cannot be watched: {error}");
            self.dismiss(token);
        }
    }

    /// The host has no descriptor for one more client: they wait until
    /// something is closed here.
    fn stop_listening(&mut self, error: &io::Error) {
        log::debug!("virtio-vsock: clients have to wait: {error}");
        let Some(listener) = self.backend.poll_fd() else { return };
        match self.poller.stop_listening(listener) {
            Ok(()) => self.is_listening = false,
            Err(error) => log::debug!("virtio-vsock: clients cannot be made to wait: {error}"),
        }
    }

    /// Accepts clients again, now that something was closed.
    pub(super) fn listen(&mut self) {
        if !self.is_listening
            && let Some(listener) = self.backend.poll_fd()
        {
            self.is_listening = self.poller.listen(listener).is_ok();
        }
    }

    /// Hears which port a client wants, if it may say more than it has.
    pub(super) fn greet(&mut self, token: Token, may_say_more: bool) {
        let Some(Peer::Client(client)) = self.peers.get_mut(token) else { return };
        match read_greeting(client) {
            Ok(Greeting::Partial) if may_say_more => {}
            Ok(Greeting::Port { port, .. }) => self.ask(token, port),
            Ok(Greeting::Partial | Greeting::Wrong) => self.dismiss(token),
            Err(error) => {
                log::debug!("virtio-vsock: a client has gone: {error}");
                self.dismiss(token);
            }
        }
    }

    /// Asks the guest for a connection to `guest_port`, for a client.
    fn ask(&mut self, token: Token, guest_port: u32) {
        if !self.has_room() {
            log::debug!("virtio-vsock: a client is refused: there are too many connections");
            return self.dismiss(token);
        }
        let (key, capacity) = (self.free_key(guest_port), self.buf_alloc());
        self.peers.replace(token, |peer| match peer {
            Peer::Client(socket) => {
                let connection = Connection::asking(key, capacity);
                // What follows the greeting may be there already.
                Peer::Link(Link::new(connection, socket, capacity, true))
            }
            other => other,
        });
        self.clients.0.retain(|waiting| *waiting != token);
        self.links.insert(key, token);
        self.schedule(token);
    }

    /// A port of the host's that has no connection to `guest_port`.
    fn free_key(&mut self, guest_port: u32) -> Key {
        loop {
            let host_port = self.next_port;
            self.next_port = if host_port == LAST_PORT { FIRST_PORT } else { host_port + 1 };
            let key = Key { guest_port, host_port };
            if !self.links.contains_key(&key) {
                return key;
            }
        }
    }

    fn dismiss(&mut self, token: Token) {
        self.clients.0.retain(|waiting| *waiting != token);
        self.peers.remove(token);
        self.listen();
    }
}
