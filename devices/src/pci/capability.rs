/// A capability to add to a configuration space (PCI 3.0 §6.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its id: one of [`super::spec::capability`].
    pub id: u8,
    /// What follows the id and the pointer to the next one.
    pub body: Vec<u8>,
    /// Which bits of `body` a driver can write; those past its end it cannot.
    pub writable: Vec<u8>,
}

impl Capability {
    /// A capability that a driver only reads.
    pub fn read_only(id: u8, body: impl Into<Vec<u8>>) -> Self {
        Self { id, body: body.into(), writable: Vec::new() }
    }
}
