//! Why reading of a document ends before its end.

use std::io;

/// The document cannot be read on.
#[derive(Debug)]
pub enum Broken {
    /// Its source does not give its bytes.
    Source(io::Error),
    /// It is not of its format from here on.
    Document {
        /// The line, from 1; 0 when it is about the whole document.
        line: u64,
        /// What is wrong: lower case, no full stop.
        message: String,
        /// What to do.
        hint: String,
    },
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::Source(error)
    }
}

impl Broken {
    /// A document that breaks on this line.
    pub fn at(line: u64, message: impl Into<String>, hint: impl Into<String>) -> Broken {
        Broken::Document { line, message: message.into(), hint: hint.into() }
    }
}
