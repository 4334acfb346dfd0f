//! The order of texts for xsl:sort and `ms:string-compare`: as .NET's invariant culture puts them.
//!
//! Letters first without regard to accents and case, then accents decide, then case (lower first unless asked otherwise). Hyphen and
//! apostrophe inside words count last. What is not Latin, Greek or Cyrillic goes by code point after those.

use std::cmp::Ordering;

/// Which case comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum CaseOrder {
    #[default]
    LowerFirst,
    UpperFirst,
}

/// A text made ready for comparison.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TextKey {
    primary: Vec<u32>,
    accents: Vec<u8>,
    cases: Vec<u8>,
    /// Places of hyphens and apostrophes.
    ignored: Vec<(u32, char)>,
}

/// Signs in their order; digits and letters follow.
const SIGNS: &str = " \u{A0}\t\n\r_,;:!?./\"()[]{}@*\\&#%`^+<=>|~$\u{A1}\u{A6}\u{A8}\u{AF}\u{B4}\u{B8}\u{BF}\u{B0}\u{A7}\u{A9}\u{AE}\u{AC}\u{B1}\u{D7}\u{F7}\u{A2}\u{A3}\u{A4}\u{A5}\u{20AC}";

/// A base letter and the letters that are it with an accent, in the order of the accents.
const ACCENTED: [(char, &str); 24] = [
    ('a', "áàăâåäãąā"),
    ('c', "ćĉčċç"),
    ('d', "ďđð"),
    ('e', "éèĕêěëėęē"),
    ('g', "ğĝģġ"),
    ('h', "ĥħ"),
    ('i', "íìĭîïĩįīı"),
    ('j', "ĵ"),
    ('k', "ķ"),
    ('l', "ĺľļłŀ"),
    ('n', "ńňñņŉŋ"),
    ('o', "óòŏôöőõøō"),
    ('r', "ŕřŗ"),
    ('s', "śŝšş"),
    ('t', "ťţŧ"),
    ('u', "úùŭûůüűũųū"),
    ('w', "ŵ"),
    ('y', "ýŷÿ"),
    ('z', "źžż"),
    ('α', "ά"),
    ('ε', "έ"),
    ('η', "ή"),
    ('ι', "ίϊΐ"),
    ('ο', "ό"),
];

/// Two letters for one.
fn expansion(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ĳ' => "ij",
        _ => return None,
    })
}

/// Base letter and accent of a lower-case letter.
fn base(c: char) -> (char, u8) {
    if c.is_ascii() {
        return (c, 0);
    }
    for (letter, accented) in ACCENTED {
        if let Some(index) = accented.chars().position(|known| known == c) {
            return (letter, index as u8 + 1);
        }
    }
    (c, 0)
}

fn weight(c: char) -> u32 {
    if c.is_ascii_alphanumeric() {
        return 0x1000 + c as u32;
    }
    match SIGNS.chars().position(|sign| sign == c) {
        Some(index) => 0x100 + index as u32,
        None => 0x2000 + c as u32,
    }
}

impl TextKey {
    pub(crate) fn new(text: &str, case_order: CaseOrder) -> TextKey {
        let mut key = TextKey {
            primary: Vec::with_capacity(text.len()),
            accents: Vec::new(),
            cases: Vec::with_capacity(text.len()),
            ignored: Vec::new(),
        };
        for c in text.chars() {
            if matches!(c, '-' | '\'' | '\u{AD}' | '\u{2019}' | '\u{2010}') {
                key.ignored.push((key.primary.len() as u32, c));
                continue;
            }
            let mut lowered = c.to_lowercase();
            let lower = match (lowered.next(), lowered.next()) {
                (Some(single), None) => single,
                _ => c,
            };
            let upper = lower != c;
            let case = u8::from(upper == (case_order == CaseOrder::LowerFirst));
            let mut push = |letter: char, accent: u8| {
                key.primary.push(weight(letter));
                if accent > 0 {
                    key.accents.resize(key.primary.len() - 1, 0);
                    key.accents.push(accent);
                }
                key.cases.push(case);
            };
            if let Some(letters) = expansion(lower) {
                letters.chars().for_each(|letter| push(letter, 1));
            } else {
                let (letter, accent) = base(lower);
                push(letter, accent);
            }
        }
        key
    }
}

impl Ord for TextKey {
    fn cmp(&self, other: &TextKey) -> Ordering {
        self.primary
            .cmp(&other.primary)
            .then_with(|| self.accents.cmp(&other.accents))
            .then_with(|| self.cases.cmp(&other.cases))
            .then_with(|| self.ignored.cmp(&other.ignored))
    }
}

impl PartialOrd for TextKey {
    fn partial_cmp(&self, other: &TextKey) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(words: &str, case_order: CaseOrder) -> String {
        let mut list: Vec<&str> = words.split(' ').collect();
        list.sort_by_key(|word| TextKey::new(word, case_order));
        list.join(" ")
    }

    #[test]
    fn letters_then_accents_then_case() {
        assert_eq!(sorted("b B a A c", CaseOrder::LowerFirst), "a A b B c");
        assert_eq!(sorted("b B a A c", CaseOrder::UpperFirst), "A a B b c");
        assert_eq!(sorted("cote côte coté Cote côté", CaseOrder::LowerFirst), "cote Cote coté côte côté");
        assert_eq!(sorted("Zürich zurück Zulu", CaseOrder::LowerFirst), "Zulu Zürich zurück");
        assert_eq!(sorted("x 10 9 _ Ж Ω", CaseOrder::LowerFirst), "_ 10 9 x Ω Ж");
    }

    #[test]
    fn hyphens_count_last() {
        assert_eq!(sorted("co-op coop coops con", CaseOrder::LowerFirst), "con coop co-op coops");
    }
}
