//! The way in: what a client sends, from its head over admission and body to its turn with the server behind. The way back is `answer`.
//!
//! Each function acts on one event and returns what becomes of the connection. A client connection that is being worked on is out of
//! its slab, and so is a hop connection; both are put back by `settle_client` and `settle_hop`.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::address::forwarded_client;
use super::answer::STATUS_CUT;
use super::chunk::BodyDecoder;
use super::connection::{
    AnswerState, Connection, Facts, HopConnection, Incoming, Pending, READ_BYTES, READ_KEPT_BYTES, Slot, Stage, Upload, Way,
};
use super::gate::{Admission, Answer, Answering, Asker};
use super::head::{Framing, HopFraming, Parsed, check, scan, write_framing};
use super::relay::{Flow, HopFlow, Relay};
use super::reply;
use super::shared::add;
use super::slab::Key;

/// Bytes of a relayed body that the server behind has not yet taken; then the client is not read.
pub(super) const UPLOAD_BUFFER: usize = 128 << 10;
/// An unfinished head larger than this is refused while as many bytes are kept as may be.
const HEAD_BYTES_SURE: usize = 4 << 10;
/// What a client that must wait is told, in seconds.
const RETRY_AFTER: &str = "2";

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl Relay {
    /// A client connection can be read or written.
    pub(super) fn client_event(&mut self, key: Key, readable: bool, writable: bool, gone: bool) {
        let Some(mut client) = self.clients.take(key) else { return };
        let flow = self.client_ready(key, &mut client, readable, writable, gone);
        self.settle_client(key, client, flow);
    }

    fn client_ready(&mut self, key: Key, client: &mut Connection, readable: bool, writable: bool, gone: bool) -> Flow {
        if writable && client.flush().is_err() {
            return Flow::Close;
        }
        if readable {
            let wanted = match &client.stage {
                Stage::Head | Stage::Collect(_) | Stage::Linger(_) => true,
                Stage::Exchange { upload: Some(upload), .. } => !upload.paused,
                _ => false,
            };
            if wanted {
                let (mut scratch, mut plain) = (std::mem::take(&mut self.scratch), std::mem::take(&mut self.plain));
                let most = if matches!(client.stage, Stage::Exchange { .. }) { READ_BYTES } else { READ_KEPT_BYTES };
                let flow = match client.receive(&mut scratch[..most], &mut plain) {
                    Ok(Incoming::Data(data)) => self.client_sent(client, data),
                    Ok(Incoming::Nothing) => Flow::Stay,
                    Ok(Incoming::End) => self.client_ended(client),
                    Err(_) => Flow::Close,
                };
                (self.scratch, self.plain) = (scratch, plain);
                if flow != Flow::Stay {
                    return flow;
                }
            } else if gone || client.watched.watch(false, client.is_pending()).is_err() {
                return Flow::Close;
            }
        }
        self.advance(key, client)
    }

    /// Bytes have come from a client that is being read.
    fn client_sent(&mut self, client: &mut Connection, data: &[u8]) -> Flow {
        match &mut client.stage {
            Stage::Linger(left) => {
                *left = left.saturating_sub(data.len());
                if *left == 0 { Flow::Close } else { Flow::Stay }
            }
            Stage::Exchange { upload: Some(_), .. } => self.upload(client, data),
            _ => {
                if client.incoming.is_empty() && client.requests > 0 && matches!(client.stage, Stage::Head) {
                    client.deadline = Some(self.now + self.shared.settings.head_wait);
                }
                client.incoming.extend_from_slice(data);
                Flow::Stay
            }
        }
    }

    /// The client sends no more although more is wanted. One that is only waiting for its answer is not read, so it may end early.
    fn client_ended(&mut self, client: &Connection) -> Flow {
        if matches!(client.stage, Stage::Collect(_) | Stage::Exchange { .. }) {
            add(&self.shared.tally.uploads_aborted, 1);
        }
        Flow::Close
    }

    /// Goes on as far as what has come allows.
    pub(super) fn advance(&mut self, key: Key, client: &mut Connection) -> Flow {
        loop {
            match &client.stage {
                Stage::Head => {
                    if !client.blank_skipped && client.scanned <= 1 && client.incoming.starts_with(b"\r\n") {
                        client.incoming.drain(..2);
                        (client.blank_skipped, client.scanned) = (true, 0);
                    }
                    if client.incoming.is_empty() {
                        client.incoming = Vec::new();
                        return Flow::Stay;
                    }
                    let most = self.shared.settings.head_bytes;
                    let flow = match scan(&client.incoming, &mut client.scanned, false) {
                        Err(fault) => self.malformed(client, fault.status, fault.explanation),
                        Ok(Some(length)) if length <= most => self.begin(key, client, length),
                        Ok(None) if client.incoming.len() > HEAD_BYTES_SURE && self.shared.buffers_full() => {
                            let facts = Facts { keep_alive: false, http10: false, to_head: false };
                            self.overload(client, facts, true)
                        }
                        Ok(None) if client.incoming.len() <= most => return Flow::Stay,
                        Ok(_) => self.malformed(client, 431, "the head of the request is too large"),
                    };
                    if flow != Flow::Stay {
                        return flow;
                    }
                }
                Stage::Collect(_) => {
                    if client.incoming.is_empty() {
                        return Flow::Stay;
                    }
                    let flow = self.collect(key, client);
                    if flow != Flow::Stay {
                        return flow;
                    }
                }
                Stage::Exchange { hop, .. } => {
                    // The client has taken something: the hop may be read again.
                    let hop_key = *hop;
                    if client.pending() <= self.reply_room() / 2
                        && let Some(hop) = self.hops.get_mut(hop_key)
                        && hop.paused
                    {
                        hop.paused = false;
                        if hop.update_watch().is_err() {
                            return Flow::Reset;
                        }
                    }
                    return Flow::Stay;
                }
                Stage::Flush => {
                    if client.is_pending() {
                        return Flow::Stay;
                    }
                    if client.close || self.shared.stopping() {
                        client.finish_writing();
                        if !client.unread {
                            return Flow::Close;
                        }
                        client.incoming = Vec::new();
                        let settings = &self.shared.settings;
                        client.enter(Stage::Linger(settings.linger_bytes), Some(self.now + settings.linger_wait));
                        return Flow::Stay;
                    }
                    (client.scanned, client.blank_skipped) = (0, false);
                    let wait = if client.incoming.is_empty() { self.shared.settings.idle_wait } else { self.shared.settings.head_wait };
                    client.enter(Stage::Head, Some(self.now + wait));
                }
                Stage::Queued(_) | Stage::Taken(..) | Stage::Linger(_) => return Flow::Stay,
            }
        }
    }

    /// How much of an answer may be kept for a client.
    pub(super) fn reply_room(&self) -> usize {
        if self.shared.buffers_full() { 0 } else { self.shared.settings.reply_buffer }
    }

    /// A whole head is here: checks it, asks the gate, and goes on to the body.
    fn begin(&mut self, key: Key, client: &mut Connection, length: usize) -> Flow {
        let mut bytes = std::mem::take(&mut client.incoming);
        let shared = Arc::clone(&self.shared);
        let settings = &shared.settings;
        let outcome = check(&bytes[..length], settings).map(|parsed| {
            let (peer, https) = self.who(client, &parsed);
            client.requests += 1;
            let facts = Facts {
                keep_alive: parsed.keep_alive && client.requests < settings.requests_per_connection && !shared.stopping(),
                http10: parsed.http10,
                to_head: parsed.method == "HEAD",
            };
            let head = parsed.head(peer.ip(), https);
            // A panic in the gate costs its request, not the thread that serves thousands.
            let admission = catch_unwind(AssertUnwindSafe(|| shared.gate.admit(&head))).unwrap_or_else(|_| {
                log::error!("request refused reason=\"the gate panicked\"");
                Admission::Refuse(Answer::new(500, "Internal Server Error", "the request could not be judged; see the log"))
            });
            let small = matches!(parsed.framing, Framing::Length(length) if length > 0 && length <= settings.small_body as u64);
            let way = match admission {
                Admission::Take { .. } if small => Way::Gate(Box::new(parsed.request(peer, https))),
                _ => Way::Hop(parsed.write_for_hop(shared.hop.secret().as_str(), peer, https)),
            };
            (parsed.framing, parsed.expects_continue, facts, admission, way)
        });
        let (framing, expects_continue, facts, admission, way) = match outcome {
            Ok(outcome) => outcome,
            Err(fault) => return self.malformed(client, fault.status, fault.explanation),
        };
        add(&self.shared.tally.requests, 1);
        bytes.drain(..length);
        client.incoming = bytes;
        client.scanned = 0;
        let unread = !matches!(framing, Framing::None | Framing::Length(0));
        let max_body = match admission {
            Admission::Admit { max_body } | Admission::Take { max_body } => max_body,
            Admission::Refuse(refusal) => {
                add(&self.shared.tally.requests_refused, 1);
                return self.answer(client, &refusal, facts, unread);
            }
        };
        let declared = match framing {
            Framing::Length(length) => Some(length),
            _ => None,
        };
        if declared.is_some_and(|length| length > max_body) {
            return self.too_large(client, facts, max_body);
        }
        let decoder = match framing {
            Framing::None | Framing::Length(0) => None,
            Framing::Length(length) => Some(BodyDecoder::Length(length)),
            Framing::Chunked => Some(BodyDecoder::chunked()),
        };
        let complete = decoder.is_none();
        let has_body = framing != Framing::None;
        let mut pending = Box::new(Pending {
            way,
            body: Vec::new(),
            decoder,
            complete,
            has_body,
            declared,
            max_body,
            expects_continue,
            facts,
            wait: None,
        });
        if complete {
            return self.turn_small(key, client, pending);
        }
        // A small body is asked for at once; a large one when it has a slot.
        let small = declared.is_none_or(|length| length <= settings.small_body as u64);
        if small && pending.expects_continue {
            pending.expects_continue = false;
            if client.incoming.is_empty() && client.send(CONTINUE).is_err() {
                return Flow::Close;
            }
        }
        client.enter(Stage::Collect(pending), Some(self.now + settings.small_body_wait));
        if small { Flow::Stay } else { self.collect(key, client) }
    }

    /// Who the client is, and whether it speaks over TLS: a trusted proxy is believed.
    fn who(&self, client: &Connection, parsed: &Parsed<'_>) -> (SocketAddr, bool) {
        let direct = (SocketAddr::new(client.peer.ip().to_canonical(), client.peer.port()), client.is_tls());
        if !client.trusted {
            return direct;
        }
        let lines = |name: &'static str| {
            parsed.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
        };
        let named = forwarded_client(lines("X-Forwarded-For"), &self.shared.settings.trusted_proxies);
        let https = lines("X-Forwarded-Proto").next_back().map_or(direct.1, |scheme| scheme.eq_ignore_ascii_case("https"));
        (named.map_or(direct.0, |address| SocketAddr::new(address, 0)), https)
    }

    /// More of a body that is gathered here.
    fn collect(&mut self, key: Key, client: &mut Connection) -> Flow {
        let mut input = std::mem::take(&mut client.incoming);
        let Stage::Collect(pending) = &mut client.stage else { return Flow::Stay };
        let mut used = 0;
        let mut fault = None;
        while let Some(decoder) = pending.decoder.as_mut().filter(|_| used < input.len()) {
            match decoder.next(&input[used..]) {
                Ok(piece) => {
                    pending.body.extend_from_slice(piece.data);
                    used += piece.used;
                    if piece.done {
                        pending.decoder = None;
                        pending.complete = true;
                    }
                }
                Err(explanation) => {
                    fault = Some(explanation);
                    break;
                }
            }
        }
        if used == input.len() {
            input = Vec::new();
        } else {
            input.drain(..used);
        }
        client.incoming = input;
        let (facts, size, max_body, complete) = (pending.facts, pending.body.len(), pending.max_body, pending.complete);
        let large = pending.declared.unwrap_or(size as u64) > self.shared.settings.small_body as u64;
        if let Some(explanation) = fault {
            return self.malformed(client, 400, explanation);
        }
        if size as u64 > max_body {
            return self.too_large(client, facts, max_body);
        }
        if !complete && !large {
            if self.shared.buffers_full() {
                return self.overload(client, facts, true);
            }
            return Flow::Stay;
        }
        let Stage::Collect(pending) = std::mem::replace(&mut client.stage, Stage::Flush) else { return Flow::Stay };
        match pending.way {
            Way::Gate(_) => self.give(key, client, *pending),
            Way::Hop(_) if large => self.turn_bulk(key, client, pending),
            Way::Hop(_) => self.turn_small(key, client, pending),
        }
    }

    /// Gives a whole request to the gate.
    fn give(&mut self, key: Key, client: &mut Connection, pending: Pending) -> Flow {
        let bytes = pending.bytes();
        let Pending { way: Way::Gate(mut request), body, facts, .. } = pending else { return Flow::Close };
        request.body = body;
        add(&self.shared.tally.requests_taken, 1);
        client.enter(Stage::Taken(facts, bytes), Some(self.now + self.shared.settings.answer_wait));
        self.taken = true;
        let answering = Answering::new(Arc::clone(&self.inbox), Asker { generation: self.generation, client: key });
        // After a panic the request is answered because `answering` is dropped.
        if catch_unwind(AssertUnwindSafe(|| self.shared.gate.take(*request, answering))).is_err() {
            log::error!("the gate panicked while it took a request: a bug, please report it with the lines above");
        }
        Flow::Stay
    }

    /// The gate has answered what it took.
    pub(super) fn taken_answered(&mut self, key: Key, answer: &Answer) {
        let Some(mut client) = self.clients.take(key) else { return };
        let mut flow = Flow::Stay;
        if let Stage::Taken(facts, _) = client.stage {
            flow = if answer.status == STATUS_CUT { Flow::Reset } else { self.answer(&mut client, answer, facts, false) };
            if flow == Flow::Stay {
                flow = self.advance(key, &mut client);
            }
        }
        self.settle_client(key, client, flow);
    }

    /// A whole request: its turn, now or later.
    fn turn_small(&mut self, key: Key, client: &mut Connection, pending: Box<Pending>) -> Flow {
        if self.small_active < self.small_max && self.small_queue.len() == 0 {
            return self.start_small(key, client, *pending);
        }
        let settings = &self.shared.settings;
        let all = self.small_queue.len() >= settings.small_queue.div_ceil(settings.loops);
        let of_address =
            !client.trusted && self.small_queue.len_of(client.address) >= settings.small_queue_per_address.div_ceil(settings.loops);
        if all || of_address {
            return self.overload(client, pending.facts, false);
        }
        self.small_queue.push(client.address, key);
        client.enter(Stage::Queued(pending), Some(self.now + self.shared.settings.queue_wait));
        Flow::Stay
    }

    /// A large body: its turn, now or later.
    fn turn_bulk(&mut self, key: Key, client: &mut Connection, mut pending: Box<Pending>) -> Flow {
        if self.bulk_active < self.bulk_max
            && self.bulk_queue.is_empty()
            && let Some(pass) = self.shared.bulk_pass(client.address, client.trusted)
        {
            return self.start_bulk(key, client, *pending, Slot::Bulk { _pass: pass });
        }
        let room =
            self.bulk_queue.len() < self.shared.settings.bulk_queue.div_ceil(self.shared.settings.loops) && !self.shared.buffers_full();
        pending.wait = if room { self.shared.wait_pass(client.address, client.trusted) } else { None };
        if pending.wait.is_none() {
            return self.overload(client, pending.facts, true);
        }
        self.bulk_queue.push_back(key);
        client.enter(Stage::Queued(pending), Some(self.now + self.shared.settings.queue_wait));
        Flow::Stay
    }

    /// Gives free slots to who waits.
    pub(super) fn serve_queues(&mut self) {
        while self.small_active < self.small_max
            && let Some(key) = self.small_queue.pop()
        {
            self.serve(key, None);
        }
        while self.bulk_active < self.bulk_max
            && let Some(key) = self.answers_waiting.front().copied()
        {
            let granted = self.grant_answer(key);
            self.answers_waiting.pop_front();
            if !granted {
                self.answers_waiting.push_back(key);
                break;
            }
        }
        let mut at = 0;
        while self.bulk_active < self.bulk_max
            && let Some(key) = self.bulk_queue.get(at).copied()
        {
            let Some(client) = self.clients.get_mut(key).filter(|client| matches!(client.stage, Stage::Queued(_))) else {
                self.bulk_queue.remove(at);
                continue;
            };
            match self.shared.bulk_pass(client.address, client.trusted) {
                Some(pass) => {
                    self.bulk_queue.remove(at);
                    self.serve(key, Some(Slot::Bulk { _pass: pass }));
                }
                // Its address has enough: the next one's turn.
                None => at += 1,
            }
        }
    }

    fn serve(&mut self, key: Key, bulk: Option<Slot>) {
        let Some(mut client) = self.clients.take(key) else { return };
        let mut flow = Flow::Stay;
        match std::mem::replace(&mut client.stage, Stage::Flush) {
            Stage::Queued(pending) => {
                flow = match bulk {
                    Some(slot) => self.start_bulk(key, &mut client, *pending, slot),
                    None => self.start_small(key, &mut client, *pending),
                };
                if flow == Flow::Stay {
                    flow = self.advance(key, &mut client);
                }
            }
            other => client.stage = other,
        }
        self.settle_client(key, client, flow);
    }

    /// Gives a whole request to the server behind, on a pooled connection.
    fn start_small(&mut self, key: Key, client: &mut Connection, pending: Pending) -> Flow {
        let pooled = loop {
            match self.pool.pop() {
                None => break None,
                Some((key, _)) => {
                    if let Some(hop) = self.hops.take(key) {
                        break Some((key, hop));
                    }
                }
            }
        };
        let Some((hop_key, mut hop)) = pooled.or_else(|| self.connect_hop(false, Slot::None)) else {
            return self.overload(client, pending.facts, false);
        };
        hop.slot = Slot::Small;
        self.small_active += 1;
        add(&self.shared.tally.small_active, 1);
        let Pending { way: Way::Hop(mut head), body, has_body, facts, .. } = pending else { return Flow::Close };
        write_framing(&mut head, HopFraming::Whole(has_body.then_some(body.len())));
        head.extend_from_slice(&body);
        self.ask(&mut hop, key, facts, true);
        hop.send(&head);
        client.enter(Stage::Exchange { hop: hop_key, upload: None, facts }, None);
        self.settle_hop(hop_key, hop, HopFlow::Stay);
        Flow::Stay
    }

    /// Begins to relay a large body, on a connection of its own.
    fn start_bulk(&mut self, key: Key, client: &mut Connection, pending: Pending, slot: Slot) -> Flow {
        let Some((hop_key, mut hop)) = self.connect_hop(true, slot) else {
            return self.overload(client, pending.facts, true);
        };
        self.bulk_active += 1;
        let Pending { way: Way::Hop(mut head), body, decoder, declared, max_body, expects_continue, facts, .. } = pending else {
            return Flow::Close;
        };
        write_framing(&mut head, HopFraming::Relayed(declared));
        self.ask(&mut hop, key, facts, decoder.is_none());
        hop.send(&head);
        hop.send_chunk(&body);
        let upload = match decoder {
            None => {
                hop.send(b"0\r\n\r\n");
                None
            }
            Some(decoder) => {
                let paused = hop.pending() > UPLOAD_BUFFER;
                Some(Upload { decoder, received: body.len() as u64, max_body, paused })
            }
        };
        let ask = expects_continue && upload.is_some() && body.is_empty();
        client.enter(Stage::Exchange { hop: hop_key, upload, facts }, None);
        self.settle_hop(hop_key, hop, HopFlow::Stay);
        if ask && client.send(CONTINUE).is_err() { Flow::Close } else { Flow::Stay }
    }

    /// Readies a hop connection for a request.
    fn ask(&mut self, hop: &mut HopConnection, client: Key, facts: Facts, complete: bool) {
        hop.client = Some(client);
        hop.to_head = facts.to_head;
        hop.state = AnswerState::Head;
        hop.incoming.clear();
        hop.scanned = 0;
        hop.request_complete = complete;
        hop.deadline = complete.then(|| self.now + self.shared.settings.answer_wait);
    }

    /// More of a relayed body.
    fn upload(&mut self, client: &mut Connection, data: &[u8]) -> Flow {
        let Stage::Exchange { hop: hop_key, upload, facts } = &mut client.stage else { return Flow::Stay };
        let (hop_key, facts) = (*hop_key, *facts);
        let (Some(mut hop), Some(body)) = (self.hops.take(hop_key), upload.as_mut()) else { return Flow::Close };
        let mut used = 0;
        let mut trouble = None;
        let mut done = false;
        while used < data.len() && !done && trouble.is_none() {
            match body.decoder.next(&data[used..]) {
                Ok(piece) => {
                    body.received += piece.data.len() as u64;
                    client.moved_in += piece.data.len() as u64;
                    used += piece.used;
                    done = piece.done;
                    if body.received > body.max_body {
                        trouble = Some(None);
                    } else {
                        hop.send_chunk(piece.data);
                    }
                }
                Err(explanation) => trouble = Some(Some(explanation)),
            }
        }
        let max_body = body.max_body;
        body.paused = hop.pending() > UPLOAD_BUFFER;
        if done && trouble.is_none() {
            hop.send(b"0\r\n\r\n");
            hop.request_complete = true;
            hop.deadline = Some(self.now + self.shared.settings.answer_wait);
            *upload = None;
            client.incoming.extend_from_slice(&data[used..]);
        }
        self.settle_hop(hop_key, hop, HopFlow::Stay);
        match trouble {
            None => Flow::Stay,
            Some(explanation) => {
                self.part(client);
                match explanation {
                    Some(explanation) => self.malformed(client, 400, explanation),
                    None => self.too_large(client, facts, max_body),
                }
            }
        }
    }

    /// The client leaves its exchange: what becomes of the hop connection. A request that was handed over whole is left to finish,
    /// so that its slot stays taken as long as its handler runs; one that was not is ended between two chunks.
    pub(super) fn part(&mut self, client: &mut Connection) {
        let Stage::Exchange { hop: hop_key, .. } = std::mem::replace(&mut client.stage, Stage::Flush) else { return };
        let Some(mut hop) = self.hops.take(hop_key) else { return };
        hop.client = None;
        hop.paused = false;
        hop.waiting = false;
        let flow = if !hop.request_complete {
            hop.cut = true;
            hop.deadline = Some(self.now + self.shared.settings.answer_wait);
            if hop.pending() == 0 {
                hop.end();
            }
            // Its slot is taken until its handler has noticed: threads behind are never more than slots.
            HopFlow::Stay
        } else if matches!(hop.state, AnswerState::Body { .. }) && hop.pending() == 0 {
            // Nobody wants the rest of this answer; its handler sees that at its next write.
            HopFlow::Close
        } else {
            HopFlow::Stay
        };
        self.settle_hop(hop_key, hop, flow);
    }

    /// A deadline of a client has passed, or it is too slow.
    pub(super) fn too_late(&mut self, client: &mut Connection) -> Flow {
        let idle = matches!(client.stage, Stage::Head) && client.incoming.is_empty();
        if !idle && !matches!(client.stage, Stage::Linger(_)) {
            add(&self.shared.tally.timeouts, 1);
        }
        match &client.stage {
            Stage::Head if idle => {
                client.finish_writing();
                Flow::Close
            }
            Stage::Head => self.own(client, 408, "the head of the request took too long", true),
            Stage::Collect(_) => self.own(client, 408, "the body of the request took too long", true),
            Stage::Queued(pending) => {
                let (facts, unread) = (pending.facts, !pending.complete);
                self.overload(client, facts, unread)
            }
            Stage::Exchange { upload: Some(_), .. } if !client.is_pending() => {
                add(&self.shared.tally.uploads_aborted, 1);
                self.part(client);
                self.own(client, 408, "the body of the request came too slowly", true)
            }
            Stage::Taken(..) => self.give_up(client),
            Stage::Exchange { .. } | Stage::Flush => Flow::Reset,
            Stage::Linger(_) => Flow::Close,
        }
    }

    /// Answers from here; then the connection is closed unless the request was read whole and the client wants more.
    fn answer(&mut self, client: &mut Connection, answer: &Answer, facts: Facts, unread: bool) -> Flow {
        client.close |= unread || !facts.keep_alive || self.shared.stopping();
        client.unread |= unread;
        let out = reply::render(answer, facts.to_head, client.close, facts.http10);
        client.enter(Stage::Flush, None);
        if client.send(&out).is_err() { Flow::Close } else { Flow::Stay }
    }

    /// Answers from here with a status of the edge's own and closes.
    pub(super) fn own(&mut self, client: &mut Connection, status: u16, explanation: &str, unread: bool) -> Flow {
        let refusal = Answer::new(status, reply::reason(status), explanation);
        let facts = match &client.stage {
            Stage::Exchange { facts, .. } | Stage::Taken(facts, _) => Facts { keep_alive: false, ..*facts },
            _ => Facts { keep_alive: false, http10: false, to_head: false },
        };
        self.answer(client, &refusal, facts, unread)
    }

    fn malformed(&mut self, client: &mut Connection, status: u16, explanation: &str) -> Flow {
        add(&self.shared.tally.requests_malformed, 1);
        log::debug!("request refused peer={} status={status} reason=\"{explanation}\"", client.peer);
        client.incoming = Vec::new();
        self.own(client, status, explanation, true)
    }

    fn too_large(&mut self, client: &mut Connection, facts: Facts, max_body: u64) -> Flow {
        add(&self.shared.tally.requests_too_large, 1);
        let explanation = format!("the body is larger than the {max_body} bytes allowed here");
        self.answer(client, &Answer::new(413, reply::reason(413), &explanation), facts, true)
    }

    pub(super) fn overload(&mut self, client: &mut Connection, facts: Facts, unread: bool) -> Flow {
        add(&self.shared.tally.requests_overload, 1);
        let refusal =
            Answer::new(503, reply::reason(503), "too many requests are waiting; try again shortly").header("Retry-After", RETRY_AFTER);
        self.answer(client, &refusal, facts, unread)
    }
}
