//! A bounded queue of messages for one reader, stored as WebSocket frames, so that one write sends all of them. An empty
//! queue retains almost no memory, because most connections are idle most of the time.

use std::borrow::Cow;
use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::core::process_limits::{self, QUEUE_STEP, Share};

/// Maximum capacity that an empty queue retains, in bytes of frames and in messages.
const KEPT_BYTES: usize = 512;
const KEPT_ITEMS: usize = 4;
/// Buffers that a thread retains for reuse: their number, and their maximum capacity in bytes and messages.
const SPARES: usize = 4;
const SPARE_BYTES: usize = 64 * 1024;
const SPARE_ITEMS: usize = 1024;

/// A message in the queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    /// Sequence number in the journal.
    pub(crate) number: u64,
    /// Epoch that must be durable before the message is sent.
    pub(crate) mark: u64,
    /// Byte range of the text in the frames of the batch. The frame ends with the text. Includes the first header if the message has
    /// several frames.
    begin: usize,
    end: usize,
    /// Length of the text in each frame but the last, in bytes; 0 if the message is one frame.
    fragment: usize,
}

/// The close of a connection: the epoch that must be durable before, the code and the reason.
pub(crate) type Close = (u64, u16, &'static str);

struct Batch {
    frames: Vec<u8>,
    items: Vec<Item>,
    /// Bytes of a long batch, counted for the whole process.
    share: Share,
}

impl Default for Batch {
    fn default() -> Self {
        Self { frames: Vec::new(), items: Vec::new(), share: Share::of(&process_limits::QUEUED) }
    }
}

impl std::fmt::Debug for Batch {
    /// Omits the messages, which may contain tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("messages", &self.items.len()).finish_non_exhaustive()
    }
}

impl Batch {
    fn clear(&mut self) {
        self.frames.clear();
        self.items.clear();
        if self.share.bytes() > 0 {
            self.share.set(0);
        }
    }

    fn push(&mut self, text: &str, mark: u64, number: u64, limit: usize) {
        let fragment = if limit > 0 && text.len() > limit { limit } else { 0 };
        let heads = text.len().checked_div(fragment).unwrap_or_default() + 1;
        let needed = text.len() + heads * LONGEST_HEAD;
        if self.frames.capacity() - self.frames.len() < needed {
            // A single short message is stored without spare capacity.
            if !self.frames.is_empty() || needed > KEPT_BYTES {
                self.grow();
            }
            self.frames.reserve(needed);
        }
        let mut begin = self.frames.len();
        if fragment == 0 {
            push_head(&mut self.frames, TEXT | LAST, text.len());
            begin = self.frames.len();
            self.frames.extend_from_slice(text.as_bytes());
        } else {
            push_fragments(&mut self.frames, text.as_bytes(), fragment);
        }
        self.items.push(Item { number, mark, begin, end: self.frames.len(), fragment });
        if self.frames.len() >= self.share.bytes() + QUEUE_STEP {
            self.share.set(self.frames.len() / QUEUE_STEP * QUEUE_STEP);
        }
    }

    /// Returns the text of an item.
    fn text(&self, item: Item) -> Option<Cow<'_, str>> {
        let bytes = &self.frames[item.begin..item.end];
        if item.fragment == 0 {
            return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
        }
        String::from_utf8(joined(bytes, item.fragment)).ok().map(Cow::Owned)
    }

    /// Returns whether the message fits. An empty queue accepts a message of any length.
    ///
    /// If all queues of the process are full, a queue holds no more than one step.
    fn has_room(&self, text: &str, (messages, bytes): (usize, usize)) -> bool {
        let length = self.frames.len() + text.len();
        let fits_in_process = || length <= QUEUE_STEP || text.len() <= process_limits::QUEUED.free();
        self.items.is_empty() || self.items.len() < messages && length <= bytes && fits_in_process()
    }

    fn is_small(&self) -> bool {
        self.frames.capacity() <= KEPT_BYTES && self.items.capacity() <= KEPT_ITEMS
    }

    /// Moves the content to a retained buffer with more capacity, if there is one.
    #[cold]
    fn grow(&mut self) {
        let is_larger = |spare: &mut Self| spare.frames.capacity() > self.frames.capacity();
        let spare = SPARE.with_borrow_mut(|spares| spares.pop_if(is_larger));
        if let Some(mut spare) = spare {
            spare.frames.extend_from_slice(&self.frames);
            spare.items.extend_from_slice(&self.items);
            std::mem::swap(&mut spare.share, &mut self.share);
            *self = spare;
        }
    }

    /// Retains the buffer of this thread for reuse.
    fn spare(mut self) {
        self.clear();
        let fits = self.frames.capacity() <= SPARE_BYTES && self.items.capacity() <= SPARE_ITEMS;
        if fits && !self.is_small() {
            SPARE.with_borrow_mut(|spares| {
                if spares.len() < SPARES {
                    spares.push(self)
                }
            });
        }
    }
}

thread_local! {
    static SPARE: RefCell<Vec<Batch>> = const { RefCell::new(Vec::new()) };
}

/// Encodes a text as one WebSocket frame of a server.
pub(crate) fn frame_of(text: &str) -> Vec<u8> {
    let mut frame = Vec::with_capacity(text.len() + LONGEST_HEAD);
    push_head(&mut frame, TEXT | LAST, text.len());
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// Maximum length of a frame header, in bytes.
const LONGEST_HEAD: usize = 10;

/// Bits of the first byte of a frame (RFC 6455, section 5.2).
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const LAST: u8 = 0x80;

/// Smallest limit of the payload of a frame, so that the headers stay a small part of a message.
const MIN_FRAME: usize = 128;

/// Appends a text as several frames with at most `fragment` bytes each.
fn push_fragments(out: &mut Vec<u8>, text: &[u8], fragment: usize) {
    let mut parts = text.chunks(fragment).peekable();
    let mut first = TEXT;
    while let Some(part) = parts.next() {
        let last = if parts.peek().is_none() { LAST } else { 0 };
        push_head(out, first | last, part.len());
        out.extend_from_slice(part);
        first = CONTINUATION;
    }
}

/// Returns the text of the frames of [`push_fragments`].
fn joined(mut frames: &[u8], fragment: usize) -> Vec<u8> {
    let head_of = |length: usize| match length {
        0..126 => 2,
        126..=0xffff => 4,
        _ => LONGEST_HEAD,
    };
    let mut text = Vec::with_capacity(frames.len());
    let full = head_of(fragment) + fragment;
    while !frames.is_empty() {
        let (frame, rest) = frames.split_at(full.min(frames.len()));
        let length = match (frame[1], frame.len()) {
            (short @ 0..126, _) => usize::from(short),
            (126, length) => length - 4,
            (_, length) => length - LONGEST_HEAD,
        };
        text.extend_from_slice(&frame[frame.len() - length..]);
        frames = rest;
    }
    text
}

/// Appends the header of an unmasked frame with a payload of `length` bytes.
fn push_head(out: &mut Vec<u8>, first: u8, length: usize) {
    out.push(first);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..126), _) => out.push(short),
        (_, Ok(middle)) => {
            out.push(126);
            out.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Set if a message did not fit, the queue was cut, or the reader was dropped.
    is_cut: AtomicBool,
}

#[derive(Debug)]
struct State {
    waiting: Batch,
    /// Capacity in messages and bytes.
    most: (usize, usize),
    /// Maximum payload of one frame, in bytes; 0 for no limit.
    frame_limit: usize,
    /// Takes effect after all messages. No message is accepted after it.
    close: Option<Close>,
    /// True after the sender was dropped.
    sender_dropped: bool,
    /// Waker of the waiting reader.
    reader: Option<Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }

    fn cut(&self, state: &mut State) {
        self.is_cut.store(true, Ordering::Release);
        (state.waiting, state.close) = (Batch::default(), None);
    }
}

/// Creates a queue with a capacity in messages and bytes. The reader can hold as much again.
pub(crate) fn queue(most: (usize, usize)) -> (Sender, Receiver) {
    let state =
        State { waiting: Batch::default(), most, frame_limit: 0, close: None, sender_dropped: false, reader: None };
    let shared = Arc::new(Shared { state: Mutex::new(state), is_cut: AtomicBool::new(false) });
    (Sender(Arc::clone(&shared)), Receiver { shared, taken: Batch::default(), next: 0 })
}

/// The sending end. It is not `Clone`: dropping it ends the queue.
#[derive(Debug)]
pub(crate) struct Sender(Arc<Shared>);

impl Sender {
    /// Queues a message. Returns false if it does not fit, the reader was dropped, or the connection is being closed.
    ///
    /// A message that does not fit cuts the queue: later messages would follow a gap.
    pub(crate) fn send(&self, text: &str, mark: u64, number: u64) -> bool {
        self.change(|state| {
            if state.close.is_some() {
                return false;
            }
            let fits = !self.0.is_cut() && state.waiting.has_room(text, state.most);
            if fits {
                state.waiting.push(text, mark, number, state.frame_limit);
            } else {
                self.0.cut(state);
            }
            fits
        })
    }

    /// Limits the payload of the frames of later messages, in bytes; 0 for no limit. A limit below 128 counts as 128.
    pub(crate) fn limit_frames(&self, bytes: usize) {
        self.0.lock().frame_limit = if bytes == 0 { 0 } else { bytes.max(MIN_FRAME) };
    }

    /// Returns the messages and bytes that the reader has not taken yet.
    pub(crate) fn size(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.waiting.items.len(), state.waiting.frames.len())
    }

    /// Closes the connection after the queued messages are sent. Only the first close has an effect.
    pub(crate) fn close(&self, close: Close) {
        self.change(|state| {
            if !self.0.is_cut() {
                state.close.get_or_insert(close);
            }
        });
    }

    /// Cuts the queue: queued messages are discarded, and later ones are refused.
    #[cfg(feature = "cluster")]
    pub(crate) fn cut(&self) {
        self.change(|state| self.0.cut(state));
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let (changed, reader) = {
            let mut state = self.0.lock();
            let changed = change(&mut state);
            (changed, state.reader.take())
        };
        // Woken without the lock, which the reader acquires first.
        if let Some(reader) = reader {
            reader.wake();
        }
        changed
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.change(|state| state.sender_dropped = true);
    }
}

/// The next item for the reader.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Next {
    /// The first queued message.
    Message(Item),
    /// The close, after the last message.
    Close(Close),
    /// The end of the queue: it was cut, or the sender was dropped.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Receiver {
    shared: Arc<Shared>,
    /// Messages that were taken from the queue in one step.
    taken: Batch,
    /// Index of the next item in `taken`.
    next: usize,
}

impl Receiver {
    /// Waits for the next item and returns it without removing it.
    pub(crate) async fn next(&mut self) -> Next {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &Context<'_>) -> Poll<Next> {
        if let Some(item) = self.taken.items.get(self.next) {
            return Poll::Ready(Next::Message(*item));
        }
        // One lock for check and registration: a message that is queued later finds the waker of the reader.
        let mut state = self.shared.lock();
        self.next = 0;
        self.taken.clear();
        std::mem::swap(&mut self.taken, &mut state.waiting);
        if let Some(item) = self.taken.items.first() {
            return Poll::Ready(Next::Message(*item));
        }
        if let Some(close) = state.close {
            return Poll::Ready(Next::Close(close));
        }
        if self.shared.is_cut() || state.sender_dropped {
            return Poll::Ready(Next::Nothing);
        }
        // One of the two batches may retain its small capacity. The swap above alternates between them.
        if self.taken.is_small() && state.waiting.frames.capacity() == 0 {
            std::mem::swap(&mut self.taken, &mut state.waiting);
        }
        std::mem::take(&mut self.taken).spare();
        if !state.waiting.is_small() {
            std::mem::take(&mut state.waiting).spare();
        }
        match &mut state.reader {
            Some(reader) => reader.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Returns the first queued message without removing it.
    pub(crate) fn first(&mut self) -> Option<Item> {
        if self.next == self.taken.items.len() {
            self.next = 0;
            self.taken.clear();
            std::mem::swap(&mut self.taken, &mut self.shared.lock().waiting);
        }
        self.taken.items.get(self.next).copied()
    }

    /// Returns the frames of the leading messages for which `can_send` returns true. Empty if the queue was cut.
    pub(crate) fn frames(&mut self, can_send: impl Fn(&Item) -> bool) -> Frames<'_> {
        self.first();
        let Self { shared, taken, next } = self;
        let count = taken.items[*next..].iter().take_while(|item| can_send(item)).count();
        // Checked last: a change that became durable after the cut must not be sent to this client.
        let count = if shared.is_cut() { 0 } else { count };
        let end = |at: usize| at.checked_sub(1).map_or(0, |before| taken.items[before].end);
        let after = *next + count;
        Frames { bytes: &taken.frames[end(*next)..end(after)], next, after }
    }

    /// Removes the first message and returns its text.
    pub(crate) fn take(&mut self) -> Option<Cow<'_, str>> {
        let item = self.first()?;
        self.next += 1;
        self.taken.text(item)
    }

    /// Returns whether the queue was cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.shared.is_cut()
    }

    /// Returns the queued messages and bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        let state = self.shared.lock();
        let sent = self.next.checked_sub(1).map_or(0, |last| self.taken.items[last].end);
        let (messages, bytes) = (self.taken.items.len() - self.next, self.taken.frames.len() - sent);
        (messages + state.waiting.items.len(), bytes + state.waiting.frames.len())
    }

    /// Returns whether an item is queued, a close included.
    pub(crate) fn has_any(&self) -> bool {
        self.size().0 > 0 || self.shared.lock().close.is_some()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        self.shared.cut(&mut state);
        state.reader = None;
    }
}

/// Frames that can be sent. They stay queued until [`Frames::mark_sent`].
pub(crate) struct Frames<'a> {
    pub(crate) bytes: &'a [u8],
    next: &'a mut usize,
    after: usize,
}

impl Frames<'_> {
    /// Removes the frames from the queue, after they were sent.
    pub(crate) fn mark_sent(self) {
        *self.next = self.after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};

    #[test]
    fn reader_on_another_thread_receives_every_message_in_order() {
        const MESSAGES: usize = 20_000;
        let (sender, mut receiver) = queue((MESSAGES, usize::MAX));
        let reader = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let mut numbers = Vec::new();
                while let Next::Message(item) = receiver.next().await {
                    numbers.push(item.number);
                    receiver.take().unwrap();
                }
                numbers
            })
        });
        // Longer and shorter than the capacity that an empty queue retains.
        let texts = ["x".repeat(600), "y".to_owned()];
        for number in 0..MESSAGES {
            assert!(sender.send(&texts[number % 2], 0, number as u64));
            if number % 3 == 0 {
                std::thread::yield_now();
            }
        }
        drop(sender);
        assert_eq!(reader.join().unwrap(), (0..MESSAGES as u64).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn reused_buffers_carry_no_messages_of_earlier_queues() {
        for round in 0..20 {
            let (sender, mut receiver) = queue((100, usize::MAX));
            let texts: Vec<_> = (0..round * 3 + 1).map(|n| format!("{round} {n} ").repeat(1 + n * 7 % 60)).collect();
            for text in &texts {
                assert!(sender.send(text, 0, 0));
            }
            for text in &texts {
                receiver.next().await;
                assert_eq!(receiver.take().as_deref(), Some(text.as_str()));
            }
            assert!(tokio::time::timeout(std::time::Duration::ZERO, receiver.next()).await.is_err());
        }
        assert!(SPARE.with_borrow(Vec::len) > 0, "a buffer was retained for reuse");
    }

    #[test]
    fn sent_messages_free_their_capacity() {
        let (sender, mut receiver) = queue((10, 1000));
        assert!(sender.send(&"x".repeat(5000), 0, 0), "an empty queue accepts a message of any length");
        receiver.frames(|_| true).mark_sent();
        assert_eq!(receiver.size(), (0, 0));
        assert!(sender.send("a", 0, 0) && sender.send("b", 0, 0));
        assert_eq!(receiver.take().as_deref(), Some("a"));
        assert_eq!(receiver.size(), (1, 3));
        assert!(sender.send(&"x".repeat(900), 0, 0) && !sender.send(&"x".repeat(900), 0, 0), "too many bytes");
        assert!(receiver.is_cut());
    }

    #[test]
    fn frames_are_valid_websocket_frames_and_are_sent_once() {
        let (sender, mut receiver) = queue((10, usize::MAX));
        let texts = [0, 1, 125, 126, 65_535, 65_536].map(|length| "ö".repeat(length / 2) + &"x".repeat(length % 2));
        for (text, mark) in texts.iter().zip(0..) {
            assert!(sender.send(text, mark, 0));
        }
        let some = receiver.frames(|item| item.mark < 4);
        let mut bytes = some.bytes.to_vec();
        some.mark_sent();
        assert_eq!(receiver.take().as_deref(), Some(texts[4].as_str()));
        assert!(sender.send("last", 9, 0));
        for _ in 0..2 {
            let rest = receiver.frames(|_| true);
            bytes.extend_from_slice(rest.bytes);
            rest.mark_sent();
        }
        assert_eq!((receiver.size().0, receiver.frames(|_| true).bytes.len()), (0, 0));
        let mut reader = WebSocket::from_raw_socket(Cursor::new(bytes), Role::Client, None);
        for text in texts[..4].iter().chain([&texts[5], &"last".to_owned()]) {
            assert_eq!(reader.read().unwrap().to_text().unwrap(), text);
        }
    }

    #[test]
    fn long_messages_are_fragmented_and_read_back() {
        for limit in [1, 128, 130, 70_000] {
            let (sender, mut receiver) = queue((10, usize::MAX));
            sender.limit_frames(limit);
            let limit = limit.max(MIN_FRAME);
            let texts = [1, limit - 1, limit, limit + 1, 2 * limit, 5 * limit + 3]
                .map(|length| "ö".repeat(length / 2) + &"x".repeat(length % 2));
            for text in &texts {
                assert!(sender.send(text, 0, 0));
            }
            let all = receiver.frames(|_| true).bytes.to_vec();
            let mut reader = WebSocket::from_raw_socket(Cursor::new(all), Role::Client, None);
            for text in &texts {
                assert_eq!(reader.read().unwrap().to_text().unwrap(), text);
            }
            for text in &texts {
                assert_eq!(receiver.take().as_deref(), Some(text.as_str()), "limit {limit}");
            }
        }
    }

    #[test]
    fn queues_of_a_process_share_a_limit_in_bytes() {
        let text = "x".repeat(512 * 1024);
        let queues: Vec<_> = (0..100).map(|_| queue((1024, 16 << 20))).collect();
        let accepted = |sender: &Sender| (0..30).take_while(|_| sender.send(&text, 0, 0)).count();
        for (sender, _) in &queues {
            accepted(sender);
        }
        let total: usize = queues.iter().map(|(_, receiver)| receiver.size().1).sum();
        let most = process_limits::MAX_QUEUED_BYTES + queues.len() * (QUEUE_STEP + text.len());
        assert!(total <= most, "{total}");
        assert!(queues.iter().filter(|(_, receiver)| receiver.is_cut()).count() > 50, "slow readers are cut off");
        drop(queues);
        let (sender, _receiver) = queue((1024, 16 << 20));
        assert_eq!(accepted(&sender), 30, "the bytes are free again");
    }
}
