//! Reads what a client of the token endpoint sends: a form (`application/x-www-form-urlencoded`) and Basic credentials. Bytes in,
//! texts out; knows nothing of OAuth beyond RFC 6749 §2.3.1 and §3.2.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The largest form, in bytes.
pub(super) const FORM_BYTES_MAX: usize = 64 * 1024;

/// The most members of a form; clients send about ten.
pub(super) const FORM_MEMBERS_MAX: usize = 64;

/// The longest Basic credentials, in bytes, encoded.
pub(super) const BASIC_BYTES_MAX: usize = 8 * 1024;

/// What is wrong with a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FormError {
    TooLarge,
    TooManyMembers,
    /// A `%` without two hexadecimal digits, or bytes that are no UTF-8.
    BadEncoding,
    /// A member is there twice (RFC 6749 §3.2).
    Duplicate(String),
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormError::TooLarge => write!(f, "the form is larger than {FORM_BYTES_MAX} bytes"),
            FormError::TooManyMembers => write!(f, "the form has more than {FORM_MEMBERS_MAX} members"),
            FormError::BadEncoding => {
                f.write_str("the form is not application/x-www-form-urlencoded UTF-8: expected two hexadecimal digits after each %")
            }
            FormError::Duplicate(name) => write!(f, "the form has {} twice", super::issuer::quoted(name)),
        }
    }
}

/// The members of a form. A member without a value counts as left out (RFC 6749 §3.2).
pub(super) fn parse_form(body: &[u8]) -> Result<BTreeMap<String, String>, FormError> {
    if body.len() > FORM_BYTES_MAX {
        return Err(FormError::TooLarge);
    }
    let mut members = BTreeMap::new();
    // Command line clients end the body with a line break now and then; in a form a real one is %0A.
    for pair in body.trim_ascii().split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let split = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let name = decode(&pair[..split]).ok_or(FormError::BadEncoding)?;
        let value = decode(pair.get(split + 1..).unwrap_or_default()).ok_or(FormError::BadEncoding)?;
        if members.contains_key(&name) {
            return Err(FormError::Duplicate(name));
        }
        if members.len() == FORM_MEMBERS_MAX {
            return Err(FormError::TooManyMembers);
        }
        members.insert(name, value);
    }
    members.retain(|_, value| !value.is_empty());
    Ok(members)
}

/// Form decoding: `+` is a blank, `%` begins a byte in hexadecimal, the whole is UTF-8.
fn decode(bytes: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        decoded.push(match first {
            b'+' => b' ',
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                rest = tail;
                let digit = |index: usize| char::from(digits[index]).to_digit(16);
                u8::try_from(digit(0)? * 16 + digit(1)?).ok()?
            }
            other => *other,
        });
    }
    String::from_utf8(decoded).ok()
}

/// Base64 with or without padding; clients do both.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// Client id and secret of an `Authorization: Basic` header, each form-decoded (RFC 6749 §2.3.1). `None` when the header has another
/// scheme, an error when the credentials can not be read.
pub(super) fn parse_basic(authorization: &str) -> Option<Result<(String, String), BadBasic>> {
    let (scheme, credentials) = authorization.trim().split_once([' ', '\t'])?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    Some(read_basic(credentials.trim()).ok_or(BadBasic))
}

/// The Basic credentials can not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadBasic;

impl fmt::Display for BadBasic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the Basic credentials can not be read: expected the base64 of client id, colon, client secret, both form-encoded")
    }
}

fn read_basic(credentials: &str) -> Option<(String, String)> {
    if credentials.len() > BASIC_BYTES_MAX {
        return None;
    }
    let bytes = BASE64.decode(credentials).ok()?;
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    Some((decode(&bytes[..colon])?, decode(&bytes[colon + 1..])?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn members(body: &str) -> Result<Vec<(String, String)>, FormError> {
        parse_form(body.as_bytes()).map(|members| members.into_iter().collect())
    }

    #[test]
    fn a_form_is_read_in_any_order_and_both_encodings_of_a_blank() {
        let expected: Vec<(String, String)> = vec![("a".into(), "x y".into()), ("b".into(), "ü/=".into())];
        for body in
            ["a=x+y&b=%C3%BC%2F%3D", "b=%c3%bc/=&a=x%20y", "&&a=x y&&b=ü/=&", "a=x+y&b=%C3%BC%2F%3D\r\n", "a=x+y&b=%C3%BC%2F%3D&c=&d"]
        {
            assert_eq!(members(body).unwrap(), expected, "{body}");
        }
        assert_eq!(members("").unwrap(), []);
    }

    #[test]
    fn a_form_that_can_be_read_two_ways_is_refused() {
        let table = [
            ("a=1&a=1", FormError::Duplicate("a".into())),
            ("a=1&b=2&%61=3", FormError::Duplicate("a".into())),
            ("a=%", FormError::BadEncoding),
            ("a=%4", FormError::BadEncoding),
            ("a=%zz", FormError::BadEncoding),
            ("a=%+1", FormError::BadEncoding),
            ("a=%ff", FormError::BadEncoding),
            ("%=1", FormError::BadEncoding),
        ];
        for (body, error) in table {
            assert_eq!(members(body), Err(error), "{body}");
        }
    }

    #[test]
    fn a_form_is_bounded_in_size_and_members() {
        assert_eq!(parse_form(&[b'a'; FORM_BYTES_MAX + 1]), Err(FormError::TooLarge));
        let body = |members: usize| (0..members).map(|number| format!("m{number}=1&")).collect::<String>();
        assert_eq!(members(&body(FORM_MEMBERS_MAX)).unwrap().len(), FORM_MEMBERS_MAX);
        assert_eq!(members(&body(FORM_MEMBERS_MAX + 1)), Err(FormError::TooManyMembers));
    }

    #[test]
    fn basic_credentials_are_form_encoded_within_base64() {
        let header = |text: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
        let pair = |id: &str, secret: &str| Some(Ok((id.to_owned(), secret.to_owned())));
        assert_eq!(parse_basic(&header("id:secret")), pair("id", "secret"));
        assert_eq!(parse_basic(&header("id:a:b")), pair("id", "a:b"));
        assert_eq!(parse_basic(&header("i%3Ad:a+b%25")), pair("i:d", "a b%"));
        assert_eq!(parse_basic(&header(":")), pair("", ""));
        assert_eq!(parse_basic("bAsIc  aWQ6c2VjcmV0"), pair("id", "secret"));
        assert_eq!(parse_basic("Basic aWQ6cw=="), pair("id", "s"));
        assert_eq!(parse_basic("Basic aWQ6cw"), pair("id", "s"));
        for other in ["", "Basic", "Bearer aWQ6c2VjcmV0", "aWQ6c2VjcmV0"] {
            assert_eq!(parse_basic(other), None, "{other}");
        }
        for bad in ["Basic ?", "Basic aWQ", &header("id:%"), &format!("Basic {}", "A".repeat(BASIC_BYTES_MAX + 4))] {
            assert_eq!(parse_basic(bad), Some(Err(BadBasic)), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_form_or_refused(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_form(&body);
        }

        #[test]
        fn bytes_that_look_like_a_form_are_one_or_refused(body in "[a%+=&0-9f\u{fc}]{0,60}") {
            if let Ok(members) = parse_form(body.as_bytes()) {
                prop_assert!(members.values().all(|value| !value.is_empty()));
            }
        }

        #[test]
        fn any_text_is_basic_credentials_or_not(text in "(?i)(basic )?[ -~é]{0,60}") {
            let _ = parse_basic(&text);
        }

        #[test]
        fn what_was_percent_encoded_is_read_back(value in ".{1,40}") {
            let encoded: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let members = parse_form(format!("v={encoded}").as_bytes()).unwrap();
            prop_assert_eq!(members.get("v"), Some(&value));
        }
    }
}
