//! Values and their conversions (XPath 1.0, sections 3.4 and 4).

use std::collections::HashMap;
use std::rc::Rc;

use super::number;
use crate::tree::node::Node;

/// What an expression gives and a variable holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// In document order, no node twice.
    Nodes(Rc<Vec<Node>>),
    Text(Rc<str>),
    Number(f64),
    Boolean(bool),
    /// A result tree fragment (XSLT 1.0, section 11.1): its root.
    Fragment(Node),
    /// A result tree fragment that is nothing but text: no tree is built for it.
    TextFragment(Rc<str>),
}

impl Value {
    pub(crate) fn nodes(nodes: Vec<Node>) -> Value {
        Value::Nodes(Rc::new(nodes))
    }

    pub(crate) fn text(text: &str) -> Value {
        Value::Text(Rc::from(text))
    }

    /// What it is, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Value::Nodes(_) => "a node-set",
            Value::Text(_) => "a string",
            Value::Number(_) => "a number",
            Value::Boolean(_) => "a boolean",
            Value::Fragment(_) | Value::TextFragment(_) => "a result tree fragment",
        }
    }
}

pub(crate) fn number_to_boolean(value: f64) -> bool {
    value != 0.0 && !value.is_nan()
}

pub(crate) fn boolean_to_text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

pub(crate) fn boolean_to_number(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// The characters from position `start`, at most `length` of them, positions from 1 (XPath 1.0, section 4.2).
pub(crate) fn substring(text: &str, start: f64, length: Option<f64>) -> &str {
    let start = number::round(start);
    let end = length.map_or(f64::INFINITY, |length| start + number::round(length));
    if start.is_nan() || end.is_nan() || end <= 1.0 || end <= start {
        return "";
    }
    let skip = if start > 1.0 { start - 1.0 } else { 0.0 };
    if skip >= text.len() as f64 {
        return "";
    }
    let keep = end - 1.0 - skip;
    let offset = |text: &str, characters: f64| {
        if characters >= text.len() as f64 {
            return text.len();
        }
        if text.is_ascii() {
            return characters as usize;
        }
        text.char_indices().nth(characters as usize).map_or(text.len(), |(at, _)| at)
    };
    let rest = &text[offset(text, skip)..];
    &rest[..offset(rest, keep)]
}

/// White space at both ends removed, sequences of it made one space.
pub(crate) fn normalize_space(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for word in text.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty()) {
        if !result.is_empty() {
            result.push(' ');
        }
        result.push_str(word);
    }
    result
}

/// Characters replaced one by one, those without a counterpart removed.
pub(crate) fn translate(text: &str, from: &str, to: &str) -> String {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    // A long list of replacements is looked up, not searched.
    if from.len() > 64 {
        let mut table: HashMap<char, Option<char>> = HashMap::with_capacity(from.len());
        for (index, &c) in from.iter().enumerate() {
            table.entry(c).or_insert_with(|| to.get(index).copied());
        }
        return text.chars().filter_map(|c| table.get(&c).copied().unwrap_or(Some(c))).collect();
    }
    text.chars()
        .filter_map(|c| match from.iter().position(|&known| known == c) {
            Some(index) => to.get(index).copied(),
            None => Some(c),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substrings_follow_the_examples_of_the_recommendation() {
        for (start, length, expected) in [
            (2.0, Some(3.0), "234"),
            (2.0, None, "2345"),
            (1.5, Some(2.6), "234"),
            (0.0, Some(3.0), "12"),
            (f64::NAN, Some(3.0), ""),
            (1.0, Some(f64::NAN), ""),
            (-42.0, Some(f64::INFINITY), "12345"),
            (f64::NEG_INFINITY, Some(f64::INFINITY), ""),
            (6.0, None, ""),
            (f64::INFINITY, None, ""),
            (3.0, Some(-1.0), ""),
        ] {
            assert_eq!(substring("12345", start, length), expected, "{start} {length:?}");
        }
        assert_eq!(substring("aé😀z", 2.0, Some(2.0)), "é😀");
        assert_eq!(substring("日本語", 3.0, None), "語");
    }

    #[test]
    fn characters_are_translated_or_removed() {
        assert_eq!(translate("bar", "abc", "ABC"), "BAr");
        assert_eq!(translate("--aaa--", "abc-", "ABC"), "AAA");
        assert_eq!(translate("aa", "aa", "xy"), "xx");
        let many: String = ('\u{100}'..'\u{180}').collect();
        assert_eq!(translate("a\u{100}\u{101}\u{17F}", &many, "xy"), "axy");
    }

    #[test]
    fn space_is_normalised() {
        assert_eq!(normalize_space(" \n a  b\tc "), "a b c");
        assert_eq!(normalize_space("\u{A0}a"), "\u{A0}a");
    }
}
