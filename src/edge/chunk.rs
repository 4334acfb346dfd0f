//! Bodies as they arrive: `Content-Length` or chunked (RFC 9112 §7.1), decoded strictly, piece by piece, without a copy.
//!
//! Pure: bytes in, pieces out. Anything that two readers could understand differently is a fault, and a fault ends the connection:
//! no byte after it is ever looked at.

/// Hexadecimal digits of a chunk size: 15 cannot overflow.
const SIZE_DIGITS_MAX: usize = 15;
/// Bytes of chunk extensions in one size line; they are thrown away.
const EXTENSION_BYTES_MAX: usize = 256;
/// Bytes of trailers; they are thrown away.
const TRAILER_BYTES_MAX: usize = 8 << 10;

/// What is wrong with a chunked body.
pub(super) type ChunkFault = &'static str;

/// One step of decoding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// Bytes of the input that were used.
    pub used: usize,
    /// Bytes of the body; a part of what was used.
    pub data: &'a [u8],
    /// The body is complete.
    pub done: bool,
}

/// Reads a body off a stream of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BodyDecoder {
    /// This many bytes are still to come.
    Length(u64),
    Chunked(ChunkDecoder),
}

impl BodyDecoder {
    /// A decoder of a chunked body.
    pub(super) fn chunked() -> Self {
        BodyDecoder::Chunked(ChunkDecoder { state: State::SizeFirst, count: 0, size: 0 })
    }

    /// Takes the next piece off the input. It uses up the whole input unless the body is complete or a piece of data ends before.
    pub(super) fn next<'a>(&mut self, input: &'a [u8]) -> Result<Piece<'a>, ChunkFault> {
        match self {
            BodyDecoder::Length(left) => {
                let used = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= used as u64;
                Ok(Piece { used, data: &input[..used], done: *left == 0 })
            }
            BodyDecoder::Chunked(decoder) => decoder.next(input),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChunkDecoder {
    state: State,
    /// Digits, extension bytes, or trailer bytes so far.
    count: usize,
    /// Size of the chunk, then what is left of it.
    size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    SizeFirst,
    Size,
    Extension,
    SizeEnd,
    Data,
    DataEnd,
    DataEndLine,
    TrailerFirst,
    Trailer,
    TrailerEnd,
    LastEnd,
    Done,
}

impl ChunkDecoder {
    fn next<'a>(&mut self, input: &'a [u8]) -> Result<Piece<'a>, ChunkFault> {
        let mut used = 0;
        while let Some(&byte) = input.get(used) {
            if self.state == State::Done {
                break;
            }
            if self.state == State::Data {
                let rest = &input[used..];
                let length = usize::try_from(self.size).map_or(rest.len(), |size| size.min(rest.len()));
                self.size -= length as u64;
                if self.size == 0 {
                    self.state = State::DataEnd;
                }
                return Ok(Piece { used: used + length, data: &rest[..length], done: false });
            }
            self.state = self.line_byte(byte)?;
            used += 1;
        }
        Ok(Piece { used, data: &[], done: self.state == State::Done })
    }

    fn line_byte(&mut self, byte: u8) -> Result<State, ChunkFault> {
        Ok(match (self.state, byte) {
            (State::SizeFirst | State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if self.state == State::SizeFirst {
                    (self.count, self.size) = (0, 0);
                }
                self.count += 1;
                if self.count > SIZE_DIGITS_MAX {
                    return Err("a chunk size has more than 15 digits");
                }
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.size = self.size << 4 | u64::from(digit);
                State::Size
            }
            (State::Size, b';') => {
                self.count = 0;
                State::Extension
            }
            (State::Size | State::Extension, b'\r') => State::SizeEnd,
            (State::Extension, b'\t' | b' '..=b'~') => {
                self.count += 1;
                if self.count > EXTENSION_BYTES_MAX {
                    return Err("a chunk extension is longer than 256 bytes");
                }
                State::Extension
            }
            (State::SizeEnd, b'\n') => {
                self.count = 0;
                if self.size == 0 { State::TrailerFirst } else { State::Data }
            }
            (State::DataEnd, b'\r') => State::DataEndLine,
            (State::DataEndLine, b'\n') => State::SizeFirst,
            (State::TrailerFirst, b'\r') => State::LastEnd,
            (State::LastEnd, b'\n') => State::Done,
            (State::TrailerFirst, b' ' | b'\t' | b':') => return Err("a trailer line of a chunked body has no name"),
            (State::Trailer, b'\r') => State::TrailerEnd,
            (State::TrailerFirst | State::Trailer, b'\t' | b' '..=b'~') => {
                self.count += 1;
                if self.count > TRAILER_BYTES_MAX {
                    return Err("the trailers of a chunked body are longer than 8 KiB");
                }
                State::Trailer
            }
            (State::TrailerEnd, b'\n') => State::TrailerFirst,
            (State::SizeFirst | State::Size, _) => return Err("a chunk size is not a hexadecimal number"),
            (State::DataEnd | State::DataEndLine, _) => return Err("a chunk is longer than its size says"),
            _ => return Err("a line of a chunked body has a byte that is not allowed there, or does not end with CR LF"),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Decodes an input that arrives in pieces of the given size: the body and what is left over when it is complete.
    fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, bool, usize), ChunkFault> {
        let (mut decoder, mut body, mut used) = (BodyDecoder::chunked(), Vec::new(), 0);
        for part in input.chunks(step.max(1)) {
            let mut part = part;
            while !part.is_empty() {
                let piece = decoder.next(part)?;
                body.extend_from_slice(piece.data);
                used += piece.used;
                part = &part[piece.used..];
                if piece.done {
                    return Ok((body, true, input.len() - used));
                }
            }
        }
        Ok((body, false, 0))
    }

    /// The grammar again, slowly, over the whole input: `None` when it is not complete.
    fn reference(input: &[u8]) -> Option<Result<(Vec<u8>, usize), ()>> {
        type Line<'a> = Result<(&'a [u8], &'a [u8]), ()>;
        fn line(input: &[u8]) -> Option<Line<'_>> {
            for (at, byte) in input.iter().enumerate() {
                match byte {
                    b'\r' => {
                        return input.get(at + 1).map(|next| if *next == b'\n' { Ok((&input[..at], &input[at + 2..])) } else { Err(()) });
                    }
                    b'\t' | b' '..=b'~' => {}
                    _ => return Some(Err(())),
                }
            }
            None
        }
        let (mut rest, mut body) = (input, Vec::new());
        loop {
            let Ok((size_line, after)) = line(rest)? else { return Some(Err(())) };
            let digits = size_line.iter().position(|byte| *byte == b';').unwrap_or(size_line.len());
            if digits == 0 || digits > 15 || size_line.len() - digits > 257 || !size_line[..digits].iter().all(u8::is_ascii_hexdigit) {
                return Some(Err(()));
            }
            let size = usize::from_str_radix(std::str::from_utf8(&size_line[..digits]).unwrap(), 16).unwrap();
            rest = after;
            if size == 0 {
                loop {
                    let Ok((trailer, after)) = line(rest)? else { return Some(Err(())) };
                    rest = after;
                    match trailer.first() {
                        None => return Some(Ok((body, rest.len()))),
                        Some(b' ' | b'\t' | b':') => return Some(Err(())),
                        Some(_) => {}
                    }
                }
            }
            if rest.len() < size {
                return None;
            }
            body.extend_from_slice(&rest[..size]);
            rest = &rest[size..];
            match rest {
                [b'\r', b'\n', ..] => rest = &rest[2..],
                [] | [b'\r'] => return None,
                _ => return Some(Err(())),
            }
        }
    }

    #[test]
    fn what_is_ambiguous_is_a_fault() {
        for input in [
            &b"+5\r\nhello\r\n0\r\n\r\n"[..],
            b" 5\r\nhello\r\n0\r\n\r\n",
            b"5 \r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"5\nhello\r\n0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhelloX",
            b"\r\nhello",
            b"-1\r\n",
            b";a=b\r\n",
            b"5;a\nb\r\nhello\r\n0\r\n\r\n",
            b"5\r\r\nhello",
            b"0\r\n folded: trailer\r\n\r\n",
            b"0\r\n: nameless\r\n\r\n",
            b"0\r\nX: a\nY: b\r\n\r\n",
            b"0\r\nX: \x00\r\n\r\n",
            b"0\r\n\rX",
            b"FFFFFFFFFFFFFFFF\r\n",
            b"0000000000000005\r\nhello\r\n0\r\n\r\n",
        ] {
            for step in [1, 3, 1000] {
                assert!(decode(input, step).is_err(), "{}", String::from_utf8_lossy(input));
            }
        }
        let long_extension = [b"5;".as_slice(), &[b'x'; 257], b"\r\nhello\r\n"].concat();
        assert!(decode(&long_extension, 7).is_err());
        let long_trailers = [b"0\r\n".as_slice(), &b"X: aaaaaaaaaaaaaa\r\n".repeat(1000)].concat();
        assert!(decode(&long_trailers, 7).is_err());
    }

    #[test]
    fn a_body_ends_where_it_ends_and_the_rest_is_the_next_request() {
        for step in [1, 2, 5, 1000] {
            let input = b"5\r\nhello\r\n6;name=\"v\"\r\n world\r\n0\r\nX-Sum: 1\r\n\r\nGET / HTTP/1.1\r\n";
            let (body, done, _) = decode(input, step).unwrap();
            assert_eq!((body.as_slice(), done), (&b"hello world"[..], true));
        }
        assert_eq!(decode(b"0\r\n\r\nGET", 1000).unwrap(), (vec![], true, 3));
        assert!(!decode(b"5\r\nhello\r\n", 1000).unwrap().1);
        let mut length = BodyDecoder::Length(3);
        assert_eq!(length.next(b"ab").unwrap(), Piece { used: 2, data: b"ab", done: false });
        assert_eq!(length.next(b"cGET").unwrap(), Piece { used: 1, data: b"c", done: true });
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_as_the_grammar_says_however_they_arrive(
            input in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..64),
                proptest::collection::vec(proptest::sample::select(&b"0012aF;\r\n\r\n\r\n xX:+"[..]), 0..64),
                proptest::collection::vec(proptest::sample::select(&["0", "1", "2", "\r\n", "\r\n", "a", "ab", ";x", "X: y", "\r", "\n"][..]), 0..24)
                    .prop_map(|parts| parts.concat().into_bytes()),
            ],
            step in 1_usize..20,
        ) {
            let found = decode(&input, step);
            match reference(&input) {
                Some(Ok((body, rest))) => {
                    let (found_body, done, _) = found.clone().unwrap();
                    prop_assert_eq!((found_body, done), (body, true));
                    prop_assert_eq!(decode(&input, usize::MAX).unwrap().2, rest);
                }
                Some(Err(())) => prop_assert!(found.is_err()),
                // The reference waits for a whole line or chunk; the decoder may see the fault before.
                None => prop_assert!(!found.is_ok_and(|(_, done, _)| done)),
            }
        }

        #[test]
        fn what_is_encoded_comes_back(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..8), step in 1_usize..400) {
            let mut encoded = Vec::new();
            for part in &parts {
                encoded.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                encoded.extend_from_slice(part);
                encoded.extend_from_slice(b"\r\n");
            }
            encoded.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(decode(&encoded, step), Ok((parts.concat(), true, 0)));
        }
    }
}
