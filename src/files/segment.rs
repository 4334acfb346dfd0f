//! Segments: append-only files that small payloads share, each with what its row says. They are the journal of enqueue: one sync makes a whole
//! batch of messages durable, and a row that a power cut takes from `queue.db` is made again from here (`store/recovery.rs`).
//!
//! A segment is a sequence of batches; all numbers are little-endian:
//!   * a batch: `ENTB`, CRC-32 of the rest (which begins, unwritten, with the segment's number and the batch's offset, 8 bytes each, so that an old batch
//!     that shines through is not taken for one of here), length of its records in 8 bytes, the records;
//!   * a record: length of its facts in 4 bytes, length of its payload in 8 bytes, the facts (JSON: `store/messages.rs` knows them), the payload.
//!
//! A batch that was cut short fails its checksum: reading ends there. Nothing is ever appended behind it, because every start begins a new segment.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};

use super::{Spool, sync_directory};
use crate::model::message::PayloadPlace;

/// A segment is closed when it has grown to this; its last batch may go beyond.
pub const SEGMENT_MAX: u64 = 64 * 1024 * 1024;
/// Disk is reserved for a segment in steps of this size, so that a sync seldom has to write the file's size.
const SEGMENT_STEP: u64 = 4 * 1024 * 1024;
/// Bytes of a segment that are filled with zeros at a time, ahead of small batches. The first write into space that is merely reserved must be noted in
/// the file system's journal, so that its sync is two; over zeros it is the data alone.
#[cfg(unix)]
const ZEROS: usize = 1024 * 1024;
/// Larger batches are worth their second sync: zeros would double what is written.
const ZEROS_FOR: usize = 128 * 1024;
/// What a batch's buffer keeps of its memory.
const BUFFER_KEPT: usize = 512 * 1024;
const MAGIC: &[u8; 4] = b"ENTB";
const BATCH_HEADER: usize = 16;
const RECORD_HEADER: usize = 12;

/// A place in the sequence of all batches: all before it is known to `queue.db`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Horizon {
    /// The number of a segment.
    pub segment: u64,
    /// An offset in it, between two batches.
    pub offset: u64,
}

/// A batch that is about to be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its records.
    pub records: u64,
    /// Where it ends.
    pub end: Horizon,
}

/// Where an unfinished batch stood, to go back to.
pub struct Mark {
    bytes: usize,
    records: u64,
}

/// Appends batches. Owned by the store's writer thread.
pub struct SegmentWriter {
    spool: Spool,
    /// The number that the next new segment gets.
    next: u64,
    current: Option<Segment>,
    /// The batch in the making, with room for its header; empty when there is none.
    batch: Vec<u8>,
    records: u64,
}

struct Segment {
    number: u64,
    file: File,
    /// Where the sealed batches end.
    end: u64,
    reserved: u64,
    /// Written up to here, with batches or zeros.
    written: u64,
}

impl SegmentWriter {
    /// Always begins a new segment, above every number in use: what a crash left at a segment's end is never written over.
    pub fn new(spool: Spool, known_max: u64) -> io::Result<Self> {
        let next = spool.segments()?.last().copied().unwrap_or(0).max(known_max) + 1;
        Ok(SegmentWriter { spool, next, current: None, batch: Vec::new(), records: 0 })
    }

    /// Adds a record to the batch in the making. The disk that it needs is reserved; nothing is written yet.
    pub fn append(&mut self, facts: &[u8], payload: &[u8]) -> io::Result<PayloadPlace> {
        if self.batch.is_empty() && self.current.as_ref().is_some_and(|segment| segment.end >= SEGMENT_MAX) {
            self.close();
        }
        if self.current.is_none() {
            self.current = Some(self.open_next()?);
        }
        let segment = self.current.as_mut().expect("a segment was just opened");
        let before = self.batch.len().max(BATCH_HEADER);
        let offset = segment.end + (before + RECORD_HEADER + facts.len()) as u64;
        let end = offset + payload.len() as u64;
        if end > segment.reserved {
            let reserved = end.div_ceil(SEGMENT_STEP) * SEGMENT_STEP;
            reserve(&segment.file, segment.reserved, reserved)?;
            segment.reserved = reserved;
        }
        self.batch.resize(before, 0);
        let length = u32::try_from(facts.len()).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a row of more than 4 GiB"))?;
        self.batch.extend_from_slice(&length.to_le_bytes());
        self.batch.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        self.batch.extend_from_slice(facts);
        self.batch.extend_from_slice(payload);
        self.records += 1;
        Ok(PayloadPlace::Segment { segment: segment.number, offset })
    }

    fn open_next(&mut self) -> io::Result<Segment> {
        let number = self.next;
        let path = self.spool.segment_path(number);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        sync_directory(&self.spool.dir.join("segments"))?;
        self.next += 1;
        Ok(Segment { number, file, end: 0, reserved: 0, written: 0 })
    }

    /// The batch's state, for [`SegmentWriter::back_to`].
    pub fn mark(&self) -> Mark {
        Mark { bytes: self.batch.len(), records: self.records }
    }

    /// Forgets the records that were added since the mark.
    pub fn back_to(&mut self, mark: &Mark) {
        self.batch.truncate(mark.bytes);
        self.records = mark.records;
    }

    /// The batch in the making, if it has records.
    pub fn pending(&self) -> Option<Pending> {
        let segment = self.current.as_ref().filter(|_| self.records > 0)?;
        Some(Pending { records: self.records, end: Horizon { segment: segment.number, offset: segment.end + self.batch.len() as u64 } })
    }

    /// Writes the batch in the making and syncs it: then its records are durable. After an error none is, and the segment is closed: what the failed
    /// write left in it is cut off.
    pub fn seal(&mut self) -> io::Result<()> {
        let Some(segment) = self.current.as_mut().filter(|_| self.records > 0) else {
            self.batch.clear();
            return Ok(());
        };
        let (start, length) = (segment.end, (self.batch.len() - BATCH_HEADER) as u64);
        self.batch[..4].copy_from_slice(MAGIC);
        self.batch[8..16].copy_from_slice(&length.to_le_bytes());
        let checksum = checksum(segment.number, segment.end, &self.batch[8..]);
        self.batch[4..8].copy_from_slice(&checksum.to_le_bytes());
        let end = segment.end + self.batch.len() as u64;
        let synced = (|| {
            if self.batch.len() <= ZEROS_FOR && end > segment.written {
                segment.written = fill(&segment.file, segment.end, segment.reserved)?;
            }
            write_at(&mut segment.file, &self.batch, segment.end)?;
            segment.file.sync_data()
        })();
        match synced {
            Ok(()) => {
                segment.end = end;
                segment.written = segment.written.max(end);
                self.forget();
            }
            // What is left of it must not be taken for promised after a power cut. A disk that refuses that too has said enough.
            Err(_) => drop(self.unseal(start)),
        }
        synced
    }

    /// Takes back the batch that was sealed last, which `from` is the beginning of: its rows could not be committed, and nobody was answered. The
    /// segment is closed.
    pub fn unseal(&mut self, from: u64) -> io::Result<()> {
        self.forget();
        let Some(mut segment) = self.current.take() else { return Ok(()) };
        segment.end = from;
        segment.file.set_len(from)?;
        segment.file.sync_all()
    }

    /// Where the next batch will begin in the current segment.
    pub fn end(&self) -> Option<Horizon> {
        self.current.as_ref().map(|segment| Horizon { segment: segment.number, offset: segment.end })
    }

    /// Size of the batch in the making.
    pub fn batch_bytes(&self) -> usize {
        self.batch.len()
    }

    /// Forgets the batch in the making.
    pub fn forget(&mut self) {
        self.batch.clear();
        self.batch.shrink_to(BUFFER_KEPT);
        self.records = 0;
    }

    /// Closes the current segment behind its last sealed batch.
    pub fn close(&mut self) {
        self.forget();
        if let Some(segment) = self.current.take() {
            // Gives back what was reserved; harmless if it fails.
            let _ = segment.file.set_len(segment.end);
        }
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        self.close();
    }
}

/// A record, read again.
pub struct Record {
    /// What its row says.
    pub facts: Vec<u8>,
    /// Where its payload is.
    pub place: PayloadPlace,
}

impl Spool {
    /// Hands over every batch behind the horizon, in order, with where it ends. Reading ends at the first that is not whole: it was never promised.
    pub fn batches_behind<E: From<io::Error>>(
        &self,
        horizon: Horizon,
        mut each: impl FnMut(Horizon, Vec<Record>) -> Result<(), E>,
    ) -> Result<(), E> {
        for number in self.segments()?.into_iter().filter(|number| *number >= horizon.segment) {
            let mut file = File::open(self.segment_path(number))?;
            let mut offset = if number == horizon.segment { horizon.offset } else { 0 };
            while let Some(batch) = read_batch(&mut file, number, offset)? {
                let end = offset + (BATCH_HEADER + batch.len()) as u64;
                each(Horizon { segment: number, offset: end }, records(&batch, number, offset + BATCH_HEADER as u64)?)?;
                offset = end;
            }
        }
        Ok(())
    }
}

/// The records of the batch at a place, as bytes; `None` when there is no whole one.
fn read_batch(file: &mut File, segment: u64, offset: u64) -> io::Result<Option<Vec<u8>>> {
    let left = file.metadata()?.len().saturating_sub(offset);
    if left < BATCH_HEADER as u64 {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut header = [0; BATCH_HEADER];
    file.read_exact(&mut header)?;
    let length = u64::from_le_bytes(header[8..16].try_into().expect("8 bytes"));
    if header[..4] != *MAGIC || length > left - BATCH_HEADER as u64 {
        return Ok(None);
    }
    let mut batch = header[8..16].to_vec();
    file.take(length).read_to_end(&mut batch)?;
    let whole = header[4..8] == checksum(segment, offset, &batch).to_le_bytes();
    Ok(whole.then(|| batch.split_off(8)))
}

/// Takes a batch apart, whose first record is at `offset`.
fn records(batch: &[u8], segment: u64, offset: u64) -> io::Result<Vec<Record>> {
    let damaged = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("segment {segment}: the batch before {offset} is not one, though its checksum holds"),
        )
    };
    let mut records = Vec::new();
    let mut at = 0;
    while at < batch.len() {
        let header = batch.get(at..at + RECORD_HEADER).ok_or_else(damaged)?;
        let facts = u32::from_le_bytes(header[..4].try_into().expect("4 bytes")) as usize;
        let payload = usize::try_from(u64::from_le_bytes(header[4..].try_into().expect("8 bytes"))).map_err(|_| damaged())?;
        let from = at + RECORD_HEADER;
        let end = from.checked_add(facts).and_then(|end| end.checked_add(payload)).filter(|end| *end <= batch.len()).ok_or_else(damaged)?;
        let place = PayloadPlace::Segment { segment, offset: offset + (from + facts) as u64 };
        records.push(Record { facts: batch[from..from + facts].to_vec(), place });
        at = end;
    }
    Ok(records)
}

/// `rest` is a batch from its length on.
fn checksum(segment: u64, offset: u64, rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(rest);
    hasher.finalize()
}

fn write_at(file: &mut File, bytes: &[u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
    }
    #[cfg(not(unix))]
    {
        file.seek(SeekFrom::Start(offset))?;
        io::Write::write_all(file, bytes)
    }
}

/// Reserves disk so that a full disk shows here, before anything is promised.
fn reserve(file: &File, from: u64, to: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), from, to - from) {
        Ok(()) => return Ok(()),
        Err(rustix::io::Errno::NOSPC) => return Err(io::Error::from(io::ErrorKind::StorageFull)),
        // A file system without it: the writes themselves take the space.
        Err(_) => {}
    }
    let _ = (file, from, to);
    Ok(())
}

/// Fills with zeros from `from` on, at most to `to`; returns how far.
fn fill(file: &File, from: u64, to: u64) -> io::Result<u64> {
    #[cfg(unix)]
    {
        static NOTHING: [u8; ZEROS] = [0; ZEROS];
        let length = NOTHING.len().min(usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX));
        std::os::unix::fs::FileExt::write_all_at(file, &NOTHING[..length], from)?;
        Ok(from + length as u64)
    }
    #[cfg(not(unix))]
    {
        let _ = (file, from);
        Ok(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{SMALL_MAX, digest};

    fn spool() -> (tempfile::TempDir, Spool) {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        (dir, spool)
    }

    fn read(spool: &Spool, place: &PayloadPlace, payload: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        spool.open_payload(place, payload.len() as u64, digest(payload).checksum)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn facts_behind(spool: &Spool, horizon: Horizon) -> Vec<String> {
        let mut found = Vec::new();
        spool
            .batches_behind::<io::Error>(horizon, |_, records| {
                found.extend(records.into_iter().map(|record| String::from_utf8(record.facts).unwrap()));
                Ok(())
            })
            .unwrap();
        found
    }

    #[test]
    fn small_payloads_share_a_segment_and_read_back() {
        let (_dir, spool) = spool();
        let mut writer = SegmentWriter::new(spool.clone(), 0).unwrap();
        let payloads: Vec<Vec<u8>> = (0..20).map(|i| vec![i as u8; 1000 * i]).collect();
        let places: Vec<_> = payloads
            .iter()
            .map(|payload| {
                let place = writer.append(b"{}", payload).unwrap();
                writer.seal().unwrap();
                place
            })
            .collect();
        for (payload, place) in payloads.iter().zip(&places) {
            assert_eq!(&read(&spool, place, payload).unwrap(), payload);
        }
        drop(writer);
        assert_eq!(spool.segments().unwrap(), [1]);
        assert_eq!(&read(&spool, &places[7], &payloads[7]).unwrap(), &payloads[7], "closing keeps what was written");
    }

    #[test]
    fn a_full_segment_is_followed_by_the_next_and_numbers_are_never_used_again() {
        let (_dir, spool) = spool();
        let mut writer = SegmentWriter::new(spool.clone(), 4).unwrap();
        let payload = vec![7u8; SMALL_MAX];
        let count = SEGMENT_MAX as usize / SMALL_MAX + 1;
        let places: Vec<_> = (0..count)
            .map(|_| {
                let place = writer.append(b"{}", &payload).unwrap();
                writer.seal().unwrap();
                place
            })
            .collect();
        assert!(matches!(places[0], PayloadPlace::Segment { segment: 5, .. }));
        assert!(matches!(places[count - 1], PayloadPlace::Segment { segment: 6, .. }));
        drop(writer);
        spool.remove_segment(6).unwrap();
        let mut writer = SegmentWriter::new(spool, 6).unwrap();
        assert!(matches!(writer.append(b"{}", b"x"), Ok(PayloadPlace::Segment { segment: 7, .. })));
    }

    #[test]
    fn batches_behind_a_horizon_are_read_again_in_order_over_segments_up_to_the_first_that_is_not_whole() {
        let (dir, spool) = spool();
        let mut horizons = Vec::new();
        for segment in 0..2 {
            let mut writer = SegmentWriter::new(spool.clone(), 0).unwrap();
            for batch in 0..3 {
                for record in 0..=batch {
                    writer.append(format!("{segment}-{batch}-{record}").as_bytes(), &[b'x'; 100]).unwrap();
                }
                let end = writer.pending().unwrap().end;
                writer.seal().unwrap();
                assert_eq!(writer.end(), Some(end));
                horizons.push(end);
            }
        }
        assert_eq!(facts_behind(&spool, horizons[1]), ["0-2-0", "0-2-1", "0-2-2", "1-0-0", "1-1-0", "1-1-1", "1-2-0", "1-2-1", "1-2-2"]);
        assert_eq!(facts_behind(&spool, horizons[5]), [""; 0]);
        let path = dir.path().join("spool/segments/0000000002");
        let whole = std::fs::read(&path).unwrap();
        let end = |horizon: Horizon| usize::try_from(horizon.offset).unwrap();
        for (cut, kept) in
            [(end(horizons[5]) - 1, 3), (end(horizons[4]), 3), (end(horizons[4]) - 1, 1), (end(horizons[3]) + 15, 1), (3, 0), (0, 0)]
        {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(facts_behind(&spool, horizons[2]).len(), kept, "cut at {cut}");
        }
        for at in end(horizons[4])..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(facts_behind(&spool, horizons[2]).len(), 3, "changed at {at}");
        }
        // The second batch's bytes, moved to the beginning, are whole, but not of there.
        std::fs::write(&path, &whole[end(horizons[3])..end(horizons[4])]).unwrap();
        assert_eq!(facts_behind(&spool, horizons[2]), [""; 0]);
    }

    #[test]
    fn what_was_taken_back_is_not_read_again() {
        let (_dir, spool) = spool();
        let mut writer = SegmentWriter::new(spool.clone(), 0).unwrap();
        writer.append(b"kept", b"1").unwrap();
        let mark = writer.mark();
        writer.append(b"a step that failed", b"2").unwrap();
        writer.back_to(&mark);
        writer.seal().unwrap();
        let from = writer.end().unwrap();
        writer.append(b"a commit that failed", b"3").unwrap();
        writer.seal().unwrap();
        writer.unseal(from.offset).unwrap();
        writer.append(b"kept too", b"4").unwrap();
        writer.seal().unwrap();
        writer.append(b"never sealed", b"5").unwrap();
        assert_eq!(writer.pending().unwrap().records, 1);
        drop(writer);
        assert_eq!(facts_behind(&spool, Horizon::default()), ["kept", "kept too"]);
    }

    #[test]
    fn a_damaged_or_short_payload_is_an_error_and_never_silently_short() {
        let (dir, spool) = spool();
        let mut writer = SegmentWriter::new(spool.clone(), 0).unwrap();
        let place = writer.append(b"{}", b"hello").unwrap();
        writer.seal().unwrap();
        drop(writer);
        let path = dir.path().join("spool/segments/0000000001");
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&spool, &place, b"hello").unwrap_err().kind(), io::ErrorKind::InvalidData);
        std::fs::write(&path, &bytes[..last]).unwrap();
        assert_eq!(read(&spool, &place, b"hello").unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
