//! Whom a token is for: the spellings of our own URL that clients use as `resource`, `scope` or `aud`.
//!
//! Real clients send the environment's URL with or without a trailing slash, with the host in any case, and sometimes with the
//! default port (CONTRACT §3). All of those are one audience; anything else is another.

/// The longest audience that is looked at, in bytes.
pub const AUDIENCE_BYTES_MAX: usize = 2048;

/// The one spelling of an audience: scheme and host in lower case, without default port and without trailing slash. The path
/// keeps its case. A text that is no URL (a GUID, an `api://` name) only loses a trailing slash.
pub fn canonical(audience: &str) -> String {
    let audience = audience.strip_suffix('/').unwrap_or(audience);
    let Some((scheme, rest)) = audience.split_once("://") else {
        return audience.to_owned();
    };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let scheme = scheme.to_ascii_lowercase();
    let mut host = host.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    if !default_port.is_empty() && host.ends_with(default_port) {
        host.truncate(host.len() - default_port.len());
    }
    format!("{scheme}://{host}{path}")
}

/// A set of audiences, each in any of its spellings.
#[derive(Clone, Debug, Default)]
pub struct Audiences(Vec<String>);

impl Audiences {
    /// From texts in any spelling; empty ones are left out.
    pub fn new<T: AsRef<str>>(audiences: impl IntoIterator<Item = T>) -> Self {
        let mut canonicals: Vec<String> =
            audiences.into_iter().map(|audience| canonical(audience.as_ref())).filter(|audience| !audience.is_empty()).collect();
        canonicals.sort();
        canonicals.dedup();
        Audiences(canonicals)
    }

    /// Whether the audience is one of these, in whatever spelling.
    pub fn contains(&self, audience: &str) -> bool {
        audience.len() <= AUDIENCE_BYTES_MAX && self.0.binary_search(&canonical(audience)).is_ok()
    }

    /// Whether there is none: then no token can be for us.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_of_our_url_is_one_audience() {
        let ours = Audiences::new(["https://Exchange.example.com/", "http://127.0.0.1:8420", "00000015-0000-0000-c000-000000000000"]);
        for audience in [
            "https://exchange.example.com",
            "https://exchange.example.com/",
            "HTTPS://EXCHANGE.EXAMPLE.COM",
            "https://exchange.example.com:443",
            "https://exchange.example.com:443/",
            "http://127.0.0.1:8420/",
            "00000015-0000-0000-c000-000000000000",
            "00000015-0000-0000-c000-000000000000/",
        ] {
            assert!(ours.contains(audience), "{audience}");
        }
        for audience in [
            "",
            "/",
            "https://",
            "exchange.example.com",
            "http://exchange.example.com",
            "https://exchange.example.com:444",
            "https://exchange.example.com//",
            "https://exchange.example.com/path",
            "https://exchange.example.com.evil.example",
            "https://exchange.example.com@evil.example",
            "https://evil.example/https://exchange.example.com",
            "https://exchange.example.com?",
            "http://127.0.0.1",
        ] {
            assert!(!ours.contains(audience), "{audience}");
        }
    }

    #[test]
    fn the_path_of_an_audience_keeps_its_case() {
        let ours = Audiences::new(["https://example.com/Shop"]);
        assert!(ours.contains("https://EXAMPLE.com/Shop/"));
        assert!(!ours.contains("https://example.com/shop"));
    }

    proptest! {
        #[test]
        fn the_canonical_spelling_is_an_audience_of_itself(text in "(https?://)?[a-zA-Z0-9.:/?#-]{1,40}[a-z0-9]") {
            prop_assert!(Audiences::new([&text]).contains(&text));
        }

        #[test]
        fn any_text_has_a_canonical_spelling(text in ".{0,100}") {
            let _ = canonical(&text);
        }
    }
}
