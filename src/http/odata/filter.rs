//! Reads `$filter`: comparisons of a field with a literal, `and`, `or`, `not`, parentheses, and the three tests of text. Pure, bounded.

use crate::model::query::{Filter, Operator, TextTest};

/// Deeper nesting is refused.
const DEPTH_MAX: usize = 32;
/// More comparisons are refused.
const TERMS_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    Comma,
    Word(String),
    Text(String),
}

/// Reads a filter; the error says what is wrong with it.
pub fn read(text: &str) -> Result<Filter<String>, String> {
    let tokens = tokens(text)?;
    let mut reading = Reading { tokens: tokens.into_iter().peekable(), terms: 0 };
    let filter = reading.or(0)?;
    match reading.tokens.next() {
        None => Ok(filter),
        Some(token) => Err(format!("{token:?} stands where the filter should end")),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(&character) = rest.peek() {
        match character {
            c if c.is_whitespace() => {
                rest.next();
            }
            '(' | ')' | ',' => {
                rest.next();
                tokens.push(match character {
                    '(' => Token::Open,
                    ')' => Token::Close,
                    _ => Token::Comma,
                });
            }
            _ => {
                let mut word = String::new();
                while let Some(&c) = rest.peek() {
                    if c.is_whitespace() || matches!(c, '(' | ')' | ',' | '\'') {
                        break;
                    }
                    word.push(c);
                    rest.next();
                }
                if rest.peek() != Some(&'\'') {
                    tokens.push(Token::Word(word));
                    continue;
                }
                // A text, or the value of an enumeration: Microsoft.Dynamics.DataEntities.NoYes'Yes'.
                rest.next();
                let mut value = String::new();
                loop {
                    match (rest.next(), rest.peek()) {
                        (Some('\''), Some('\'')) => {
                            rest.next();
                            value.push('\'');
                        }
                        (Some('\''), _) => break,
                        (Some(c), _) => value.push(c),
                        (None, _) => return Err("a quote is opened and never closed".into()),
                    }
                }
                tokens.push(Token::Text(value));
            }
        }
    }
    Ok(tokens)
}

struct Reading {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    terms: usize,
}

impl Reading {
    fn word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.peek(), Some(Token::Word(next)) if next.eq_ignore_ascii_case(word));
        if found {
            self.tokens.next();
        }
        found
    }

    fn expect(&mut self, token: &Token, what: &str) -> Result<(), String> {
        match self.tokens.next() {
            Some(next) if next == *token => Ok(()),
            _ => Err(format!("{what} is missing")),
        }
    }

    fn or(&mut self, depth: usize) -> Result<Filter<String>, String> {
        let mut filter = self.and(depth)?;
        while self.word("or") {
            filter = Filter::Or(Box::new(filter), Box::new(self.and(depth)?));
        }
        Ok(filter)
    }

    fn and(&mut self, depth: usize) -> Result<Filter<String>, String> {
        let mut filter = self.term(depth)?;
        while self.word("and") {
            filter = Filter::And(Box::new(filter), Box::new(self.term(depth)?));
        }
        Ok(filter)
    }

    fn term(&mut self, depth: usize) -> Result<Filter<String>, String> {
        if depth == DEPTH_MAX {
            return Err(format!("it nests more than {DEPTH_MAX} deep"));
        }
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(format!("it has more than {TERMS_MAX} comparisons"));
        }
        if self.word("not") {
            return Ok(Filter::Not(Box::new(self.term(depth + 1)?)));
        }
        match self.tokens.next() {
            Some(Token::Open) => {
                let inner = self.or(depth + 1)?;
                self.expect(&Token::Close, "a closing parenthesis")?;
                Ok(inner)
            }
            Some(Token::Word(word)) => {
                let test = match word.to_ascii_lowercase().as_str() {
                    "startswith" => Some(TextTest::StartsWith),
                    "endswith" => Some(TextTest::EndsWith),
                    "contains" => Some(TextTest::Contains),
                    _ => None,
                };
                match test.filter(|_| self.tokens.peek() == Some(&Token::Open)) {
                    Some(test) => self.text_test(test),
                    None => self.comparison(word),
                }
            }
            Some(Token::Text(_)) => Err("a comparison begins with a field's name, and the value follows".into()),
            _ => Err("a comparison is missing".into()),
        }
    }

    fn text_test(&mut self, test: TextTest) -> Result<Filter<String>, String> {
        self.expect(&Token::Open, "an opening parenthesis")?;
        let Some(Token::Word(field)) = self.tokens.next() else { return Err("a field's name is missing".into()) };
        self.expect(&Token::Comma, "a comma")?;
        let Some(Token::Text(value)) = self.tokens.next() else { return Err("a text in quotes is missing".into()) };
        self.expect(&Token::Close, "a closing parenthesis")?;
        // Some clients write what the test gives: startswith(A,'x') eq true.
        let filter = Filter::Text(field, test, value);
        if !self.word("eq") {
            return Ok(filter);
        }
        match self.tokens.next() {
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("true") => Ok(filter),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("false") => Ok(Filter::Not(Box::new(filter))),
            _ => Err("true or false is missing".into()),
        }
    }

    fn comparison(&mut self, field: String) -> Result<Filter<String>, String> {
        let Some(Token::Word(operator)) = self.tokens.next() else { return Err(format!("{field} is not compared")) };
        let operator = match operator.to_ascii_lowercase().as_str() {
            "eq" => Operator::Equal,
            "ne" => Operator::NotEqual,
            "gt" => Operator::Greater,
            "ge" => Operator::GreaterOrEqual,
            "lt" => Operator::Less,
            "le" => Operator::LessOrEqual,
            _ => return Err(format!("\"{operator}\" is no comparison; eq, ne, gt, ge, lt, le are")),
        };
        let value = match self.tokens.next() {
            Some(Token::Text(value)) => Some(value),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("null") => None,
            Some(Token::Word(word)) => Some(word),
            _ => return Err(format!("{field} is compared with nothing")),
        };
        Ok(Filter::Compare(field, operator, value))
    }
}

/// A filter as text that is read as the same filter. No parenthesis stands in it that is not needed: what is within the bounds stays so.
pub fn write(filter: &Filter<String>) -> String {
    write_within(filter, 0)
}

/// As a part of what binds so: 0 is `or`, 1 `and`, 2 `not` and all that is one term.
fn write_within(filter: &Filter<String>, around: u8) -> String {
    let quoted = |value: &str| format!("'{}'", value.replace('\'', "''"));
    let (binds, text) = match filter {
        Filter::Or(one, other) => (0, format!("{} or {}", write_within(one, 0), write_within(other, 1))),
        Filter::And(one, other) => (1, format!("{} and {}", write_within(one, 1), write_within(other, 2))),
        Filter::Not(inner) => (2, format!("not {}", write_within(inner, 2))),
        Filter::Compare(field, operator, value) => {
            let operator = match operator {
                Operator::Equal => "eq",
                Operator::NotEqual => "ne",
                Operator::Greater => "gt",
                Operator::GreaterOrEqual => "ge",
                Operator::Less => "lt",
                Operator::LessOrEqual => "le",
            };
            (2, format!("{field} {operator} {}", value.as_deref().map_or("null".to_owned(), quoted)))
        }
        Filter::Text(field, test, value) => {
            let test = match test {
                TextTest::StartsWith => "startswith",
                TextTest::EndsWith => "endswith",
                TextTest::Contains => "contains",
            };
            (2, format!("{test}({field},{})", quoted(value)))
        }
    };
    if binds < around { format!("({text})") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_written_as_it_was_read() {
        let long = vec!["A eq 1"; TERMS_MAX].join(" and ");
        let deep = format!("{}A eq 1 or B eq 2{}", "not (".repeat(15), ")".repeat(15));
        for text in [
            "A eq 'x''y'",
            "not (A eq null)",
            "A eq 'null'",
            "(A gt '5' and (B le '6' or startswith(C,'z')))",
            "A eq 1 or (B eq 2 or C eq 3) and not (D eq 4 and E eq 5)",
            &long,
            &deep,
        ] {
            let filter = read(text).unwrap();
            assert_eq!(read(&write(&filter)).as_ref(), Ok(&filter), "{text}");
        }
    }

    #[test]
    fn the_filters_that_clients_send_are_read() {
        let holds = |filter: &str, row: &[(&str, &str)]| {
            let value = |name: &String| row.iter().find(|(key, _)| key == name).map(|(_, value)| (*value).to_owned());
            read(filter).unwrap_or_else(|error| panic!("{filter}: {error}")).holds(&value)
        };
        let row = [("Name", "Customer's groups"), ("Count", "10"), ("State", "Yes")];
        for (filter, expected) in [
            ("Name eq 'customer''s GROUPS'", true),
            ("Count gt 9", true),
            ("Count lt 9", false),
            ("State eq Microsoft.Dynamics.DataEntities.NoYes'Yes' and Count ge 10", true),
            ("not (Count eq 10) or State ne 'No'", true),
            ("Missing eq null", true),
            ("Missing eq 'x'", false),
            ("Name ne null", true),
            ("startswith(Name,'Cust') and endswith(Name, 'groups')", true),
            ("contains(Name,'xyz') eq false", true),
            ("Name eq 'a' or Name eq 'b' and Count eq 10", false),
        ] {
            assert_eq!(holds(filter, &row), expected, "{filter}");
        }
        for bad in [
            "",
            "Name",
            "Name eq",
            "Name like 'x'",
            "(Name eq 'x'",
            "Name eq 'x",
            "'x' eq Name",
            "Name eq 'x' 'y'",
            "startswith(Name)",
            &"(".repeat(50),
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&vec!["A eq 1"; 101].join(" or ")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn hostile_text_never_panics(text in "[A-Za-z0-9'(), ]{0,80}|\\PC{0,40}") {
            let _ = read(&text);
        }
    }
}
