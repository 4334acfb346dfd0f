//! Secrets out of what is recorded: tokens, client secrets, passwords, signatures of storage addresses, cookies. Documents stay as they are: they are what
//! a recording is made for, and whoever shares one must know what is in them.

use serde_json::Value;

use crate::http::address::{encode, pairs};

/// What stands in the place of a secret.
pub const REMOVED: &str = "removed";
/// Members of forms and JSON objects, and of queries, that are secrets or tell who somebody is.
const SECRETS: [&str; 13] = [
    "access_token",
    "assertion",
    "client_assertion",
    "client_info",
    "client_secret",
    "code_verifier",
    "device_code",
    "id_token",
    "password",
    "refresh_token",
    "sig",
    "sktoken",
    "user_code",
];
/// Those that are so in forms and queries alone: in JSON an error has a `code`.
const SECRETS_OF_FORMS: [&str; 3] = ["code", "nonce", "username"];
/// Request headers that a recording keeps.
const REQUEST_HEADERS: [&str; 18] = [
    "accept",
    "content-type",
    "expect",
    "if-match",
    "if-none-match",
    "odata-maxversion",
    "odata-version",
    "overwrite",
    "prefer",
    "range",
    "user-agent",
    "x-ms-blob-content-type",
    "x-ms-blob-type",
    "x-ms-client-request-id",
    "x-ms-dyn-externalidentifier",
    "x-ms-range",
    "x-ms-version",
    "x-http-method",
];

fn is_secret(name: &str) -> bool {
    SECRETS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// The headers of a request that are kept; of Authorization only that it was there, and how.
pub fn request_headers<'h>(headers: impl Iterator<Item = (&'h str, &'h str)>) -> Vec<(String, String)> {
    let kept = headers.filter_map(|(name, value)| {
        if name.eq_ignore_ascii_case("authorization") {
            return Some((name.to_owned(), format!("{} {REMOVED}", value.split_whitespace().next().unwrap_or_default())));
        }
        REQUEST_HEADERS.contains(&name.to_ascii_lowercase().as_str()).then(|| (name.to_owned(), text(value)))
    });
    kept.collect()
}

/// Path and query.
pub fn target(target: &str) -> String {
    match target.split_once('?') {
        Some((path, query)) => format!("{path}?{}", form(query)),
        None => target.to_owned(),
    }
}

/// A form, or a query. One that cannot be read is removed whole.
pub fn form(form: &str) -> String {
    let Some(pairs) = pairs(form) else { return REMOVED.to_owned() };
    let kept = pairs.into_iter().map(|(name, value)| {
        let secret = is_secret(&name) || SECRETS_OF_FORMS.iter().any(|secret| name.eq_ignore_ascii_case(secret));
        let value = if secret { REMOVED.to_owned() } else { text(&value) };
        format!("{}={}", encode(&name), encode(&value))
    });
    kept.collect::<Vec<_>>().join("&")
}

/// A body of this content type.
pub fn body(content_type: &str, body: &str) -> String {
    if content_type.to_ascii_lowercase().contains("x-www-form-urlencoded") {
        return form(body);
    }
    match serde_json::from_str::<Value>(body) {
        Ok(mut value) if value.is_object() || value.is_array() => {
            if members(&mut value) {
                text(&value.to_string())
            } else {
                text(body)
            }
        }
        _ => text(body),
    }
}

/// Removes secret members at any depth; whether there were any.
fn members(value: &mut Value) -> bool {
    match value {
        Value::Object(object) => object.iter_mut().fold(false, |found, (name, value)| {
            if is_secret(name) && value.is_string() {
                *value = Value::String(REMOVED.into());
                return true;
            }
            members(value) | found
        }),
        Value::Array(array) => array.iter_mut().fold(false, |found, value| members(value) | found),
        _ => false,
    }
}

/// Any text: signatures in addresses, and what looks like a token. In one pass: a text may be large.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Up to `barren` no token begins: what begins later in a run that is none is shorter, and none either.
    let (mut written, mut at, mut barren) = (0, 0, 0);
    while let Some(next) = memchr::memchr2(b's', b'e', &text.as_bytes()[at..]) {
        at += next;
        let (before, rest) = text.split_at(at);
        if rest.starts_with("sig=") && !before.ends_with(|c: char| c.is_ascii_alphabetic()) {
            at += "sig=".len();
        } else {
            let run = if at >= barren && rest.starts_with("eyJ") { token_like(rest) } else { "" };
            if !is_token(run) {
                barren = barren.max(at + run.len());
                at += 1;
                continue;
            }
        }
        out.push_str(&text[written..at]);
        out.push_str(REMOVED);
        let end = |c: char| c.is_whitespace() || matches!(c, '&' | '"' | '\'' | '\\' | '<' | '>' | ',' | ';' | ')' | '}');
        at += text[at..].find(end).unwrap_or(text.len() - at);
        written = at;
    }
    out.push_str(&text[written..]);
    out
}

/// What could be a token, from here to its end.
fn token_like(text: &str) -> &str {
    let of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=');
    &text[..text.find(|c| !of_token(c)).unwrap_or(text.len())]
}

/// Three parts of base64, with two dots; the first is a JSON object, and begins as one.
fn is_token(run: &str) -> bool {
    run.len() >= 30 && run.matches('.').count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL2EifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ";

    #[test]
    fn no_secret_is_left_wherever_it_stands() {
        let headers = [("Authorization", "Bearer abc"), ("Cookie", "a=b"), ("X-Secret", "x"), ("Content-Type", "text/csv")];
        assert_eq!(
            request_headers(headers.into_iter()),
            [("Authorization".to_owned(), "Bearer removed".to_owned()), ("Content-Type".to_owned(), "text/csv".to_owned())]
        );
        assert_eq!(
            form("grant_type=password&client_secret=s%20t&Password=p&resource=https%3A%2F%2Fa"),
            "grant_type=password&client_secret=removed&Password=removed&resource=https%3A%2F%2Fa"
        );
        assert_eq!(form("client_secret=%zz"), "removed");
        assert_eq!(target("/dmf/x?sv=1&sig=abc%3D&se=2"), "/dmf/x?sv=1&sig=removed&se=2");
        assert_eq!(
            body("application/json", r#"{"access_token":"abc","nested":[{"refresh_token":"def"}],"n":1}"#),
            r#"{"access_token":"removed","nested":[{"refresh_token":"removed"}],"n":1}"#
        );
        // JSON within a text within JSON, as GetAzureWriteUrl gives it.
        let nested = r#"{"value":"{\"BlobUrl\":\"https://a/dmf/x?sv=1&sig=abc%2Fd&se=2\",\"B\":\"https://a/x?se=2\u0026sig=abc%2Fd\"}"}"#;
        assert_eq!(body("application/json", nested), nested.replace("abc%2Fd", "removed"));
        assert_eq!(body("text/plain", &format!("token {TOKEN}, and design=old")), "token removed, and design=old");
        assert_eq!(text("eyJ.a.b"), "eyJ.a.b");
        // What only looks like one hides none that follows.
        assert_eq!(text(&format!("eyJ.a.b {TOKEN} design=x sig=abc")), "eyJ.a.b removed design=x sig=removed");
        assert_eq!(text("eyJ.sig=abc"), "eyJ.sig=removed");
    }

    #[test]
    fn a_large_text_full_of_what_looks_like_secrets_takes_no_time_to_speak_of() {
        for part in ["asig=", "eyJ", "eyJ ", "sig=&", "se"] {
            let large = part.repeat(4 << 20 >> 2);
            assert!(text(&large).len() <= large.len() * 3);
        }
    }

    /// What stands around secrets: other secrets, what nearly is one, what ends one, and the escapes that each of them can stand in.
    const PIECES: &str = "(a=1&|&|=|\\?|sig=|asig=|SIG=|password=|client_secret=|eyJ|eyJhbGciOiJFUzI1NiJ9|\\.|%26|%3D|%|\\+|\"|'|\\\\|\\\\u0026|\\{|\\}|\\[|\\]|:|,|;|\n| |é|x){0,8}";

    proptest! {
        #[test]
        fn a_secret_is_removed_whatever_stands_around_it(before in PIECES, after in PIECES) {
            const SECRET: &str = "~secret~";
            let mut left = vec![
                form(&format!("{before}&Client_Secret={SECRET}&{after}")),
                text(&format!("{before} sig={SECRET}&{after}")),
                target(&format!("/dmf/x?{before}&sig={SECRET}&{after}")),
                text(&format!("{before} {TOKEN} {after}")),
                body("application/json", &format!("{before} \"{TOKEN}\" {after}")),
            ];
            let json = serde_json::json!({ "a": before, "nested": [{ "access_token": SECRET }], "b": after });
            left.push(body("application/json", &json.to_string()));
            for left in left {
                prop_assert!(!left.contains(SECRET) && !left.contains("eyJhdWQi"), "{}", left);
            }
        }

        #[test]
        fn a_secret_of_a_form_never_comes_out(secret in "[A-Za-z0-9~!*()' ]{12,40}", name in "client_secret|password|refresh_token|sig") {
            let line = format!("a=1&{name}={}&b=2", encode(&secret));
            let redacted = form(&line);
            prop_assert!(!redacted.contains(&encode(&secret)));
        }

        #[test]
        fn any_text_is_redacted_without_a_panic_and_without_growing_much(input in "\\PC{0,60}|[sig=&eyJ.\"\\\\]{0,60}") {
            prop_assert!(text(&input).len() <= input.len() * 3 + 8);
            let _ = body("application/json", &input);
        }
    }
}
