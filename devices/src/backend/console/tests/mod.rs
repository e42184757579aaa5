//! The console against pipes, files and terminals of the host.

mod escape;
mod input;
mod output;
mod watch;
