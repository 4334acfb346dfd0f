//! xsl:number (XSLT 1.0, section 7.7): counting nodes and writing numbers as words of a list: 1, 001, a, A, i, I.

use crate::error::{Error, Result};
use crate::pattern::Pattern;
use crate::run::{Context, Run};
use crate::sheet::{Level, NumberInstruction};
use crate::tree::node::Node;
use crate::tree::{Kind, Tree};
use crate::xpath::number;
use crate::xpath::value::Value;

/// A format string, cut: what stands before, tokens with the separator before each, what stands after.
struct Format {
    prefix: String,
    tokens: Vec<(String, String)>,
    suffix: String,
}

fn cut(format: &str) -> Format {
    let mut result = Format { prefix: String::new(), tokens: Vec::new(), suffix: String::new() };
    let mut separator = String::new();
    let mut token = String::new();
    for c in format.chars() {
        if c.is_alphanumeric() {
            token.push(c);
            continue;
        }
        if !token.is_empty() {
            result.tokens.push((std::mem::take(&mut separator), std::mem::take(&mut token)));
        }
        separator.push(c);
    }
    if token.is_empty() {
        result.suffix = separator;
    } else {
        result.tokens.push((separator, token));
    }
    if result.tokens.is_empty() {
        // Only punctuation: it goes around the number on both sides.
        result.prefix = result.suffix.clone();
        result.tokens.push((String::new(), "1".to_owned()));
    } else {
        result.prefix = std::mem::take(&mut result.tokens[0].0);
    }
    result
}

/// How groups of digits are set apart.
#[derive(Clone, Default)]
pub(crate) struct Grouping {
    pub(crate) separator: String,
    pub(crate) size: usize,
}

/// A list of numbers in a format.
pub(crate) fn format_list(numbers: &[f64], format: &str, grouping: &Grouping, traditional: bool) -> String {
    let format = cut(format);
    let mut result = format.prefix.clone();
    for (index, &value) in numbers.iter().enumerate() {
        let last = format.tokens.len() - 1;
        let (separator, token) = &format.tokens[index.min(last)];
        if index > 0 {
            // Past the last token its separator is used again, with one token a full stop.
            result.push_str(if index > last && last == 0 || separator.is_empty() { "." } else { separator });
        }
        one(value, token, grouping, traditional, &mut result);
    }
    result.push_str(&format.suffix);
    result
}

fn one(value: f64, token: &str, grouping: &Grouping, traditional: bool, into: &mut String) {
    let rounded = number::round(value);
    if !rounded.is_finite() || rounded < 0.5 {
        return number::write_into(if rounded.is_finite() { rounded } else { value }, into);
    }
    if rounded < 1e15 {
        let whole = rounded as u64;
        let lettered = match token {
            "a" => letters(whole, 'a', 26),
            "A" => letters(whole, 'A', 26),
            "i" => roman(whole).map(|text| text.to_lowercase()),
            "I" => roman(whole),
            "\u{3B1}" => greek(whole, false, traditional),
            "\u{391}" => greek(whole, true, traditional),
            "\u{430}" => letters(whole, '\u{430}', 32),
            "\u{410}" => letters(whole, '\u{410}', 32),
            _ => None,
        };
        if let Some(text) = lettered {
            into.push_str(&text);
            return;
        }
    }
    decimal(rounded, token, grouping, into);
}

/// Digits of the token's script, as many as the token is long.
fn decimal(value: f64, token: &str, grouping: &Grouping, into: &mut String) {
    let zero = token.chars().last().and_then(zero_of).unwrap_or('0');
    let is_digits = token.chars().rev().skip(1).all(|c| c == zero);
    let width = if is_digits { token.chars().count() } else { 1 };
    let mut digits = number::write(value);
    if digits.len() < width {
        digits = format!("{}{digits}", "0".repeat(width - digits.len()));
    }
    let count = digits.len();
    for (index, digit) in digits.bytes().enumerate() {
        let left = count - index;
        if index > 0 && grouping.size > 0 && left.is_multiple_of(grouping.size) {
            into.push_str(&grouping.separator);
        }
        into.push(char::from_u32(zero as u32 + u32::from(digit - b'0')).unwrap_or('0'));
    }
}

/// The zero of the script that this digit one belongs to.
fn zero_of(one: char) -> Option<char> {
    const ZEROS: [char; 20] = [
        '0', '\u{660}', '\u{6F0}', '\u{966}', '\u{9E6}', '\u{A66}', '\u{AE6}', '\u{B66}', '\u{BE6}', '\u{C66}', '\u{CE6}', '\u{D66}',
        '\u{E50}', '\u{ED0}', '\u{F20}', '\u{1040}', '\u{17E0}', '\u{1810}', '\u{FF10}', '\u{7C0}',
    ];
    ZEROS.into_iter().find(|&zero| zero as u32 + 1 == one as u32)
}

/// a, b, … z, aa, ab, …
fn letters(value: u64, first: char, count: u64) -> Option<String> {
    let mut value = value;
    let mut reversed = Vec::new();
    while value > 0 {
        value -= 1;
        reversed.push(char::from_u32(first as u32 + (value % count) as u32)?);
        value /= count;
    }
    Some(reversed.into_iter().rev().collect())
}

/// The Greek alphabet has a final sigma in between that does not count.
fn greek(value: u64, upper: bool, traditional: bool) -> Option<String> {
    const ALPHABET: [char; 24] =
        ['α', 'β', 'γ', 'δ', 'ε', 'ζ', 'η', 'θ', 'ι', 'κ', 'λ', 'μ', 'ν', 'ξ', 'ο', 'π', 'ρ', 'σ', 'τ', 'υ', 'φ', 'χ', 'ψ', 'ω'];
    const NUMERALS: [char; 27] = [
        'α', 'β', 'γ', 'δ', 'ε', 'ϛ', 'ζ', 'η', 'θ', 'ι', 'κ', 'λ', 'μ', 'ν', 'ξ', 'ο', 'π', 'ϙ', 'ρ', 'σ', 'τ', 'υ', 'φ', 'χ', 'ψ', 'ω',
        'ϡ',
    ];
    let mut text = String::new();
    if traditional && value < 1000 {
        let mut rest = value as usize;
        for power in [100, 10, 1] {
            let digit = rest / power;
            rest %= power;
            if digit > 0 {
                let block = match power {
                    100 => 18,
                    10 => 9,
                    _ => 0,
                };
                text.push(NUMERALS[block + digit - 1]);
            }
        }
    } else {
        let mut value = value;
        let mut reversed = Vec::new();
        while value > 0 {
            value -= 1;
            reversed.push(ALPHABET[(value % 24) as usize]);
            value /= 24;
        }
        text.extend(reversed.into_iter().rev());
    }
    Some(if upper { text.to_uppercase() } else { text })
}

/// Roman numerals reach to 3999; beyond, digits are used.
fn roman(value: u64) -> Option<String> {
    const SIGNS: [(u64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if value == 0 || value > 3999 {
        return None;
    }
    let mut rest = value;
    let mut text = String::new();
    for (worth, sign) in SIGNS {
        while rest >= worth {
            text.push_str(sign);
            rest -= worth;
        }
    }
    Some(text)
}

impl Run<'_> {
    /// The text an xsl:number makes.
    pub(crate) fn numbered(&mut self, instruction: &NumberInstruction, context: &Context) -> Result<String> {
        let format = match &instruction.format {
            Some(format) => self.value_template(format, context)?,
            None => "1".to_owned(),
        };
        let mut grouping = Grouping::default();
        if let (Some(separator), Some(size)) = (&instruction.grouping_separator, &instruction.grouping_size) {
            grouping.separator = self.value_template(separator, context)?;
            if grouping.separator.chars().count() > 1 {
                return Err(Error::run("a grouping-separator is one character").found(grouping.separator));
            }
            let size = number::parse(&self.value_template(size, context)?);
            if size.is_nan() {
                return Err(Error::run("a grouping-size is a number"));
            }
            grouping.size = if size >= 1.0 { size as usize } else { 0 };
        }
        let traditional = match &instruction.letter_value {
            Some(template) => match self.value_template(template, context)?.as_str() {
                "traditional" => true,
                "alphabetic" => false,
                other => return Err(Error::run("an unknown letter-value").found(other).expected("alphabetic or traditional")),
            },
            None => false,
        };
        if let Some(language) = &instruction.language {
            self.value_template(language, context)?;
        }
        let numbers = match &instruction.value {
            Some(value) => {
                let value = self.evaluate(value, context)?;
                let number = number::round(self.to_number(&value));
                if !(number.is_finite() && number >= 0.5) {
                    // An error that is recovered as string() would (XSLT 1.0 errata); .NET does so too.
                    return Ok(self.to_text(&Value::Number(self.to_number(&value))));
                }
                vec![number]
            }
            None => self.count(instruction, context.node)?,
        };
        // Nothing to count: nothing to write, not even what stands around a number.
        if numbers.is_empty() {
            return Ok(String::new());
        }
        Ok(format_list(&numbers, &format, &grouping, traditional))
    }

    fn counts(&mut self, instruction: &NumberInstruction, node: Node, start: Node) -> Result<bool> {
        match &instruction.count {
            Some(alternatives) => self.matches_any(alternatives, node),
            None => Ok(self.alike(node, start)),
        }
    }

    fn begins(&mut self, instruction: &NumberInstruction, node: Node) -> Result<bool> {
        match &instruction.from {
            Some(alternatives) => self.matches_any(alternatives, node),
            None => Ok(false),
        }
    }

    /// Same kind, and same name if it has one.
    fn alike(&self, node: Node, start: Node) -> bool {
        if node.is_namespace() || start.is_namespace() {
            return node == start;
        }
        let (one, other) = (self.tree_ref(node), self.tree_ref(start));
        let name = |tree: &Tree, node: Node| tree.qname(node.id()).map(|qname| self.names.name(qname));
        one.kind(node.id()) == other.kind(start.id()) && name(one, node) == name(other, start)
    }

    fn parent(&self, node: Node) -> Option<Node> {
        if node.is_namespace() {
            return Some(node.with(node.id()));
        }
        (node.id() != 0).then(|| node.with(self.tree_ref(node).parent(node.id())))
    }

    fn count(&mut self, instruction: &NumberInstruction, node: Node) -> Result<Vec<f64>> {
        match instruction.level {
            Level::Single | Level::Multiple => {
                let mut numbers = Vec::new();
                let mut next = Some(node);
                while let Some(at) = next {
                    self.charge(1)?;
                    // Only what is inside the nearest that begins is searched.
                    if self.begins(instruction, at)? {
                        break;
                    }
                    if self.counts(instruction, at, node)? {
                        numbers.push(self.rank(instruction, at, node)?);
                        if instruction.level == Level::Single {
                            return if self.is_inside(instruction, at)? { Ok(numbers) } else { Ok(Vec::new()) };
                        }
                    }
                    next = self.parent(at);
                }
                numbers.reverse();
                Ok(numbers)
            }
            Level::Any => self.count_any(instruction, node),
        }
    }

    /// With `from`, only what has an ancestor, or itself is one, that matches it is numbered.
    fn is_inside(&mut self, instruction: &NumberInstruction, node: Node) -> Result<bool> {
        if instruction.from.is_none() {
            return Ok(true);
        }
        let mut next = Some(node);
        while let Some(at) = next {
            if self.begins(instruction, at)? {
                return Ok(true);
            }
            next = self.parent(at);
        }
        Ok(false)
    }

    /// One more than the siblings before it that count.
    fn rank(&mut self, instruction: &NumberInstruction, node: Node, start: Node) -> Result<f64> {
        if node.is_namespace() {
            return Ok(1.0);
        }
        let tree = self.tree(node);
        // Numbering a list from front to back asks for the same siblings again and again: go on from the last answer.
        let key = instruction as *const NumberInstruction as usize;
        let parent = if node.id() == 0 { None } else { Some(node.with(tree.parent(node.id()))) };
        let name = self.alike_name(start);
        let varies = instruction.count.iter().flatten().any(Pattern::varies);
        let known = self.counted.get(&key).copied().filter(|known| !varies && Some(known.0) == parent && known.1 < node && known.3 == name);
        let mut count = 1.0;
        let mut at = tree.previous_sibling(node.id());
        while let Some(sibling) = at {
            self.charge(1)?;
            let candidate = node.with(sibling);
            if let Some((_, last, rank, _)) = known
                && candidate == last
            {
                count += rank;
                break;
            }
            if self.counts(instruction, candidate, start)? {
                count += 1.0;
            }
            at = tree.previous_sibling(sibling);
        }
        if let Some(parent) = parent
            && !tree.is(node.id(), Kind::Attribute)
        {
            self.counted.insert(key, (parent, node, count, name));
        }
        Ok(count)
    }

    fn alike_name(&self, node: Node) -> u64 {
        if node.is_namespace() {
            return u64::MAX;
        }
        let tree = self.tree_ref(node);
        let name = tree.qname(node.id()).map_or(u64::from(u32::MAX), |qname| u64::from(self.names.name(qname).0));
        (tree.kind(node.id()) as u64) << 40 | name
    }

    /// Nodes before this one in document order, and itself, that count, since the last that begins.
    fn count_any(&mut self, instruction: &NumberInstruction, node: Node) -> Result<Vec<f64>> {
        let tree = self.tree(node);
        let mut count = 0.0;
        let mut at = node;
        loop {
            self.charge(1)?;
            let skipped = at != node && tree.is(at.id(), Kind::Attribute);
            if !skipped {
                let begins = instruction.from.is_some() && self.begins(instruction, at)?;
                // What begins the counting is not counted itself, but the node asked for is.
                if begins && at != node {
                    break;
                }
                if self.counts(instruction, at, node)? {
                    count += 1.0;
                }
                if begins {
                    break;
                }
            }
            if at.is_namespace() {
                at = at.with(at.id());
            } else if at.id() == 0 {
                break;
            } else {
                at = at.with(at.id() - 1);
            }
        }
        Ok(if count > 0.0 { vec![count] } else { Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_follow_their_format() {
        let none = Grouping::default();
        for (numbers, format, text) in [
            (&[1.0, 2.0, 3.0][..], "1.1", "1.2.3"),
            (&[1.0, 2.0, 3.0], "1. a) i", "1. b) iii"),
            (&[4.0, 28.0], "I-A", "IV-AB"),
            (&[7.0], "001", "007"),
            (&[1000.0], "01", "1000"),
            (&[5.0], "(1)", "(5)"),
            (&[5.0, 6.0], "1", "5.6"),
            (&[27.0, 703.0], "a", "aa.aaa"),
            (&[4000.0], "i", "4000"),
            (&[3.0], "*", "*3*"),
            (&[12.0], "\u{967}", "\u{967}\u{968}"),
            (&[25.0], "\u{3B1}", "\u{3B1}\u{3B1}"),
        ] {
            assert_eq!(format_list(numbers, format, &none, false), text, "{numbers:?} as {format}");
        }
        let grouping = Grouping { separator: " ".to_owned(), size: 3 };
        assert_eq!(format_list(&[1_234_567.0], "1", &grouping, false), "1 234 567");
    }
}
