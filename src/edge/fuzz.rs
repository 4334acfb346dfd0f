//! What must hold for any bytes: called by the targets in `fuzz/`, compiled for them only.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::chunk::BodyDecoder;
use super::head::{HopFraming, check, scan, write_framing};
use super::settings::Settings;

/// A head is refused, or it is not all here, or what goes over the hop has one meaning and is the same head.
pub fn head(bytes: &[u8]) {
    let settings = Settings::default();
    let Ok(Some(length)) = scan(bytes, &mut 0, false) else { return };
    assert!(bytes[..length].ends_with(b"\r\n\r\n"), "a head ends with an empty line");
    let Ok(parsed) = check(&bytes[..length], &settings) else { return };
    let client = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let asked = parsed.head(IpAddr::V4(Ipv4Addr::LOCALHOST), false);
    let mut out = parsed.write_for_hop("secret", client, false);
    write_framing(&mut out, HopFraming::Whole(Some(0)));
    let text = std::str::from_utf8(&out).expect("a hop head is ASCII");
    assert!(text.is_ascii());
    assert_eq!(text.find("\r\n\r\n"), Some(text.len() - 4), "one head, and nothing behind it: {text:?}");
    let lines: Vec<&str> = text[..text.len() - 4].split("\r\n").collect();
    assert!(lines.iter().all(|line| !line.contains(['\r', '\n', '\0'])), "{text:?}");
    assert!(lines[0].starts_with(&format!("{} {} HTTP/1.1", asked.method, asked.target)), "{text:?}");
    let of =
        |name: &str| lines[1..].iter().filter(|line| line.split(':').next().is_some_and(|given| given.eq_ignore_ascii_case(name))).count();
    for once in ["Content-Length", super::HEADER_AUTH, super::HEADER_PEER, super::HEADER_SCHEME] {
        assert_eq!(of(once), 1, "{once}: {text:?}");
    }
    for never in ["Transfer-Encoding", super::HEADER_LENGTH, "Upgrade", "Expect", "TE", "Trailer"] {
        assert_eq!(of(never), 0, "{never}: {text:?}");
    }
    assert!(of("Host") <= 1, "{text:?}");
}

fn decode(pieces: impl Iterator<Item = Vec<u8>>) -> Result<(Vec<u8>, usize, bool), &'static str> {
    let (mut decoder, mut body, mut used, mut done) = (BodyDecoder::chunked(), Vec::new(), 0, false);
    for piece in pieces {
        let mut rest = &piece[..];
        while !rest.is_empty() && !done {
            let step = decoder.next(rest)?;
            assert!(step.used > 0 && step.data.len() <= step.used, "a step goes on");
            body.extend_from_slice(step.data);
            used += step.used;
            done = step.done;
            rest = &rest[step.used..];
        }
    }
    Ok((body, used, done))
}

/// A chunked body is the same in whatever pieces it comes, and nothing after its end is touched.
pub fn chunks(cuts: &[u8], bytes: &[u8]) {
    let whole = decode(std::iter::once(bytes.to_vec()));
    let mut rest = bytes;
    let mut sizes = cuts.iter().map(|cut| usize::from(*cut) + 1).chain(std::iter::repeat(1));
    let pieces = std::iter::from_fn(|| {
        let (piece, after) = rest.split_at_checked(sizes.next()?.min(rest.len()))?;
        rest = after;
        (!piece.is_empty()).then(|| piece.to_vec())
    });
    assert_eq!(decode(pieces), whole, "cut into {cuts:?}");
    if let Ok((body, used, true)) = whole {
        assert!(body.len() < used && used <= bytes.len());
        assert!(bytes[..used].ends_with(b"\r\n"));
    }
}
