//! Why reading of a document ends before its end.

use std::error::Error;
use std::fmt;
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
    /// What watches the bytes of a document can only say as an error of theirs that it is another (`sniff/utf8`).
    fn from(error: io::Error) -> Self {
        error.downcast().unwrap_or_else(Broken::Source)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Source(_) => f.write_str("the source of the document does not give its bytes"),
            Broken::Document { message, .. } => f.write_str(message),
        }
    }
}

impl Error for Broken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Broken::Source(error) => Some(error),
            Broken::Document { .. } => None,
        }
    }
}

impl Broken {
    /// A document that breaks on this line.
    pub fn at(line: u64, message: impl Into<String>, hint: impl Into<String>) -> Broken {
        Broken::Document { line, message: message.into(), hint: hint.into() }
    }
}
