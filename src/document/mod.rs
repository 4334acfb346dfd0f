//! Engines for documents: bytes in; records, packages and findings out. Pure: no path, socket, connection or clock.

pub mod csv;
pub mod encoding;
pub mod package;
pub mod record;
pub mod value;
