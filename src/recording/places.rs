//! Addresses within texts: those of the real system become those of a recording, and those become the ones of whoever serves it.

use super::PLACE;

/// Below this path of the recorder lie the other hosts of the real system: `/_host/NAME/…`.
pub const HOST_PATH: &str = "_host";

/// Which hosts a recording is of.
pub struct Places {
    /// Scheme, host and port where clients reach us.
    pub own: String,
    /// Scheme, host and port of the real system.
    pub upstream: String,
    /// The same of its token endpoint.
    pub authority: String,
    /// Other hosts that its answers may lead to, such as `*.blob.core.windows.net`; only these are ever asked.
    pub also: Vec<String>,
}

/// Host and port of an origin, in lower case.
fn host_of(origin: &str) -> String {
    origin.split_once("://").map_or(origin, |(_, rest)| rest).split('/').next().unwrap_or_default().to_ascii_lowercase()
}

/// Without the port that goes without saying.
fn plain_port(host: &str) -> &str {
    host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).unwrap_or(host)
}

impl Places {
    /// Whether a host beside the real system may be asked.
    pub fn allows(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let named = |pattern: &String| match pattern.strip_prefix("*.") {
            Some(end) => host.strip_suffix(end).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            None => host == *pattern,
        };
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':')) && self.also.iter().any(named)
    }

    /// What a client sent, as the real system must read it.
    pub fn outward(&self, text: &str) -> String {
        let own = host_of(&self.own);
        map_origins(text, |host, rest| {
            if plain_port(host) != plain_port(&own) {
                return None;
            }
            let other = rest.strip_prefix('/').and_then(|rest| rest.strip_prefix(HOST_PATH)).and_then(|rest| rest.strip_prefix('/'));
            let Some(other) = other else { return Some((self.upstream.clone(), 0)) };
            let name = host_at(other);
            self.allows(name).then(|| (format!("https://{name}"), HOST_PATH.len() + 2 + name.len()))
        })
    }

    /// What the real system answered, or a client sent to us, as a recording has it.
    pub fn inward(&self, text: &str) -> String {
        let known = [host_of(&self.own), host_of(&self.upstream), host_of(&self.authority)];
        map_origins(text, |host, _| match plain_port(host) {
            host if known.iter().any(|known| plain_port(known) == host) => Some((PLACE.to_owned(), 0)),
            host if self.allows(host) => Some((format!("{PLACE}/{HOST_PATH}/{host}"), 0)),
            _ => None,
        })
    }
}

/// What a recording has, as clients of `own` must read it.
pub fn shown(text: &str, own: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(PLACE) {
        shown.push_str(before);
        // The name of another host may begin like ours.
        shown.push_str(if host_at(behind).is_empty() { own } else { PLACE });
        rest = behind;
    }
    shown.push_str(rest);
    shown
}

/// What a client of `own` sent, as a recording has it.
pub fn recorded(text: &str, own: &str) -> String {
    let own = host_of(own);
    map_origins(text, |host, _| (plain_port(host) == plain_port(&own)).then(|| (PLACE.to_owned(), 0)))
}

/// The host and port that a text begins with. What ends a sentence behind them is none of theirs.
fn host_at(text: &str) -> &str {
    let is_of_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    text[..text.find(|c| !is_of_host(c)).unwrap_or(text.len())].trim_end_matches(['.', '-', ':'])
}

/// Replaces the origins of the URLs in a text, where `map` says so: it gets host and port, in lower case, and what follows, and gives what to write and
/// how many bytes of what follows that takes the place of, too.
fn map_origins(text: &str, map: impl Fn(&str, &str) -> Option<(String, usize)>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = (&rest[..at], &rest[at + 3..]);
        let scheme = ["https", "http"]
            .into_iter()
            .find(|scheme| before.get(before.len().wrapping_sub(scheme.len())..).is_some_and(|end| end.eq_ignore_ascii_case(scheme)));
        let host = host_at(after);
        let follows = &after[host.len()..];
        match scheme.and_then(|scheme| map(&host.to_ascii_lowercase(), follows).map(|mapped| (scheme, mapped))) {
            Some((scheme, (written, used))) => {
                out.push_str(&before[..at - scheme.len()]);
                out.push_str(&written);
                rest = &follows[used.min(follows.len())..];
            }
            None => {
                out.push_str(before);
                out.push_str("://");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn places() -> Places {
        Places {
            own: "http://127.0.0.1:8430".into(),
            upstream: "https://contoso.operations.dynamics.com".into(),
            authority: "https://login.microsoftonline.com".into(),
            also: vec!["*.blob.core.windows.net".into()],
        }
    }

    #[test]
    fn addresses_of_the_real_system_are_led_through_the_recorder_and_back() {
        let places = places();
        let answer = r#"{"DownloadLocation":"http://Contoso.operations.dynamics.com:80/api/x","BlobUrl":"https://a1.blob.core.windows.net/dmf/n?sig=1","x":"https://elsewhere.example/","issuer":"https://login.microsoftonline.com/t/"}"#;
        let kept = places.inward(answer);
        assert_eq!(
            kept,
            r#"{"DownloadLocation":"https://recorded.invalid/api/x","BlobUrl":"https://recorded.invalid/_host/a1.blob.core.windows.net/dmf/n?sig=1","x":"https://elsewhere.example/","issuer":"https://recorded.invalid/t/"}"#
        );
        let told = shown(&kept, &places.own);
        assert!(told.contains("http://127.0.0.1:8430/_host/a1.blob.core.windows.net/dmf/n"));
        assert_eq!(
            places.outward(&told),
            answer
                .replace("http://Contoso.operations.dynamics.com:80", &places.upstream)
                .replace("login.microsoftonline", "contoso.operations")
                .replace("online.com/t", "x")
                .replace("contoso.operations.com/t", "contoso.operations.dynamics.com/t")
        );
        assert_eq!(recorded(&told, &places.own), kept);
        assert_eq!(places.outward("http://127.0.0.1:8430/_host/evil.example/x"), "http://127.0.0.1:8430/_host/evil.example/x");
        assert_eq!(places.outward("http://127.0.0.1:8431/"), "http://127.0.0.1:8431/");
    }

    #[test]
    fn what_stands_right_behind_an_address_hides_it_not() {
        let places = places();
        for end in [".", ":", ". Or", "-", "..."] {
            for (real, kept) in [
                ("https://contoso.operations.dynamics.com", "https://recorded.invalid"),
                ("https://a1.blob.core.windows.net", "https://recorded.invalid/_host/a1.blob.core.windows.net"),
            ] {
                let (real, kept) = (format!("See {real}{end}"), format!("See {kept}{end}"));
                assert_eq!(places.inward(&real), kept);
                assert_eq!(places.outward(&shown(&kept, &places.own)), real);
                assert_eq!(recorded(&shown(&kept, &places.own), &places.own), kept);
            }
        }
        let twice = "https://recorded.invalid://x";
        assert_eq!(recorded(&shown(twice, &places.own), &places.own), twice);
    }

    #[test]
    fn a_host_whose_name_begins_like_that_of_a_recording_stays_as_it_is() {
        let places = places();
        for other in [
            "https://recorded.invalidd/x",
            "https://recorded.invalid.example",
            "https://recorded.invalid:8443/",
            "https://recorded.invalidhttps:/",
        ] {
            assert_eq!(shown(other, &places.own), other);
        }
        let both = "https://recorded.invalidhttps://recorded.invalid";
        assert_eq!(shown(both, &places.own), "https://recorded.invalidhttp://127.0.0.1:8430");
        assert_eq!(recorded(&shown(both, &places.own), &places.own), both);
    }

    #[test]
    fn only_hosts_that_were_named_are_asked() {
        let places = places();
        for good in ["a1.blob.core.windows.net", "A.B.blob.core.windows.net"] {
            assert!(places.allows(good), "{good}");
        }
        for bad in [
            "blob.core.windows.net",
            ".blob.core.windows.net",
            "evilblob.core.windows.net",
            "a.blob.core.windows.net.evil.example",
            "a@b.blob.core.windows.net",
            "",
        ] {
            assert!(!places.allows(bad), "{bad}");
        }
    }

    /// What texts are made of that lead to a recorder, to the real system, and nearly there.
    const PIECES: &str = "(https?|HTTPS|://|https://recorded\\.invalid|recorded\\.invalid|http://127\\.0\\.0\\.1:8430|127\\.0\\.0\\.1|https://contoso\\.operations\\.dynamics\\.com|\
         https://a\\.blob\\.core\\.windows\\.net|/_host/|/x|:443|:80|:|\\.|-|d|é| ){1,8}";

    proptest! {
        #[test]
        fn what_is_recorded_comes_back_the_same_through_whoever_replays_it(text in PIECES) {
            let places = places();
            let kept = places.inward(&text);
            prop_assert_eq!(places.inward(&kept), kept.clone());
            prop_assert_eq!(recorded(&shown(&kept, &places.own), &places.own), recorded(&kept, &places.own));
        }

        #[test]
        fn texts_without_our_addresses_stay_as_they_are(text in "\\PC{0,80}|[htps:/.a-z0-9_-]{0,80}") {
            let places = places();
            prop_assert_eq!(places.inward(&text), text.clone());
            prop_assert_eq!(places.outward(&text), text);
        }
    }
}
