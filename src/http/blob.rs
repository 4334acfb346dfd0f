//! The blob endpoint: the URLs that the package API hands out, behaving as Azure Blob Storage does to its clients (CONTRACT §1.6, "Package URL
//! rules"): put, put block, put block list, get with ranges, head, conditions. No token: the URL is signed, and opens one blob.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use quick_xml::events::Event;

use super::answer::Body;
use super::{Answer, Call, address};
use crate::appliance::Appliance;
use crate::auth::signed_url::{Grant, Refused};
use crate::edge::BodyLength;
use crate::files::blob::{BLOCKS_MAX, BlobWriter, NotTaken};
use crate::store::blobs::{self, Blob, Content, Expected, Write};
use crate::store::{StoreError, increments};

/// The container that all URLs name; clients expect `/<container>/<name>`.
pub const CONTAINER: &str = "dmf";
/// A larger block list is refused: 50,000 ids of the longest kind fit.
pub const BLOCK_LIST_MAX: u64 = 8 * 1024 * 1024;
/// The longest id of a block: 64 bytes in base64, as in Azure Blob Storage.
const BLOCK_ID_MAX: usize = 88;

/// The URL of a blob, for a name made by [`blobs::name`].
pub fn url(appliance: &Appliance, name: &str, blob: &str, write: bool) -> String {
    let query = appliance.url_key.sign(name, &Grant { blob: blob.to_owned(), write }, appliance.clock.now());
    let path: Vec<String> = name.split('/').map(address::encode).collect();
    format!("{}/{CONTAINER}/{}?{query}", appliance.live().config.server.public_url, path.join("/"))
}

/// The error of the storage service: a code that its clients look at, and a text.
fn refuse(status: u16, code: &str, message: &str) -> Answer {
    let escaped = quick_xml::escape::escape(message);
    let body = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{escaped}</Message></Error>");
    let mut answer = Answer::text(status, "application/xml", body).with("x-ms-error-code", code);
    answer.reason = message.to_owned();
    answer
}

/// Whether a request on a blob may go on, from its head alone; and with how large a body.
pub fn admit(
    appliance: &Appliance,
    method: &str,
    path: &[&str],
    query: &[(String, String)],
    body: BodyLength,
) -> Result<(Grant, u64), Answer> {
    let verify = |path: &[&str]| appliance.url_key.verify(&path.join("/"), query, appliance.clock.now());
    let grant = match path {
        // A client that takes localhost for an emulator reads the container as an account's name, and writes it twice.
        [again, rest @ ..] if again.eq_ignore_ascii_case(CONTAINER) && !rest.is_empty() => verify(path).or_else(|_| verify(rest)),
        _ => verify(path),
    };
    let grant = grant.map_err(|refused| match refused {
        Refused::Expired => {
            refuse(403, "AuthenticationFailed", "this URL has expired: ask for another with GetAzureWriteUrl or GetExportedPackageUrl")
        }
        Refused::Signature => refuse(403, "AuthenticationFailed", "this URL is not as it was given out: use it unchanged"),
    })?;
    match method {
        "GET" | "HEAD" => Ok((grant, 0)),
        "PUT" if !grant.write => Err(refuse(403, "AuthorizationPermissionMismatch", "this URL is for reading only")),
        "PUT" => {
            let list = query.iter().any(|(key, value)| key.eq_ignore_ascii_case("comp") && value.eq_ignore_ascii_case("blocklist"));
            let most = if list { BLOCK_LIST_MAX } else { appliance.live().config.queue.max_body };
            match body {
                BodyLength::Known(length) if length > most => Err(too_large(most)),
                _ => Ok((grant, most)),
            }
        }
        _ => Err(refuse(405, "UnsupportedHttpVerb", "a blob is put and got here").with("Allow", "GET, HEAD, PUT")),
    }
}

fn too_large(most: u64) -> Answer {
    refuse(413, "RequestBodyTooLarge", &format!("the body is larger than {most} bytes: nothing was stored"))
}

fn failed(error: &StoreError) -> Answer {
    log::error!("request failed reason=\"{error}\"");
    if error.is_disk_full() {
        refuse(507, "InsufficientStorage", "the disk is full: nothing was stored")
    } else if error.may_pass() {
        refuse(503, "ServerBusy", "the blob cannot be stored or read now: try again later").with("Retry-After", "5")
    } else {
        refuse(500, "InternalError", "the store does not work: an operator finds the reason in the log")
    }
}

/// Answers on a blob; `path` is below the container.
pub fn route(appliance: &Arc<Appliance>, mut call: Call, path: &[&str]) {
    let length = call.declared().map_or(BodyLength::Unknown, BodyLength::Known);
    let answer = admit(appliance, &call.method, path, &call.query, length).and_then(|(grant, most)| {
        let found =
            appliance.store.read("find the blob", |connection| blobs::find(connection, &grant.blob)).map_err(|error| failed(&error))?;
        let blob = found.ok_or_else(|| refuse(404, "BlobNotFound", "this blob is no longer kept"))?;
        if call.method != "PUT" {
            return get(appliance, &call, &blob);
        }
        let free = appliance.store.spool().free_bytes();
        let wanted = appliance.live().config.queue.free_min.saturating_add(call.declared().unwrap_or(0));
        if free.is_some_and(|free| free < wanted) {
            return Err(refuse(507, "InsufficientStorage", "the disk is nearly full: nothing was stored"));
        }
        match call.query("comp").map(str::to_ascii_lowercase).as_deref() {
            None => put(appliance, &mut call, &blob, most),
            Some("block") => put_block(appliance, &mut call, &blob, most),
            Some("blocklist") => put_block_list(appliance, &mut call, &blob),
            Some(_) => Err(refuse(400, "InvalidQueryParameterValue", "comp is block or blocklist here, or left out")),
        }
    });
    let mut answer = answer.unwrap_or_else(|refusal| refusal).with("x-ms-version", "2021-08-06");
    if let Some(id) = call.header("x-ms-client-request-id").map(str::to_owned) {
        answer = answer.with("x-ms-client-request-id", id);
    }
    call.answer(answer.with("x-ms-request-id", uuid::Uuid::now_v7().to_string()));
}

fn http_date(at: crate::model::time::Timestamp) -> String {
    at.to_utc().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn expected(call: &Call) -> Expected {
    match (call.header("If-None-Match").map(str::trim), call.header("If-Match").map(str::trim)) {
        (Some("*"), _) => Expected::Nothing,
        (_, Some(tag)) => Expected::Tag(tag.to_owned()),
        _ => Expected::Anything,
    }
}

fn receive(appliance: &Appliance, call: &mut Call, most: u64) -> Result<BlobWriter, Answer> {
    let disk = |error: io::Error| failed(&StoreError::file("write the blob")(error));
    let mut writer = appliance.store.spool().receive_blob().map_err(disk)?;
    let mut refusal = None;
    let read = call.read_body(|bytes| {
        if writer.size() + bytes.len() as u64 > most {
            refusal = Some(too_large(most));
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        writer.write(bytes).inspect_err(|error| refusal = Some(disk(io::Error::from(error.kind()))))
    });
    match read {
        Ok(()) => Ok(writer),
        Err(_) => Err(refusal.unwrap_or_else(|| refuse(400, "IncompleteBody", "the body ended early: nothing was stored"))),
    }
}

fn put(appliance: &Arc<Appliance>, call: &mut Call, blob: &Blob, most: u64) -> Result<Answer, Answer> {
    if call.header("x-ms-blob-type").is_some_and(|kind| !kind.eq_ignore_ascii_case("BlockBlob")) {
        return Err(refuse(400, "InvalidHeaderValue", "x-ms-blob-type is BlockBlob here"));
    }
    let writer = receive(appliance, call, most)?;
    keep(appliance, call, blob, writer)
}

/// Makes what was received the blob's bytes.
fn keep(appliance: &Arc<Appliance>, call: &Call, blob: &Blob, writer: BlobWriter) -> Result<Answer, Answer> {
    let (file, digested) = writer.finish().map_err(|error| failed(&StoreError::file("store the blob")(error)))?;
    let now = appliance.clock.now();
    let etag = format!("\"0x{}\"", file.replace('-', "").to_uppercase());
    let size = digested.size;
    let content = Content { file: file.clone(), digested, etag: etag.clone(), written_at: now };
    let (id, condition) = (blob.id.clone(), expected(call));
    let written = appliance.store.write("write the blob", move |batch| blobs::write(batch.connection, &id, &content, &condition));
    let spool = appliance.store.spool();
    let discard = |file: &str| {
        if let Err(error) = spool.remove_blob(file) {
            log::warn!("blob file not removed reason=\"{error}\"; it takes space until the next start");
        }
    };
    match written {
        Ok(Write::Done(replaced)) => {
            replaced.iter().for_each(|file| discard(file));
            log::info!("blob received blob={} bytes={size} peer={}", blob.id, call.peer());
            Ok(Answer::empty(201).with("ETag", etag).with("Last-Modified", http_date(now)).with("x-ms-request-server-encrypted", "false"))
        }
        Ok(Write::Unexpected) => {
            discard(&file);
            Err(match expected(call) {
                Expected::Nothing => refuse(409, "BlobAlreadyExists", "the blob was written already, and If-None-Match: * was sent"),
                _ => refuse(412, "ConditionNotMet", "the blob is another than If-Match says"),
            })
        }
        Ok(Write::Unknown) => {
            discard(&file);
            Err(refuse(404, "BlobNotFound", "this blob is no longer kept"))
        }
        Err(error) => {
            discard(&file);
            Err(failed(&error))
        }
    }
}

fn put_block(appliance: &Arc<Appliance>, call: &mut Call, blob: &Blob, most: u64) -> Result<Answer, Answer> {
    let id = call.query("blockid").map(str::to_owned).filter(|id| !id.is_empty() && id.len() <= BLOCK_ID_MAX);
    let Some(id) = id else { return Err(refuse(400, "InvalidQueryParameterValue", "blockid is missing, or longer than 64 bytes")) };
    let block = receive(appliance, call, most)?.into_block();
    match appliance.blocks.put(&blob.id, &id, block, most, appliance.clock.now()) {
        Ok(()) => Ok(Answer::empty(201)),
        Err(NotTaken::TooLarge) => {
            let message = format!("a blob has at most {BLOCKS_MAX} blocks and {most} bytes: the block was not stored");
            Err(refuse(409, "BlockCountExceedsLimit", &message))
        }
        Err(NotTaken::Busy) => {
            Err(refuse(503, "ServerBusy", "too many blocks wait for their lists: try again later").with("Retry-After", "30"))
        }
    }
}

fn put_block_list(appliance: &Arc<Appliance>, call: &mut Call, blob: &Blob) -> Result<Answer, Answer> {
    let body = match call.small_body(usize::try_from(BLOCK_LIST_MAX).unwrap_or(usize::MAX)) {
        Ok(Some(body)) => body,
        Ok(None) => return Err(too_large(BLOCK_LIST_MAX)),
        Err(_) => return Err(refuse(400, "IncompleteBody", "the body ended early: nothing was stored")),
    };
    let list =
        block_list(&body).ok_or_else(|| refuse(400, "InvalidXmlDocument", "the body is no block list of Latest and Uncommitted blocks"))?;
    let most = appliance.live().config.queue.max_body;
    let blocks = appliance.blocks.take(&blob.id);
    let missing =
        || refuse(400, "InvalidBlockList", "the list names a block that was not put, or was put before a restart: put all blocks again");
    let back = |blocks, answer: Answer| {
        appliance.blocks.put_back(&blob.id, blocks, appliance.clock.now());
        Err(answer)
    };
    let mut size = 0u64;
    for id in &list {
        match blocks.get(id) {
            Some(block) => size = size.saturating_add(block.size()),
            None => return back(blocks, missing()),
        }
    }
    if size > most {
        return back(blocks, too_large(most));
    }
    let joined = appliance.store.spool().receive_blob().and_then(|mut writer| {
        list.iter().filter_map(|id| blocks.get(id)).try_for_each(|block| block.append_to(&mut writer))?;
        Ok(writer)
    });
    match joined {
        // The blocks go when the blob is kept, and come back when it is not.
        Ok(writer) => match keep(appliance, call, blob, writer) {
            Ok(answer) => Ok(answer),
            Err(refusal) => back(blocks, refusal),
        },
        Err(error) => back(blocks, failed(&StoreError::file("join the blocks")(error))),
    }
}

/// The ids of a block list, in order. `Committed` blocks are not known here: a blob is one piece once it is written.
pub(super) fn block_list(body: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)).ok()?;
    let mut reader = quick_xml::Reader::from_str(text);
    let (mut depth, mut list, mut id, mut seen) = (0usize, Vec::new(), String::new(), false);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let name = start.local_name().as_ref().to_owned();
                let fits =
                    if depth == 0 { name == "BlockList" && !seen } else { depth == 1 && matches!(name.as_str(), "Latest" | "Uncommitted") };
                if !fits {
                    return None;
                }
                seen = true;
                depth += 1;
                id.clear();
            }
            Event::Empty(start) if depth == 0 && start.local_name().as_ref() == "BlockList" && !seen => seen = true,
            Event::Empty(_) => return None,
            Event::Text(part) => id.push_str(&part.xml10_content()),
            Event::End(_) => {
                depth -= 1;
                if depth == 1 {
                    if list.len() == BLOCKS_MAX || id.trim().len() > BLOCK_ID_MAX {
                        return None;
                    }
                    list.push(id.trim().to_owned());
                    id.clear();
                }
            }
            Event::Eof => return (seen && depth == 0).then_some(list),
            _ => {}
        }
    }
}

/// The part of `size` bytes that a range names: `None` to send all, `Some(Err)` when there is none (RFC 9110 §14.2). Several ranges are all.
pub(super) fn range(value: &str, size: u64) -> Option<Result<(u64, u64), ()>> {
    let (unit, set) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    Some(match (first.trim(), last.trim()) {
        ("", suffix) => match suffix.parse::<u64>().ok()? {
            0 => Err(()),
            _ if size == 0 => Err(()),
            count => Ok((size - count.min(size), size - 1)),
        },
        (first, last) => {
            let first = first.parse::<u64>().ok()?;
            let last = if last.is_empty() { u64::MAX } else { last.parse::<u64>().ok()? };
            if last < first {
                return None;
            }
            if first >= size { Err(()) } else { Ok((first, last.min(size - 1))) }
        }
    })
}

fn get(appliance: &Arc<Appliance>, call: &Call, blob: &Blob) -> Result<Answer, Answer> {
    let content = blob.content.as_ref().ok_or_else(|| refuse(404, "BlobNotFound", "nothing was put here yet, or it is no longer kept"))?;
    let names = |header: &str| {
        let tags = call.header(header).map(str::to_owned);
        tags.map(|tags| tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == content.etag))
    };
    if names("If-Match") == Some(false) {
        return Err(refuse(412, "ConditionNotMet", "the blob is another than If-Match says"));
    }
    let described = |answer: Answer| {
        answer
            .with("ETag", content.etag.clone())
            .with("Last-Modified", http_date(content.written_at))
            .with("Accept-Ranges", "bytes")
            .with("x-ms-blob-type", "BlockBlob")
    };
    if names("If-None-Match") == Some(true) {
        return Ok(described(Answer::empty(304)));
    }
    let size = content.digested.size;
    let wanted = call.header("x-ms-range").or_else(|| call.header("Range")).and_then(|value| range(value, size));
    let (status, first, length) = match wanted {
        None => (200, 0, size),
        Some(Ok((first, last))) => (206, first, last - first + 1),
        Some(Err(())) => {
            return Err(
                refuse(416, "InvalidRange", "the range begins after the blob's end").with("Content-Range", format!("bytes */{size}"))
            );
        }
    };
    let gone = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => refuse(404, "BlobNotFound", "this blob is no longer kept"),
        _ => failed(&StoreError::file("read the blob")(error)),
    };
    let mut file = appliance.store.spool().open_blob(&content.file).map_err(gone)?;
    file.seek(SeekFrom::Start(first)).map_err(gone)?;
    let mut answer = described(Answer::empty(status)).with("Content-Type", "application/octet-stream");
    if status == 206 {
        answer = answer.with("Content-Range", format!("bytes {first}-{}/{size}", first + length - 1));
    }
    answer.body = Body::Stream(Box::new(file.take(length)), length);
    answer.delivered = fetched(appliance, blob, (first, length, size))?;
    Ok(answer)
}

/// What follows when this part of a package was fetched: when no other is left, the changes in it are the client's, and the next package begins behind
/// them.
fn fetched(
    appliance: &Arc<Appliance>,
    blob: &Blob,
    (first, length, size): (u64, u64, u64),
) -> Result<Option<Box<dyn FnOnce() + Send>>, Answer> {
    let Ok(id) = blob.id.parse() else { return Ok(None) };
    let on_offer = appliance.store.read("look for increments", |connection| increments::is_on_offer(connection, id));
    if !on_offer.map_err(|error| failed(&error))? {
        return Ok(None);
    }
    let appliance = appliance.clone();
    Ok(Some(Box::new(move || {
        if !appliance.fetched.note(&id.to_string(), first, length, size) {
            return;
        }
        match appliance.store.write("move the watermark", move |batch| increments::acked(batch.connection, id)) {
            Ok(()) => log::info!("package fetched blob={id}: its changes are the client's"),
            Err(error) => log::error!("package fetched, and not noted blob={id} reason=\"{error}\"; the next one holds its changes again"),
        }
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        for (value, size, expected) in [
            ("bytes=0-4", 10, Some(Ok((0, 4)))),
            ("bytes=5-", 10, Some(Ok((5, 9)))),
            ("bytes=5-99", 10, Some(Ok((5, 9)))),
            ("bytes=-3", 10, Some(Ok((7, 9)))),
            ("bytes=-30", 10, Some(Ok((0, 9)))),
            ("bytes=10-", 10, Some(Err(()))),
            ("bytes=0-", 0, Some(Err(()))),
            ("bytes=-0", 10, Some(Err(()))),
            ("bytes=4-2", 10, None),
            ("bytes=0-1,3-4", 10, None),
            ("lines=0-1", 10, None),
            ("bytes=a-b", 10, None),
            ("bytes=99999999999999999999-", 10, None),
            ("", 10, None),
        ] {
            assert_eq!(range(value, size), expected, "{value}");
        }
    }

    #[test]
    fn a_block_list_is_read_and_anything_else_is_not() {
        let list =
            b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<BlockList><Latest>QQ==</Latest><Uncommitted> Qg== </Uncommitted></BlockList>";
        assert_eq!(block_list(list), Some(vec!["QQ==".to_owned(), "Qg==".into()]));
        assert_eq!(block_list(b"<BlockList/>"), Some(vec![]));
        for bad in [
            "",
            "<BlockList>",
            "<BlockList><Committed>QQ==</Committed></BlockList>",
            "<List/>",
            "<BlockList><Latest><a/></Latest></BlockList>",
            "\u{fe}",
        ] {
            assert_eq!(block_list(bad.as_bytes()), None, "{bad}");
        }
    }
}
