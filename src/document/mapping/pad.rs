//! `pad = { length = 10, with = "0" }`: filled up to a length, on the left unless `align = "left"` says otherwise. Blank stays blank; what is long
//! enough stays as it is.

/// How to fill up.
#[derive(Clone, Copy, Debug)]
pub struct Pad {
    /// Characters.
    pub length: usize,
    /// What fills up.
    pub with: char,
    /// On the right: the value stands left.
    pub right: bool,
}

impl Pad {
    /// The value, long enough.
    pub fn apply(&self, text: &str) -> Option<String> {
        let missing = self.length.saturating_sub(text.chars().count());
        if missing == 0 || text.trim().is_empty() {
            return None;
        }
        let fill = std::iter::repeat_n(self.with, missing);
        Some(if self.right { text.chars().chain(fill).collect() } else { fill.chain(text.chars()).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::Pad;

    #[test]
    fn it_fills_up_and_never_cuts() {
        let left = Pad { length: 4, with: '0', right: false };
        assert_eq!(left.apply("é7").as_deref(), Some("00é7"));
        assert_eq!(Pad { right: true, ..left }.apply("7").as_deref(), Some("7000"));
        assert_eq!(left.apply("12345"), None);
        assert_eq!(left.apply(" "), None);
    }
}
