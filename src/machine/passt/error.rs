use std::io;

/// Why `--net user` does not work on this host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasstError {
    /// There is no such program.
    #[error("user needs the program passt, which is not installed: its package is called `passt`")]
    Absent,
    /// The program cannot be started.
    #[error("passt cannot be started")]
    Start(#[source] io::Error),
    /// No way leads out of the host.
    #[error(
        "user needs a host interface with an address and a default route, and there is none: \
         {said}"
    )]
    NoRoute {
        /// passt's own words.
        said: String,
    },
    /// passt may not shut itself in.
    #[error(
        "passt needs a user namespace of its own, and this host refuses it (`sysctl \
         user.max_user_namespaces`, or a container's policy): {said}"
    )]
    NoNamespace {
        /// passt's own words.
        said: String,
    },
    /// passt did not want to.
    #[error("passt ended at once{}{said}", if said.is_empty() { "" } else { ": " })]
    Ended {
        /// passt's own words, if it left any.
        said: String,
    },
    /// passt started, but its network does not answer.
    #[error("passt was started, but does not answer")]
    Silent,
    /// The connection cannot be used.
    #[error("the connection with passt fails")]
    Connection(#[source] io::Error),
}

impl PasstError {
    /// What those last words mean.
    pub(super) fn of_words(said: String) -> Self {
        // Said as well where only one kind of addresses has a way out.
        if said.contains("External interface not usable") {
            Self::NoRoute { said }
        } else if said.contains("user namespace") {
            Self::NoNamespace { said }
        } else {
            let is_usual = |part: &&str| part.starts_with("No external routable interface");
            let parts: Vec<_> = said.split("; ").filter(|part| !is_usual(part)).collect();
            Self::Ended { said: parts.join("; ") }
        }
    }
}
