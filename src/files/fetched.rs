//! Which bytes of a blob have gone out: a package is its client's when it has all of them, in whatever parts and order it came for them. A reader of
//! archives asks for the end first, and parallel downloads may break off with their last part delivered.
//!
//! Kept in memory only. What is forgotten, by a restart or beyond the limits, counts as not fetched: its changes are sent again, and none is lost.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Blobs of which parts are remembered, at most: those that were begun last.
pub const BLOBS_MAX: usize = 1000;
/// Parts of one blob that do not touch each other, at most; with more it counts as not begun.
pub const PARTS_MAX: usize = 4096;

/// What went out, of each blob of which something did.
#[derive(Default)]
pub struct Fetched {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    begun: u64,
    /// When it was begun, and the parts: where each begins and ends, in order.
    blobs: HashMap<String, (u64, Vec<(u64, u64)>)>,
}

impl Fetched {
    /// Notes that so many bytes from `first` on went out, of `size`; whether all have by now. Then they are forgotten.
    pub fn note(&self, blob: &str, first: u64, length: u64, size: u64) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.blobs.contains_key(blob) && inner.blobs.len() >= BLOBS_MAX {
            let oldest = inner.blobs.iter().min_by_key(|(_, (begun, _))| *begun).map(|(blob, _)| blob.clone());
            oldest.and_then(|oldest| inner.blobs.remove(&oldest));
        }
        inner.begun += 1;
        let now = inner.begun;
        let (_, parts) = inner.blobs.entry(blob.to_owned()).or_insert_with(|| (now, Vec::new()));
        join(parts, (first, first.saturating_add(length).min(size)));
        let whole = parts.as_slice() == [(0, size)];
        if whole || parts.len() > PARTS_MAX {
            inner.blobs.remove(blob);
        }
        whole
    }
}

/// Adds a part; those that touch are one.
fn join(parts: &mut Vec<(u64, u64)>, (mut first, mut end): (u64, u64)) {
    let from = parts.partition_point(|part| part.1 < first);
    let to = parts.partition_point(|part| part.0 <= end);
    for part in &parts[from..to.max(from)] {
        (first, end) = (first.min(part.0), end.max(part.1));
    }
    parts.splice(from..to.max(from), [(first, end)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_all_bytes_are_the_whole() {
        let fetched = Fetched::default();
        assert!(!fetched.note("a", 78, 22, 100), "the end alone");
        assert!(!fetched.note("a", 0, 50, 100));
        assert!(!fetched.note("b", 50, 28, 100));
        assert!(fetched.note("a", 50, 28, 100));
        assert!(!fetched.note("a", 50, 28, 100), "it is forgotten then");
        assert!(fetched.note("c", 0, 100, 100));
        for blob in 0..2 * BLOBS_MAX {
            assert!(!fetched.note(&blob.to_string(), 0, 1, 100));
        }
        assert!(fetched.inner.lock().unwrap().blobs.len() <= BLOBS_MAX);
    }

    proptest! {
        #[test]
        fn parts_are_the_bytes_that_they_hold(given in prop::collection::vec((0u64..40, 1u64..9), 0..30)) {
            let mut parts = Vec::new();
            let mut bytes = [false; 50];
            for (first, length) in given {
                join(&mut parts, (first, first + length));
                bytes[first as usize..(first + length) as usize].fill(true);
                prop_assert!(parts.windows(2).all(|two| two[0].1 < two[1].0), "{:?}", parts);
                let held = |at: u64| parts.iter().any(|(first, end)| (*first..*end).contains(&at));
                prop_assert!((0..50).all(|at| held(at) == bytes[at as usize]), "{:?}", parts);
            }
        }
    }
}
