//! What ends a record, where the format states it.

/// A stated record end.
pub struct End {
    /// All of it, or what comes before its line feed.
    pub(super) text: Vec<u8>,
    /// A line feed follows, or CRLF.
    feed: bool,
    /// Line ends between records are no data.
    pub(super) between: bool,
}

impl End {
    /// As the configuration writes it.
    pub fn new(text: &str) -> End {
        let before = text.strip_suffix('\n').filter(|before| !before.ends_with('\r'));
        End { text: before.unwrap_or(text).into(), feed: before.is_some(), between: !text.contains(['\r', '\n']) }
    }

    /// Where the first one begins, and its bytes.
    pub fn find(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        let first = *self.text.first().unwrap_or(&b'\n');
        // A carriage return before a line feed that is all of it belongs to it.
        let begin = |at: usize| if self.text.is_empty() && at > 0 && bytes[at - 1] == b'\r' { at - 1 } else { at };
        memchr::memchr_iter(first, bytes).map(begin).find_map(|at| Some((at, self.length(&bytes[at..])?)))
    }

    /// The most bytes that one has.
    pub fn longest(&self) -> usize {
        self.text.len() + 2 * usize::from(self.feed)
    }

    /// Bytes of the record end that stands here, if one does.
    pub fn length(&self, bytes: &[u8]) -> Option<usize> {
        let rest = bytes.strip_prefix(self.text.as_slice())?;
        match rest {
            _ if !self.feed => Some(self.text.len()),
            [b'\n', ..] => Some(self.text.len() + 1),
            [b'\r', b'\n', ..] => Some(self.text.len() + 2),
            _ => None,
        }
    }
}
