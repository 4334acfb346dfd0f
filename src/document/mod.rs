//! Engines for documents: bytes in; records, packages and findings out. Pure: no path, socket, connection or clock.

pub mod broken;
pub mod collect;
pub mod csv;
pub mod encoding;
pub mod excel;
pub mod fault;
pub mod fixed;
pub mod infer;
pub mod json;
pub mod mapping;
pub mod package;
pub mod read;
pub mod record;
pub mod refused;
pub mod sniff;
pub mod tree;
pub mod value;
pub mod write;
pub mod xml;
