//! What must hold for any address and any small body: called by the targets in `fuzz/`, compiled for them only.

use super::odata::{filter, keyed};
use super::{actions, address, blob};

/// The address of a question below `/data`, and a range of a blob: what is read of it is the same when it is written again.
pub fn target(text: &str) {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    for segment in address::segments(path).unwrap_or_default() {
        assert_eq!(address::decode(&address::encode(&segment)).as_ref(), Some(&segment));
        if let Some((set, key)) = keyed(&segment) {
            assert!(segment.starts_with(&set) && key.len() <= 16);
        }
    }
    for (_, value) in address::pairs(query).unwrap_or_default() {
        question(&value);
    }
    for size in [0, 1, 10, u64::MAX] {
        if let Some(Ok((first, last))) = blob::range(text, size) {
            assert!(first <= last && last < size, "{first} to {last} of {size}");
        }
    }
}

/// A filter is refused with a word, or holds for a row or does not, and says the same when it is written again.
pub fn question(text: &str) {
    match filter::read(text) {
        Err(message) => assert!(!message.is_empty()),
        Ok(read) => {
            for value in [None, Some("10"), Some("text")] {
                read.holds(&|_| value.map(str::to_owned));
            }
            assert_eq!(filter::read(&filter::write(&read)).as_ref(), Ok(&read), "{}", filter::write(&read));
        }
    }
}

/// The body of an action, and a list of blocks.
pub fn body(bytes: &[u8]) {
    if let Some(list) = blob::block_list(bytes) {
        assert!(list.len() <= bytes.len());
    }
    if let Some(read) = std::str::from_utf8(bytes).ok().and_then(actions::lax_object) {
        let strict = serde_json::to_string(&read).expect("it is JSON");
        assert_eq!(actions::lax_object(&strict), serde_json::from_str(&strict).ok(), "what is JSON is read as it is");
    }
}
