//! Unit tests of PCI.

mod config;
mod intx;
mod msix;
mod ports;
mod properties;
mod root;
