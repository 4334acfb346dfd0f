//! The way back: what the server behind answers, read off its hop connection, checked, and passed on to the client.
//!
//! A hop connection goes back to the pool only when exactly one answer to exactly one whole request was read from it. Anything else ends
//! it, so no answer can reach another client.

use std::io::{ErrorKind, Read};

use super::chunk::BodyDecoder;
use super::connection::{AnswerState, Connection, Facts, HopConnection, Slot, Stage};
use super::exchange::UPLOAD_BUFFER;
use super::relay::{Flow, HopFlow, Relay};
use super::reply::{self, ReplyFraming};
use super::shared::add;
use super::slab::Key;

/// An answer with this status is none: the connection of its client is cut. For faults on purpose; no HTTP status is that high.
pub const STATUS_CUT: u16 = 599;

/// Bytes of an answer's head.
const ANSWER_HEAD_BYTES: usize = 64 << 10;

impl Relay {
    /// A hop connection can be read or written.
    pub(super) fn hop_event(&mut self, key: Key, readable: bool, writable: bool) {
        let Some(mut hop) = self.hops.take(key) else { return };
        if writable {
            // What was full is read from: a thread of tiny_http serves this connection.
            if hop.flush() {
                self.warm(&mut hop);
            }
            if hop.cut && hop.pending() == 0 {
                hop.end();
            }
            if hop.pending() <= UPLOAD_BUFFER / 2
                && let Some(client_key) = hop.client
                && let Some(client) = self.clients.get_mut(client_key)
                && let Stage::Exchange { upload: Some(upload), .. } = &mut client.stage
                && upload.paused
            {
                upload.paused = false;
                // When it can not be watched any more, its next deadline closes it.
                let _ = client.update_watch();
            }
        }
        if !readable {
            return self.settle_hop(key, hop, HopFlow::Stay);
        }
        let client_key = hop.client;
        let mut client = client_key.and_then(|client| self.clients.take(client));
        let (hop_flow, client_flow) = self.hop_read(&mut hop, client.as_deref_mut());
        self.answered(key, hop, hop_flow, client_key.zip(client), client_flow);
    }

    /// Puts both ends back after an answer went on, and lets the client go on.
    fn answered(
        &mut self,
        key: Key,
        hop: Box<HopConnection>,
        hop_flow: HopFlow,
        client: Option<(Key, Box<Connection>)>,
        client_flow: Flow,
    ) {
        self.settle_hop(key, hop, hop_flow);
        if let Some((client_key, mut client)) = client {
            let flow = if client_flow == Flow::Stay { self.advance(client_key, &mut client) } else { client_flow };
            self.settle_client(client_key, client, flow);
        }
    }

    fn hop_read(&mut self, hop: &mut HopConnection, client: Option<&mut Connection>) -> (HopFlow, Flow) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let read = hop.watched.socket().read(&mut scratch);
        let flows = match read {
            Ok(0) => self.hop_ended(hop, client),
            Ok(count) => {
                self.warm(hop);
                self.hop_sent(hop, client, &scratch[..count])
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => (HopFlow::Stay, Flow::Stay),
            Err(_) => self.hop_ended(hop, client),
        };
        self.scratch = scratch;
        flows
    }

    /// The server behind has closed the connection.
    fn hop_ended(&mut self, hop: &mut HopConnection, client: Option<&mut Connection>) -> (HopFlow, Flow) {
        match (&hop.state, client) {
            (AnswerState::Idle, _) | (_, None) => (HopFlow::Close, Flow::Stay),
            (AnswerState::Head, Some(client)) => (HopFlow::Close, self.bad_gateway(hop, client, "the connection ended before the answer")),
            (AnswerState::Body { .. }, Some(_)) => {
                add(&self.shared.tally.hop_failures, 1);
                log::error!("answer cut off reason=\"its handler stopped in the middle\"");
                (HopFlow::Close, Flow::Reset)
            }
        }
    }

    fn hop_sent(&mut self, hop: &mut HopConnection, client: Option<&mut Connection>, data: &[u8]) -> (HopFlow, Flow) {
        match &hop.state {
            AnswerState::Idle => {
                log::error!("hop closed reason=\"bytes came that nobody asked for\"");
                (HopFlow::Close, Flow::Stay)
            }
            AnswerState::Head => {
                hop.incoming.extend_from_slice(data);
                self.answer_head(hop, client)
            }
            AnswerState::Body { .. } => self.answer_body(hop, client, data, Vec::new()),
        }
    }

    /// The head of an answer, as far as it has come.
    fn answer_head(&mut self, hop: &mut HopConnection, mut client: Option<&mut Connection>) -> (HopFlow, Flow) {
        let facts = match client.as_deref() {
            Some(Connection { stage: Stage::Exchange { facts, .. }, .. }) => *facts,
            _ => Facts { keep_alive: false, http10: false, to_head: hop.to_head },
        };
        let found = reply::scan_reply(&hop.incoming, &mut hop.scanned).and_then(|length| match length {
            Some(length) => reply::parse(&hop.incoming[..length], hop.to_head).map(|reply| Some((reply, length))),
            None if hop.incoming.len() > ANSWER_HEAD_BYTES => Err("its head is too large"),
            None => Ok(None),
        });
        let (reply, length) = match found {
            Ok(Some(found)) => found,
            Ok(None) => return (HopFlow::Stay, Flow::Stay),
            Err(explanation) => {
                return match client {
                    Some(client) => (HopFlow::Close, self.bad_gateway(hop, client, explanation)),
                    None => (HopFlow::Close, Flow::Stay),
                };
            }
        };
        if reply.status == STATUS_CUT {
            return (HopFlow::Close, Flow::Reset);
        }
        if let (ReplyFraming::Length(length), Some(client)) = (reply.framing, client.as_deref_mut())
            && length > self.shared.settings.reply_buffer as u64
            && !self.make_bulk(hop, client)
        {
            return self.wait_for_slot(hop, client, facts);
        }
        let rest = hop.incoming.split_off(length);
        hop.incoming = Vec::new();
        hop.deadline = Some(self.now + self.shared.settings.answer_wait);
        let mut out = reply.head;
        if let Some(client) = client.as_deref_mut() {
            // A body that was not wholly read: nothing after it can be understood.
            if !hop.request_complete {
                client.unread = true;
                client.close = true;
                if let Stage::Exchange { upload, .. } = &mut client.stage {
                    *upload = None;
                }
            }
            client.close |=
                reply.close || !facts.keep_alive || (facts.http10 && reply.framing == ReplyFraming::Chunked) || self.shared.stopping();
            out.extend_from_slice(reply::connection_line(client.close, facts.http10));
            if reply.framing == ReplyFraming::Chunked && !facts.http10 {
                out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            }
            out.extend_from_slice(b"\r\n");
        }
        let (decoder, chunked) = match reply.framing {
            ReplyFraming::None => (BodyDecoder::Length(0), false),
            ReplyFraming::Length(length) => (BodyDecoder::Length(length), false),
            ReplyFraming::Chunked => (BodyDecoder::chunked(), !facts.http10),
        };
        hop.state = AnswerState::Body { decoder, chunked, sent: 0 };
        self.answer_body(hop, client, &rest, out)
    }

    /// More of the body of an answer. `out`: what goes before it.
    fn answer_body(&mut self, hop: &mut HopConnection, client: Option<&mut Connection>, data: &[u8], mut out: Vec<u8>) -> (HopFlow, Flow) {
        let AnswerState::Body { decoder, chunked, sent } = &mut hop.state else { return (HopFlow::Close, Flow::Reset) };
        hop.deadline = Some(self.now + self.shared.settings.answer_wait);
        let (mut used, mut done) = (0, *decoder == BodyDecoder::Length(0));
        let direct = out.is_empty() && !*chunked && matches!(decoder, BodyDecoder::Length(_));
        let mut fault = false;
        let mut whole: &[u8] = &[];
        while used < data.len() && !done {
            let Ok(piece) = decoder.next(&data[used..]) else {
                fault = true;
                break;
            };
            used += piece.used;
            done = piece.done;
            *sent += piece.data.len() as u64;
            if direct {
                whole = piece.data;
            } else if *chunked && !piece.data.is_empty() {
                out.extend_from_slice(format!("{:x}\r\n", piece.data.len()).as_bytes());
                out.extend_from_slice(piece.data);
                out.extend_from_slice(b"\r\n");
            } else {
                out.extend_from_slice(piece.data);
            }
        }
        if done && *chunked {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        let sent = *sent;
        let bytes = if direct { whole } else { &out };
        let mut client_flow = Flow::Stay;
        if let Some(client) = client {
            if client.send(bytes).is_err() {
                client_flow = Flow::Close;
            } else if fault {
                client_flow = Flow::Reset;
            } else if done {
                client.enter(Stage::Flush, None);
            } else {
                hop.paused = client.pending() > self.reply_room();
                // A chunked answer shows only now that it is large.
                if sent > self.shared.settings.reply_buffer as u64 && !self.make_bulk(hop, client) {
                    let facts = Facts { keep_alive: false, http10: false, to_head: false };
                    return self.wait_for_slot(hop, client, facts);
                }
            }
        }
        if fault {
            add(&self.shared.tally.hop_failures, 1);
            log::error!("answer cut off reason=\"its chunks are malformed\"");
        }
        let surplus = used < data.len();
        if done && surplus {
            log::error!("hop closed reason=\"an answer was longer than its length\"");
        }
        let hop_flow = match (done, fault) {
            (_, true) => HopFlow::Close,
            (false, false) => HopFlow::Stay,
            (true, false) if surplus || hop.single || !hop.request_complete || hop.pending() > 0 => HopFlow::Close,
            (true, false) => HopFlow::Pool,
        };
        (hop_flow, client_flow)
    }

    /// A large answer moves from a small slot to a bulk one. `false`: there is none.
    fn make_bulk(&mut self, hop: &mut HopConnection, client: &Connection) -> bool {
        if !matches!(hop.slot, Slot::Small) {
            return true;
        }
        if self.bulk_active >= self.bulk_max {
            return false;
        }
        let Some(pass) = self.shared.bulk_pass(client.address, client.trusted) else { return false };
        self.free_slot(hop);
        hop.slot = Slot::Bulk { _pass: pass };
        self.bulk_active += 1;
        true
    }

    /// No bulk slot is free for a large answer: it waits, unread; at most half of the small slots may.
    fn wait_for_slot(&mut self, hop: &mut HopConnection, client: &mut Connection, facts: Facts) -> (HopFlow, Flow) {
        if self.answers_waiting.len() >= (self.small_max / 2).max(1) {
            let flow = match hop.state {
                AnswerState::Head => self.overload(client, facts, false),
                _ => Flow::Reset,
            };
            return (HopFlow::Close, flow);
        }
        hop.waiting = true;
        hop.deadline = Some(self.now + self.shared.settings.queue_wait);
        let client_key = hop.client;
        if let (Some(_), Stage::Exchange { hop: key, .. }) = (client_key, &client.stage) {
            self.answers_waiting.push_back(*key);
        }
        (HopFlow::Stay, Flow::Stay)
    }

    /// A bulk slot may be free for this answer; `false`: its address has enough.
    pub(super) fn grant_answer(&mut self, key: Key) -> bool {
        let Some(mut hop) = self.hops.take(key) else { return true };
        let client_key = hop.client;
        let client = client_key.and_then(|client| self.clients.take(client));
        let (true, Some(mut client)) = (hop.waiting, client) else {
            self.settle_hop(key, hop, HopFlow::Stay);
            return true;
        };
        if !self.make_bulk(&mut hop, &client) {
            self.settle_hop(key, hop, HopFlow::Stay);
            self.settle_client(client_key.unwrap_or(key), client, Flow::Stay);
            return false;
        }
        hop.waiting = false;
        hop.deadline = Some(self.now + self.shared.settings.answer_wait);
        let (hop_flow, flow) = match hop.state {
            AnswerState::Head => self.answer_head(&mut hop, Some(&mut client)),
            _ => (HopFlow::Stay, Flow::Stay),
        };
        self.answered(key, hop, hop_flow, client_key.zip(Some(client)), flow);
        true
    }

    /// The server behind has been silent for too long.
    pub(super) fn answer_too_late(&mut self, key: Key) {
        let Some(mut hop) = self.hops.take(key) else { return };
        hop.deadline = None;
        let waited = std::mem::take(&mut hop.waiting);
        let client_key = hop.client.take();
        let client = client_key.and_then(|client| self.clients.take(client));
        let before_answer = matches!(hop.state, AnswerState::Head);
        let hop_flow = if waited || (hop.client.is_none() && !before_answer) { HopFlow::Close } else { HopFlow::Stay };
        if let (Some(client_key), Some(mut client)) = (client_key, client) {
            let flow = if waited && before_answer {
                let facts = Facts { keep_alive: false, http10: false, to_head: false };
                self.overload(&mut client, facts, false)
            } else if before_answer {
                self.give_up(&mut client)
            } else {
                Flow::Reset
            };
            let flow = if flow == Flow::Stay { self.advance(client_key, &mut client) } else { flow };
            // Its exchange is over for the client; the hop goes on alone, and keeps its slot while its handler runs.
            self.settle_client(client_key, client, flow);
        }
        self.settle_hop(key, hop, hop_flow);
    }

    /// Nobody has answered in time.
    pub(super) fn give_up(&mut self, client: &mut Connection) -> Flow {
        add(&self.shared.tally.hop_failures, 1);
        log::error!("request given up reason=\"no answer in time\" wait_s={}", self.shared.settings.answer_wait.as_secs());
        self.own(client, 504, "the request takes too long; it may still be carried out", false)
    }

    fn bad_gateway(&mut self, hop: &HopConnection, client: &mut Connection, explanation: &str) -> Flow {
        add(&self.shared.tally.hop_failures, 1);
        log::error!("answer refused reason=\"{explanation}\"");
        self.own(client, 502, "the server behind gave no proper answer; the request may have been carried out", !hop.request_complete)
    }
}
