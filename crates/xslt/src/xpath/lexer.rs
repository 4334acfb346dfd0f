//! Cuts the text of an expression or pattern into tokens (XPath 1.0, section 3.7).

use crate::error::{Error, ErrorKind};
use crate::name::{is_name_character, is_name_start, is_space};

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Token<'t> {
    Number(f64),
    Literal(&'t str),
    /// `$prefix:local`
    Variable(&'t str, &'t str),
    /// `prefix:local`, no operator.
    Name(&'t str, &'t str),
    /// `prefix:*`
    Wildcard(&'t str),
    /// `*` as a name test.
    Star,
    /// `* and or div mod`, as operators.
    Multiply,
    And,
    Or,
    Divide,
    Remainder,
    /// `( ) [ ] . .. @ , :: / // | + - = != < <= > >=`
    Symbol(&'static str),
    End,
}

/// A token and where it starts.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Lexeme<'t> {
    pub(crate) token: Token<'t>,
    pub(crate) at: usize,
}

/// An error with its offset in the text.
pub(crate) type At<T> = Result<T, (usize, Error)>;

/// Longest first.
const SYMBOLS: [&str; 20] = ["..", "::", "//", "!=", "<=", ">=", "(", ")", "[", "]", ".", "@", ",", "/", "|", "+", "-", "=", "<", ">"];

fn name_length(text: &str) -> usize {
    if !text.starts_with(is_name_start) {
        return 0;
    }
    text.find(|c| !is_name_character(c)).unwrap_or(text.len())
}

/// `local` or `prefix:local` at the beginning of the text.
fn qualified(text: &str) -> Option<(&str, &str, usize)> {
    let first = name_length(text);
    if first == 0 {
        return None;
    }
    let rest = &text[first..];
    if let Some(after) = rest.strip_prefix(':') {
        let second = name_length(after);
        if second > 0 {
            return Some((&text[..first], &after[..second], first + 1 + second));
        }
    }
    Some(("", &text[..first], first))
}

/// Whether a name or star after this token is an operator: there is a token before it, and that ends an operand.
fn ends_operand(previous: Option<&Token>) -> bool {
    match previous {
        None => false,
        Some(Token::Symbol(symbol)) => matches!(*symbol, ")" | "]" | "." | ".."),
        Some(Token::Multiply | Token::And | Token::Or | Token::Divide | Token::Remainder) => false,
        Some(_) => true,
    }
}

/// All tokens, closed by an end.
pub(crate) fn tokens(text: &str) -> At<Vec<Lexeme<'_>>> {
    let mut found: Vec<Lexeme> = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start_matches(is_space);
        at += rest.len() - trimmed.len();
        let Some(first) = trimmed.chars().next() else {
            found.push(Lexeme { token: Token::End, at });
            return Ok(found);
        };
        let (token, length) = one(trimmed, first, found.last().map(|lexeme| &lexeme.token)).map_err(|error| (at, error))?;
        found.push(Lexeme { token, at });
        at += length;
    }
}

fn one<'t>(text: &'t str, first: char, previous: Option<&Token>) -> Result<(Token<'t>, usize), Error> {
    let operator = ends_operand(previous);
    let wrong = |message: &str| Error::new(ErrorKind::Expression, message).found(text);
    if first == '*' {
        return Ok((if operator { Token::Multiply } else { Token::Star }, 1));
    }
    if matches!(first, '"' | '\'') {
        let Some(end) = text[1..].find(first) else { return Err(wrong("a literal has no end")) };
        return Ok((Token::Literal(&text[1..=end]), end + 2));
    }
    if first.is_ascii_digit() || first == '.' && text[1..].starts_with(|c: char| c.is_ascii_digit()) {
        let whole = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let length = match text[whole..].strip_prefix('.') {
            Some(fraction) => whole + 1 + fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len()),
            None => whole,
        };
        let value = super::number::parse(&text[..length]);
        return Ok((Token::Number(value), length));
    }
    if first == '$' {
        // White space is allowed after the dollar (section 3.7).
        let name = text[1..].trim_start_matches(is_space);
        let skipped = text.len() - name.len();
        let (prefix, local, length) = qualified(name).ok_or_else(|| wrong("a \"$\" without a name"))?;
        return Ok((Token::Variable(prefix, local), skipped + length));
    }
    if let Some((prefix, local, length)) = qualified(text) {
        if operator {
            let token = match (prefix, local) {
                ("", "and") => Token::And,
                ("", "or") => Token::Or,
                ("", "div") => Token::Divide,
                ("", "mod") => Token::Remainder,
                ("", "quo") => return Err(wrong("\"quo\" was never part of XPath 1.0").expected("div or mod")),
                _ => return Err(two_operands(text, local)),
            };
            return Ok((token, length));
        }
        if prefix.is_empty() && text[length..].starts_with(":*") {
            return Ok((Token::Wildcard(local), length + 2));
        }
        return Ok((Token::Name(prefix, local), length));
    }
    for symbol in SYMBOLS {
        if text.starts_with(symbol) {
            return Ok((Token::Symbol(symbol), symbol.len()));
        }
    }
    Err(wrong("a character that has no meaning here"))
}

fn two_operands(text: &str, name: &str) -> Error {
    let error = Error::new(ErrorKind::Expression, "an operator is missing").found(text).expected("an operator");
    match name {
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "is" | "to" | "idiv" | "union" | "intersect" | "except" | "instance" | "cast"
        | "castable" | "treat" => error.hint(format!("\"{name}\" is an operator of XPath 2; this is XPath 1.0")),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> String {
        let mut shown = String::new();
        for lexeme in tokens(text).expect("good") {
            shown.push_str(&match lexeme.token {
                Token::Number(value) => format!("{value} "),
                Token::Literal(text) => format!("{text:?} "),
                Token::Variable(prefix, local) => format!("${prefix}:{local} "),
                Token::Name(prefix, local) => format!("{prefix}:{local} "),
                Token::Wildcard(prefix) => format!("{prefix}:* "),
                Token::Star => "star ".to_owned(),
                Token::Symbol(symbol) => format!("{symbol} "),
                Token::End => String::new(),
                operator => format!("{operator:?} "),
            });
        }
        shown.trim_end().to_owned()
    }

    #[test]
    fn names_and_stars_are_operators_after_an_operand_only() {
        for (text, expected) in [
            ("* * *", "star Multiply star"),
            ("div div div", ":div Divide :div"),
            ("and[or]", ":and [ :or ]"),
            ("@* mod 2", "@ star Remainder 2"),
            ("a:b*c:*", "a:b Multiply c:*"),
            ("child::mod", ":child :: :mod"),
            ("child :: a", ":child :: :a"),
            ("$ x:y-1", "$x:y-1"),
            ("$x -1", "$:x - 1"),
            (".5+5.", "0.5 + 5"),
            ("../.", ".. / ."),
            ("a<=b!='x'", ":a <= :b != \"x\""),
        ] {
            assert_eq!(kinds(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_with_its_offset() {
        for (text, at) in [("a b", 2), ("'x", 0), ("a + #", 4), ("$ 1", 0), ("5 quo 2", 2)] {
            assert_eq!(tokens(text).expect_err("bad").0, at, "{text}");
        }
        assert!(tokens("1 to 3").expect_err("XPath 2").1.hint.is_some_and(|hint| hint.contains("XPath 2")));
    }
}
