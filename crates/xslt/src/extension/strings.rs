//! EXSLT strings.

use crate::error::{Error, Result};
use crate::name::StringId;
use crate::run::{Context, Run};
use crate::tree::build::TreeBuilder;
use crate::xpath::expression::Call;
use crate::xpath::function::Function;
use crate::xpath::value::Value;

/// What a result may grow to.
const PADDING_MAX: f64 = 10_000_000.0;

impl Run<'_> {
    pub(crate) fn strings(&mut self, function: Function, call: &Call, context: &Context) -> Result<Value> {
        let arguments = &call.arguments[..];
        match function {
            Function::Tokenize => {
                let text = self.text(&arguments[0], context)?.into_owned();
                let marks = match arguments.get(1) {
                    Some(argument) => self.text(argument, context)?.into_owned(),
                    None => "\t\r\n ".to_owned(),
                };
                let tokens = if marks.is_empty() {
                    text.chars().map(String::from).collect()
                } else {
                    text.split(|c| marks.contains(c)).filter(|token| !token.is_empty()).map(str::to_owned).collect()
                };
                self.list_of_tokens(tokens)
            }
            Function::Split => {
                let text = self.text(&arguments[0], context)?.into_owned();
                let mark = match arguments.get(1) {
                    Some(argument) => self.text(argument, context)?.into_owned(),
                    None => " ".to_owned(),
                };
                let tokens = if mark.is_empty() {
                    text.chars().map(String::from).collect()
                } else {
                    text.split(&*mark).filter(|token| !token.is_empty()).map(str::to_owned).collect()
                };
                self.list_of_tokens(tokens)
            }
            Function::Replace => {
                let text = self.text(&arguments[0], context)?.into_owned();
                let from = self.list_of_texts(&arguments[1], context)?;
                let to = self.list_of_texts(&arguments[2], context)?;
                let replaced = replace(&text, &from, &to);
                let mut builder = TreeBuilder::new(self.sheet.uri.clone());
                builder.text(&replaced);
                let is_empty = replaced.is_empty();
                let root = self.add_fragment(builder.finish())?;
                Ok(Value::nodes(if is_empty { Vec::new() } else { vec![root.with(1)] }))
            }
            Function::Padding => {
                let length = self.number(&arguments[0], context)?;
                let filling = match arguments.get(1) {
                    Some(argument) => self.text(argument, context)?.into_owned(),
                    None => " ".to_owned(),
                };
                if length > PADDING_MAX {
                    return Err(Error::run("str:padding of more than ten million characters"));
                }
                let length = if length >= 1.0 { length as usize } else { 0 };
                Ok(Value::from(filling.chars().cycle().take(if filling.is_empty() { 0 } else { length }).collect::<String>()))
            }
            Function::Align => {
                let text = self.text(&arguments[0], context)?.into_owned();
                let padding = self.text(&arguments[1], context)?.into_owned();
                let alignment = match arguments.get(2) {
                    Some(argument) => self.text(argument, context)?.into_owned(),
                    None => "left".to_owned(),
                };
                Ok(Value::from(align(&text, &padding, &alignment)))
            }
            Function::ConcatNodes => {
                let nodes = self.nodes(&arguments[0], context)?;
                let joined: String = nodes.iter().map(|&node| self.node_text(node)).collect();
                Ok(Value::from(joined))
            }
            Function::EncodeUri => {
                let text = self.text(&arguments[0], context)?.into_owned();
                let reserved = self.boolean(&arguments[1], context)?;
                Ok(Value::from(encode(&text, reserved)))
            }
            _ => {
                let text = self.text(&arguments[0], context)?.into_owned();
                Ok(Value::from(decode(&text)))
            }
        }
    }

    /// A node-set's texts, or the one text.
    fn list_of_texts(&mut self, expression: &crate::xpath::expression::Expression, context: &Context) -> Result<Vec<String>> {
        Ok(match self.evaluate(expression, context)? {
            Value::Nodes(nodes) => nodes.iter().map(|&node| self.node_text(node).to_owned()).collect(),
            other => vec![self.to_text(&other)],
        })
    }

    /// `<token>` elements.
    fn list_of_tokens(&mut self, tokens: Vec<String>) -> Result<Value> {
        self.charge(tokens.len() as u64)?;
        let local = self.names.string("token");
        let name = self.names.qualified(StringId::EMPTY, StringId::EMPTY, local);
        let mut builder = TreeBuilder::new(self.sheet.uri.clone());
        let mut ids = Vec::with_capacity(tokens.len());
        for token in &tokens {
            ids.push(builder.start_element(name, 0, 0));
            builder.text(token);
            builder.end_element();
        }
        let root = self.add_fragment(builder.finish())?;
        Ok(Value::nodes(ids.into_iter().map(|id| root.with(id)).collect()))
    }
}

/// Each search text replaced by its counterpart; at one place the longest wins.
fn replace(text: &str, from: &[String], to: &[String]) -> String {
    let mut order: Vec<usize> = (0..from.len()).filter(|&index| !from[index].is_empty()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(from[index].len()));
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        match order.iter().find(|&&index| rest.starts_with(from[index].as_str())) {
            Some(&index) => {
                result.push_str(to.get(index).map_or("", String::as_str));
                rest = &rest[from[index].len()..];
            }
            None => {
                result.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    result
}

fn align(text: &str, padding: &str, alignment: &str) -> String {
    let (own, width) = (text.chars().count(), padding.chars().count());
    if own >= width {
        return text.chars().take(width).collect();
    }
    let before = match alignment {
        "right" => width - own,
        "center" => (width - own) / 2,
        _ => 0,
    };
    let start: String = padding.chars().take(before).collect();
    let end: String = padding.chars().skip(before + own).collect();
    format!("{start}{text}{end}")
}

/// Percent encoding in UTF-8; reserved characters too, if asked for.
fn encode(text: &str, reserved: bool) -> String {
    let mut result = String::with_capacity(text.len());
    for byte in text.bytes() {
        let kept = byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) || !reserved && b";/?:@&=+$,[]%".contains(&byte);
        if kept {
            result.push(char::from(byte));
        } else {
            result.push_str(&format!("%{byte:02X}"));
        }
    }
    result
}

/// The reverse; text that was not encoded in UTF-8 becomes empty.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_aligned_replaced_encoded() {
        assert_eq!(align("ab", "------", "center"), "--ab--");
        assert_eq!(align("ab", "------", "right"), "----ab");
        assert_eq!(align("abcdef", "---", "left"), "abc");
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(replace("aabab", &list(&["a", "ab"]), &list(&["x", "y"])), "xyy");
        assert_eq!(encode("a b/é", true), "a%20b%2F%C3%A9");
        assert_eq!(encode("a b/é", false), "a%20b/%C3%A9");
        assert_eq!(decode("a%20b%2F%C3%A9%"), "a b/é%");
    }
}
