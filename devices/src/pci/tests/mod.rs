//! Unit tests of PCI.

mod config;
mod msix;
