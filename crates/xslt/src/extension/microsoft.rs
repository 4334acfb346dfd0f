//! The functions of Microsoft's engine, in the namespace `urn:schemas-microsoft-com:xslt`.

use super::calendar::{Moment, parse, write_time};
use super::dates::format;
use crate::collate::{CaseOrder, TextKey};
use crate::error::{Error, Result};
use crate::name::split_qname;
use crate::run::{Context, Run};
use crate::xpath::expression::Call;
use crate::xpath::function::Function;
use crate::xpath::number;
use crate::xpath::value::Value;

impl Run<'_> {
    pub(crate) fn microsoft(&mut self, function: Function, call: &Call, context: &Context) -> Result<Value> {
        let arguments = &call.arguments[..];
        match function {
            Function::MicrosoftNodeSet => {
                let value = self.evaluate(&arguments[0], context)?;
                self.as_node_set(value)
            }
            Function::FormatDate | Function::FormatTime => {
                let text = self.text(&arguments[0], context)?.into_owned();
                let pattern = match arguments.get(1) {
                    Some(argument) => self.text(argument, context)?.into_owned(),
                    None => String::new(),
                };
                if let Some(locale) = arguments.get(2) {
                    self.text(locale, context)?;
                }
                Ok(Value::from(parse(&text).map_or(String::new(), |moment| formatted(&moment, &pattern, function == Function::FormatDate))))
            }
            Function::StringCompare => {
                let first = self.text(&arguments[0], context)?.into_owned();
                let second = self.text(&arguments[1], context)?.into_owned();
                let options = match arguments.get(3) {
                    Some(argument) => self.text(argument, context)?.into_owned(),
                    None => String::new(),
                };
                if let Some(bad) = options.chars().find(|c| !matches!(c, 'u' | 'i')) {
                    return Err(Error::run("an unknown option of ms:string-compare").found(bad.to_string()).expected("u or i"));
                }
                Ok(Value::Number(compare(&first, &second, &options)))
            }
            Function::Utc => {
                let text = self.text(&arguments[0], context)?.into_owned();
                Ok(Value::from(utc(&text)))
            }
            Function::MicrosoftNumber => {
                let text = self.text(&arguments[0], context)?.into_owned();
                Ok(Value::Number(schema_number(&text)))
            }
            Function::MicrosoftNamespaceUri | Function::MicrosoftLocalName => {
                let name = self.text(&arguments[0], context)?.into_owned();
                Ok(Value::from(self.name_at(&name, context, function == Function::MicrosoftLocalName)))
            }
            // Documents have no schema here.
            Function::SchemaInfoAvailable | Function::TypeIs => Ok(Value::Boolean(false)),
            _ => Ok(Value::text("")),
        }
    }

    /// A part of a qualified name given as text, resolved at the context node.
    fn name_at(&self, name: &str, context: &Context, local_part: bool) -> String {
        let Some((prefix, local)) = split_qname(crate::name::trim(name)) else { return String::new() };
        if local_part {
            return local.to_owned();
        }
        let tree = self.tree_ref(context.node);
        let mut id = context.node.id();
        while id != 0 && !tree.is(id, crate::tree::Kind::Element) {
            id = tree.parent(id);
        }
        let uri = self.names.find_string(prefix).and_then(|prefix| tree.resolve(id, prefix));
        uri.map_or(String::new(), |uri| self.names.text(uri).to_owned())
    }
}

/// Without a pattern, the short date or the long time of the invariant culture.
fn formatted(moment: &Moment, pattern: &str, is_date: bool) -> String {
    // A time alone has a date for .NET, the first of all; a date alone has midnight.
    let whole = Moment {
        year: moment.year.or(Some(1)),
        month: moment.month.or(Some(1)),
        day: moment.day.or(Some(1)),
        time: moment.time.or(Some(0.0)),
        zone: moment.zone,
    };
    let pattern = match (pattern, is_date) {
        ("", true) => "MM/dd/yyyy",
        ("", false) => "HH:mm:ss",
        (given, _) => given,
    };
    format(&whole, pattern)
}

fn compare(first: &str, second: &str, options: &str) -> f64 {
    let order = if options.contains('i') {
        let fold = |text: &str| text.to_lowercase();
        TextKey::new(&fold(first), CaseOrder::LowerFirst).cmp(&TextKey::new(&fold(second), CaseOrder::LowerFirst))
    } else {
        let case_order = if options.contains('u') { CaseOrder::UpperFirst } else { CaseOrder::LowerFirst };
        TextKey::new(first, case_order).cmp(&TextKey::new(second, case_order))
    };
    match order {
        std::cmp::Ordering::Less => -1.0,
        std::cmp::Ordering::Equal => 0.0,
        std::cmp::Ordering::Greater => 1.0,
    }
}

/// A moment in UTC, in a form that sorts as text.
fn utc(text: &str) -> String {
    let Some(moment) = parse(text) else { return String::new() };
    match moment.seconds() {
        Some(seconds) if moment.zone.is_some() => Moment::at(seconds, Some(0)).write(),
        Some(_) => Moment { zone: None, ..moment }.write(),
        None => moment.time.map_or(String::new(), write_time),
    }
}

/// A number of XML Schema: exponents, INF.
fn schema_number(text: &str) -> f64 {
    let text = crate::name::trim(text);
    match text {
        "INF" => f64::INFINITY,
        "-INF" => f64::NEG_INFINITY,
        _ => {
            let is_number =
                !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
            if is_number { text.parse().unwrap_or(f64::NAN) } else { number::parse(text) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_dates_and_numbers_as_microsoft_has_them() {
        assert_eq!(compare("a", "B", ""), -1.0);
        assert_eq!(compare("A", "a", "u"), -1.0);
        assert_eq!(compare("A", "a", "i"), 0.0);
        assert_eq!(utc("2026-11-25T12:00:00+02:00"), "2026-11-25T10:00:00Z");
        assert_eq!(schema_number("1e3"), 1000.0);
        assert_eq!(schema_number("-INF"), f64::NEG_INFINITY);
        assert!(schema_number("x").is_nan());
        let moment = parse("2026-11-25").expect("a date");
        assert_eq!(formatted(&moment, "", true), "11/25/2026");
        assert_eq!(formatted(&moment, "HH:mm", false), "00:00");
    }
}
