//! Percent escapes of addresses: paths segment by segment, queries as forms.

/// Percent-decoding with `+` for a blank; `None` for a broken escape or bytes that are not UTF-8.
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Percent-encoded, all but the unreserved characters of RFC 3986 §2.3.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// The decoded segments of a path, without empty ones. Decoded once, segment by segment: an encoded slash stays within its segment. In a path a
/// plus is a plus.
pub fn segments(path: &str) -> Option<Vec<String>> {
    path.split('/').filter(|segment| !segment.is_empty()).map(|segment| decode(&segment.replace('+', "%2B"))).collect()
}

/// Decoded pairs of a query; `None` when an escape is broken.
pub fn pairs(query: &str) -> Option<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(key, value)| Some((decode(key)?, decode(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blanks_are_written_as_a_plus_or_as_an_escape() {
        assert_eq!(
            pairs("entity=Customer+groups&company=%C3%A9%2B&x"),
            Some(vec![("entity".into(), "Customer groups".into()), ("company".into(), "é+".into()), ("x".into(), String::new())])
        );
        for broken in ["a=%", "a=%4", "a=%zz", "a=%FF"] {
            assert_eq!(pairs(broken), None, "{broken}");
        }
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "\\PC{0,60}|[%0-9a-f+&=]{0,60}") {
            let _ = pairs(&text);
        }
    }
}
