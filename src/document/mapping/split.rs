//! `split = { at = "-", part = 2 }`: one part of the value, counted from 1, or from the end with a negative number. A part that is not there is
//! blank.

/// What to take.
#[derive(Clone, Debug)]
pub struct Split {
    /// Between parts.
    pub at: String,
    /// Which part; never 0.
    pub part: i32,
}

impl Split {
    /// The part of the value.
    pub fn apply(&self, text: &str) -> Option<String> {
        let parts: Vec<&str> = text.split(&self.at).collect();
        let index = match usize::try_from(self.part) {
            Ok(part) => part.checked_sub(1),
            Err(_) => parts.len().checked_sub(self.part.unsigned_abs() as usize),
        };
        Some(index.and_then(|index| parts.get(index)).copied().unwrap_or_default().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Split;

    #[test]
    fn parts_count_from_either_end() {
        for (text, part, expected) in
            [("a-b-c", 1, "a"), ("a-b-c", 3, "c"), ("a-b-c", -1, "c"), ("a-b-c", -3, "a"), ("a-b-c", 4, ""), ("a", -2, "")]
        {
            assert_eq!(Split { at: "-".into(), part }.apply(text).unwrap(), expected, "{text} {part}");
        }
    }
}
