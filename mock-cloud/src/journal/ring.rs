//! The storage of the journal: entries as bytes in blocks. Writing an entry usually allocates nothing and rarely contends.
//! A message with the same prefix as the previous one, such as a forwarded or broadcast one, refers to that prefix.
//!
//! Each thread writes into one of several open blocks. A full block joins the queue of full blocks, and the oldest block is
//! reused. A reader copies new entries under all locks and sorts them without locks.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::journal::entry::EntryKind;

/// Maximum number of entries in full blocks. The oldest block is dropped first.
pub(crate) const MOST_ENTRIES: usize = 16_384;
/// Maximum bytes of entries in full blocks. A shared prefix counts for each entry.
pub(crate) const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Maximum number of entries of one block.
pub(crate) const BLOCK_ENTRIES: usize = 64;
/// Maximum stored bytes of one block. A longer entry has a block of its own.
const BLOCK_BYTES: usize = 16 * 1024;
/// Minimum bytes of a shared prefix. It must also be half of the message.
const WORTHWHILE: usize = 64;
/// Number of blocks that are written concurrently. More threads share them.
const FRONTS: usize = 8;

/// The meaning of the bytes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A WebSocket message.
    Message,
    /// The parts of a [`RequestRecord`](crate::journal::RequestRecord).
    Request,
    /// A response. The name is the path of the request.
    Answer,
    /// Content as JSON, or empty.
    Named,
    /// Names of broadcasts, one per line.
    Hub,
}

/// The fixed-size part of an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) at_ms: i64,
    pub(crate) cause: Option<u64>,
    pub(crate) kind: EntryKind,
    pub(crate) form: Form,
    pub(crate) status: Option<u16>,
    connection: Span,
    /// Length of the name in bytes. The name precedes the rest.
    name: u32,
    /// Shared prefix of the rest.
    same: Span,
    /// End of the entry's own bytes in the block.
    end: usize,
}

/// A range of bytes in a block.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    begin: u32,
    length: u32,
}

impl Span {
    fn of(begin: usize, length: usize) -> Self {
        let number = |number| u32::try_from(number).unwrap_or_default();
        Self { begin: number(begin), length: number(length) }
    }

    fn within(self, text: &str) -> &str {
        let begin = self.begin as usize;
        text.get(begin..begin + self.length as usize).unwrap_or_default()
    }
}

/// A stored entry, which is decoded only when it is read. Types with its text are not `Debug`, because paths and queries may
/// contain tokens and passwords.
pub(crate) struct StoredMessage<'a> {
    pub(crate) head: &'a Head,
    pub(crate) connection: &'a str,
    pub(crate) name: &'a str,
    pub(crate) rest: Cow<'a, str>,
}

impl StoredMessage<'_> {
    fn keep_in(&self, block: &mut Block) {
        let Head { seq, at_ms, cause, kind, form, status, .. } = *self.head;
        let (connection, name, rest) = (self.connection, self.name, &[&*self.rest]);
        block.push(seq, &NewMessage { at_ms, cause, kind, form, status, connection, name, rest });
    }
}

/// An entry to store.
#[derive(Clone, Copy)]
pub(crate) struct NewMessage<'a> {
    pub(crate) at_ms: i64,
    pub(crate) cause: Option<u64>,
    pub(crate) kind: EntryKind,
    pub(crate) form: Form,
    pub(crate) status: Option<u16>,
    pub(crate) connection: &'a str,
    pub(crate) name: &'a str,
    /// Parts that are concatenated.
    pub(crate) rest: &'a [&'a str],
}

impl NewMessage<'_> {
    fn bytes(&self) -> usize {
        self.connection.len() + self.name.len() + self.rest.iter().map(|part| part.len()).sum::<usize>()
    }
}

#[derive(Clone, Default)]
struct Block {
    heads: Vec<Head>,
    text: String,
    /// Bytes of all entries. A shared prefix counts for each entry.
    total_bytes: usize,
    /// The last message, or the prefix that it shared.
    last: Span,
    /// The last connection.
    connection: Span,
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block").field("entries", &self.heads.len()).finish_non_exhaustive()
    }
}

impl Block {
    fn has_room(&self, bytes: usize) -> bool {
        self.heads.is_empty() || self.heads.len() < BLOCK_ENTRIES && self.text.len() + bytes <= BLOCK_BYTES
    }

    fn push(&mut self, seq: u64, news: &NewMessage<'_>) {
        self.total_bytes += news.bytes();
        if self.connection.within(&self.text) != news.connection {
            self.connection = Span::of(self.text.len(), news.connection.len());
            self.text.push_str(news.connection);
        }
        self.text.push_str(news.name);
        let same = match news.rest {
            [text] if news.form == Form::Message => self.push_message(text),
            rest => {
                rest.iter().for_each(|part| self.text.push_str(part));
                Span::default()
            }
        };
        self.heads.push(Head {
            seq,
            at_ms: news.at_ms,
            cause: news.cause,
            kind: news.kind,
            form: news.form,
            status: news.status,
            connection: self.connection,
            name: u32::try_from(news.name.len()).unwrap_or_default(),
            same,
            end: self.text.len(),
        });
    }

    /// Writes the part of a message that the previous one does not have; returns the shared prefix.
    fn push_message(&mut self, text: &str) -> Span {
        let same = common(self.last.within(&self.text), text);
        if same < WORTHWHILE.max(text.len() / 2) {
            self.last = Span::of(self.text.len(), text.len());
            self.text.push_str(text);
            return Span::default();
        }
        self.last.length = u32::try_from(same).unwrap_or_default();
        self.text.push_str(&text[same..]);
        self.last
    }

    fn last(&self) -> u64 {
        self.heads.last().map_or(0, |head| head.seq)
    }

    /// Returns the entries after `since`.
    fn kept_since(&self, since: u64) -> impl Iterator<Item = StoredMessage<'_>> {
        let first = self.heads.partition_point(|head| head.seq <= since);
        (first..self.heads.len()).map(|at| {
            let begin = at.checked_sub(1).map_or(0, |before| self.heads[before].end);
            let head = &self.heads[at];
            let connection = head.connection.within(&self.text);
            // A new connection is stored before the name.
            let begin = begin.max((head.connection.begin + head.connection.length) as usize);
            let (name, own) = self.text[begin..head.end].split_at(head.name as usize);
            let rest = match (head.same.within(&self.text), own) {
                ("", one) | (one, "") => Cow::Borrowed(one),
                (begin, end) => Cow::Owned([begin, end].concat()),
            };
            StoredMessage { head, connection, name, rest }
        })
    }

    /// Returns a copy of the entries after `since`.
    fn tail(&self, since: u64) -> Self {
        let mut tail = Self::default();
        self.kept_since(since).for_each(|kept| kept.keep_in(&mut tail));
        tail
    }

    /// Clears the block and limits its capacity.
    fn emptied(mut self) -> Self {
        self.heads.clear();
        self.text.clear();
        (self.total_bytes, self.last, self.connection) = (0, Span::default(), Span::default());
        self.text.shrink_to(BLOCK_BYTES);
        self
    }
}

/// Returns the length of the common prefix, rounded down to 32 bytes and a character unless both are equal.
fn common(one: &str, text: &str) -> usize {
    let ((one_chunks, one_rest), (other_chunks, other_rest)) =
        (one.as_bytes().as_chunks::<32>(), text.as_bytes().as_chunks::<32>());
    let mut same = 0;
    for (one, other) in one_chunks.iter().zip(other_chunks) {
        if one != other {
            return char_boundary(text, same);
        }
        same += 32;
    }
    if one.len() == text.len() && one_rest == other_rest { one.len() } else { char_boundary(text, same) }
}

/// Returns the last character boundary at or before an index.
fn char_boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// A block that is being written, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Front(Mutex<Written>);

#[derive(Debug, Default)]
struct Written {
    block: Block,
    /// Number of entries of each kind, including dropped ones.
    counts: [u64; EntryKind::ALL.len()],
}

/// The full blocks.
#[derive(Debug, Default)]
struct Full {
    blocks: VecDeque<Arc<Block>>,
    entries: usize,
    bytes: usize,
    /// Number of the newest dropped entry. Older entries in other blocks are hidden, so that the journal has no gaps.
    forgotten: u64,
}

impl Full {
    /// Adds a full block, drops the oldest ones above the limits and returns an empty block.
    fn add_block(&mut self, block: Block) -> Block {
        self.entries += block.heads.len();
        self.bytes += block.total_bytes;
        self.blocks.push_back(Arc::new(block));
        let mut free = None;
        while self.entries > MOST_ENTRIES || self.bytes > MOST_BYTES {
            let Some(oldest) = self.blocks.pop_front() else { break };
            self.entries -= oldest.heads.len();
            self.bytes -= oldest.total_bytes;
            self.forgotten = self.forgotten.max(oldest.last());
            // A reader may still use the block.
            free = Arc::into_inner(oldest).or(free);
        }
        free.map_or_else(
            || Block {
                heads: Vec::with_capacity(BLOCK_ENTRIES),
                text: String::with_capacity(BLOCK_BYTES),
                ..Block::default()
            },
            Block::emptied,
        )
    }
}

#[derive(Debug, Default)]
pub(crate) struct Ring {
    next: AtomicU64,
    fronts: [Front; FRONTS],
    full: Mutex<Full>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static OWN: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Returns the index of the block that this thread writes.
fn own() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    OWN.get().unwrap_or_else(|| {
        let own = THREADS.fetch_add(1, Ordering::Relaxed) % FRONTS;
        OWN.set(Some(own));
        own
    })
}

impl Ring {
    /// Stores an entry; returns its number.
    pub(crate) fn keep(&self, news: &NewMessage<'_>) -> u64 {
        let mut front = lock(&self.fronts[own()].0);
        let front = &mut *front;
        if !front.block.has_room(news.bytes()) {
            let full = std::mem::take(&mut front.block);
            front.block = lock(&self.full).add_block(full);
        }
        // Under the lock, so that a reader with all locks sees every entry up to the newest number.
        let seq = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        front.counts[news.kind as usize] += 1;
        front.block.push(seq, news);
        seq
    }

    /// Returns the number of the newest entry.
    pub(crate) fn last(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// Returns the number of the newest dropped entry.
    pub(crate) fn forgotten(&self) -> u64 {
        lock(&self.full).forgotten
    }

    pub(crate) fn counts(&self) -> [u64; EntryKind::ALL.len()] {
        let mut counts = [0; EntryKind::ALL.len()];
        for front in &self.fronts {
            let of_one = lock(&front.0).counts;
            counts.iter_mut().zip(of_one).for_each(|(sum, one)| *sum += one);
        }
        counts
    }

    /// Returns the entries after `since` at this moment. They are copied under all locks and decoded without locks.
    pub(crate) fn since(&self, since: u64) -> Cut {
        let fronts: Vec<_> = self.fronts.iter().map(|front| lock(&front.0)).collect();
        let full = lock(&self.full);
        let is_wanted = |block: &Block| block.last() > since;
        let mut blocks: Vec<_> = full.blocks.iter().filter(|block| is_wanted(block)).cloned().collect();
        let own = fronts.iter().map(|front| &front.block).filter(|block| is_wanted(block));
        blocks.extend(own.map(|block| Arc::new(block.tail(since))));
        Cut { blocks, since: since.max(full.forgotten) }
    }
}

/// The stored entries at one moment.
#[derive(Debug)]
pub(crate) struct Cut {
    blocks: Vec<Arc<Block>>,
    since: u64,
}

impl Cut {
    /// Returns the entries in order, the oldest first.
    pub(crate) fn stored(&self) -> Vec<StoredMessage<'_>> {
        let mut kept: Vec<_> = self.blocks.iter().flat_map(|block| block.kept_since(self.since)).collect();
        kept.sort_unstable_by_key(|kept| kept.head.seq);
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn news<'a>(name: &'a str, rest: &'a [&'a str]) -> NewMessage<'a> {
        let (kind, form) = (EntryKind::MessageIn, Form::Message);
        NewMessage { at_ms: 0, cause: None, kind, form, status: None, connection: "c", name, rest }
    }

    #[test]
    fn entries_of_many_threads_are_ordered_without_gaps() {
        let ring = Ring::default();
        std::thread::scope(|scope| {
            for _ in 0..FRONTS * 2 {
                scope.spawn(|| {
                    for round in 0..500 {
                        ring.keep(&news("n", &["a", "bc"]));
                        if round % 25 > 0 {
                            continue;
                        }
                        let cut = ring.since(0);
                        let seqs: Vec<_> = cut.stored().iter().map(|kept| kept.head.seq).collect();
                        assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seqs:?}");
                    }
                });
            }
        });
        let cut = ring.since(0);
        let kept = cut.stored();
        assert_eq!((kept.len() as u64, ring.last()), (ring.last(), 500 * 2 * FRONTS as u64));
        assert!(kept.iter().all(|kept| (kept.connection, kept.name, &*kept.rest) == ("c", "n", "abc")));
        assert_eq!(ring.counts()[EntryKind::MessageIn as usize], ring.last());
        assert_eq!(ring.since(ring.last() - 3).stored().len(), 3);
    }

    proptest! {
        #[test]
        fn entries_with_a_shared_prefix_are_read_completely(
            texts in prop::collection::vec((0_usize..2000, 0_usize..100, 0_usize..4), 1..80), since in 0_u64..80,
        ) {
            let ring = Ring::default();
            // `ö` and `ä` differ only in their second byte.
            let entry = |(begin, end, n): (usize, usize, usize)| {
                (["", "c", "ccc", "c"][n], "a".repeat(begin) + &["ö", "ä", "b", ""][n].repeat(end))
            };
            let entries: Vec<(&str, String)> = texts.into_iter().map(entry).collect();
            for (n, (connection, text)) in entries.iter().enumerate() {
                let form = if n % 5 == 4 { Form::Named } else { Form::Message };
                ring.keep(&NewMessage { connection, form, ..news("n", &[text]) });
            }
            let cut = ring.since(since);
            let kept = cut.stored();
            let kept = kept.iter().map(|kept| (kept.connection, kept.name, kept.rest.to_string()));
            let expected = entries.iter().skip(usize::try_from(since).unwrap());
            let expected = expected.map(|(connection, text)| (*connection, "n", text.clone()));
            prop_assert_eq!(kept.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_shared_prefix_counts_for_each_entry() {
        let ring = Ring::default();
        let begin = "x".repeat(8 * 1024);
        for n in 0..4096 {
            ring.keep(&news("", &[&(begin.clone() + &n.to_string())]));
        }
        let total_bytes: usize = ring.since(0).stored().iter().map(|kept| kept.rest.len()).sum();
        assert!(total_bytes <= MOST_BYTES + BLOCK_ENTRIES * 9 * 1024, "{total_bytes} bytes in memory of a reader");
    }

    #[test]
    fn a_message_to_many_connections_is_stored_once() {
        let text = "x".repeat(300);
        let mut block = Block::default();
        for seq in 1..=50 {
            block.push(seq, &news("", &[&text]));
        }
        block.push(51, &news("", &[&(text.clone() + "y")]));
        assert!((301..301 + 33).contains(&block.text.len()), "the connection is stored once too: {block:?}");
    }

    #[test]
    fn the_oldest_entries_are_dropped_first_without_gaps() {
        let ring = Ring::default();
        // The block of this thread has one old entry.
        std::thread::scope(|scope| drop(scope.spawn(|| ring.keep(&news("old", &[])))));
        for _ in 0..3 * MOST_ENTRIES {
            ring.keep(&news("n", &[]));
        }
        let cut = ring.since(0);
        let kept = cut.stored();
        assert!((MOST_ENTRIES - BLOCK_ENTRIES..=MOST_ENTRIES + BLOCK_ENTRIES).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept[0].head.seq, ring.forgotten() + 1);
        assert!(kept.windows(2).all(|pair| pair[0].head.seq + 1 == pair[1].head.seq));
        let long = "x".repeat(1024 * 1024);
        for _ in 0..10 {
            ring.keep(&news("n", &[&long]));
        }
        assert!(lock(&ring.full).bytes <= MOST_BYTES);
        assert!((3..=5).contains(&ring.since(0).stored().len()), "three full blocks and the block of this thread");
        let full = lock(&ring.full);
        assert_eq!(full.bytes, full.blocks.iter().map(|block| block.total_bytes).sum::<usize>());
        assert_eq!(full.entries, full.blocks.iter().map(|block| block.heads.len()).sum::<usize>());
    }
}
