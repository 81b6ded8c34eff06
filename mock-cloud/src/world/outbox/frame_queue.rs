//! A bounded queue of messages for one reader, written as the frames that go out: one write takes all that wait. It holds
//! next to no memory while nothing waits in it, for most connections are idle most of the time.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Bytes of frames, and messages, that an empty queue may have room for.
const KEPT_BYTES: usize = 512;
const KEPT_ITEMS: usize = 4;
/// What a thread has ready for queues that need more: so many, with room for so many bytes and messages at most.
const SPARES: usize = 4;
const SPARE_BYTES: usize = 64 * 1024;
const SPARE_ITEMS: usize = 1024;

/// A message in the queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    /// Its number in the journal.
    pub(crate) number: u64,
    /// What has to be kept before it goes out.
    pub(crate) mark: u64,
    /// Where its text begins, and where it and its frame end.
    begin: usize,
    end: usize,
}

/// How a connection is closed.
pub(crate) type Close = (u64, u16, &'static str);

#[derive(Default)]
struct Batch {
    frames: Vec<u8>,
    items: Vec<Item>,
}

impl std::fmt::Debug for Batch {
    /// Without what the messages say: some hold tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("messages", &self.items.len()).finish_non_exhaustive()
    }
}

impl Batch {
    fn clear(&mut self) {
        self.frames.clear();
        self.items.clear();
    }

    fn push(&mut self, text: &str, mark: u64, number: u64) {
        let needed = text.len() + LONGEST_HEAD;
        if self.frames.capacity() - self.frames.len() < needed {
            // One short message alone needs no more than it takes.
            if !self.frames.is_empty() || needed > KEPT_BYTES {
                self.grow();
            }
            self.frames.reserve(needed);
        }
        push_head(&mut self.frames, text.len());
        let begin = self.frames.len();
        self.frames.extend_from_slice(text.as_bytes());
        self.items.push(Item { number, mark, begin, end: self.frames.len() });
    }

    /// Whether the message fits; one that is alone always does.
    fn has_room(&self, text: &str, (messages, bytes): (usize, usize)) -> bool {
        self.items.is_empty() || self.items.len() < messages && self.frames.len() + text.len() <= bytes
    }

    fn is_small(&self) -> bool {
        self.frames.capacity() <= KEPT_BYTES && self.items.capacity() <= KEPT_ITEMS
    }

    /// Goes on in one with more room, if there is one.
    #[cold]
    fn grow(&mut self) {
        let is_larger = |spare: &mut Self| spare.frames.capacity() > self.frames.capacity();
        let spare = SPARE.with_borrow_mut(|spares| spares.pop_if(is_larger));
        if let Some(mut spare) = spare {
            spare.frames.extend_from_slice(&self.frames);
            spare.items.extend_from_slice(&self.items);
            *self = spare;
        }
    }

    /// Leaves its room to the next who needs much.
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

/// A text as one frame of a server.
pub(crate) fn frame_of(text: &str) -> Vec<u8> {
    let mut frame = Vec::with_capacity(text.len() + LONGEST_HEAD);
    push_head(&mut frame, text.len());
    frame.extend_from_slice(text.as_bytes());
    frame
}

const LONGEST_HEAD: usize = 10;

/// The head of a server's frame that is a whole text of so many bytes.
fn push_head(out: &mut Vec<u8>, length: usize) {
    out.push(0x81);
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
    /// Something did not fit, or nobody reads any more.
    is_cut: AtomicBool,
}

#[derive(Debug)]
struct State {
    waiting: Batch,
    /// Messages and bytes.
    most: (usize, usize),
    /// Comes after all messages; there are none after it.
    close: Option<Close>,
    /// Nobody sends any more.
    is_over: bool,
    /// Whom to wake when something comes.
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

/// A queue for that many messages and bytes at most; as many more may be in the reader's hands.
pub(crate) fn queue(most: (usize, usize)) -> (Sender, Receiver) {
    let state = State { waiting: Batch::default(), most, close: None, is_over: false, reader: None };
    let shared = Arc::new(Shared { state: Mutex::new(state), is_cut: AtomicBool::new(false) });
    (Sender(Arc::clone(&shared)), Receiver { shared, taken: Batch::default(), next: 0 })
}

/// The one end that sends; whoever shares it shares it whole.
#[derive(Debug)]
pub(crate) struct Sender(Arc<Shared>);

impl Sender {
    /// Queues a message. False when it does not fit or nobody reads: then the reader gets nothing more, for what comes would
    /// have a gap before it. False as well once the connection is to be closed.
    pub(crate) fn send(&self, text: &str, mark: u64, number: u64) -> bool {
        self.change(|state| {
            if state.close.is_some() {
                return false;
            }
            let fits = !self.0.is_cut() && state.waiting.has_room(text, state.most);
            if fits {
                state.waiting.push(text, mark, number);
            } else {
                self.0.cut(state);
            }
            fits
        })
    }

    /// Messages and bytes that the reader has not taken yet.
    pub(crate) fn size(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.waiting.items.len(), state.waiting.frames.len())
    }

    /// The connection is closed so, once what waits has gone out. The first one counts.
    pub(crate) fn close(&self, close: Close) {
        self.change(|state| {
            if !self.0.is_cut() {
                state.close.get_or_insert(close);
            }
        });
    }

    /// The reader gets nothing more, not even what waits already.
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
        // Without the lock: it is what who wakes wants first.
        if let Some(reader) = reader {
            reader.wake();
        }
        changed
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.change(|state| state.is_over = true);
    }
}

/// What comes next for the reader.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Next {
    /// The first of the messages that wait.
    Message(Item),
    Close(Close),
    /// Nothing any more: something did not fit, or nobody is left to send.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Receiver {
    shared: Arc<Shared>,
    /// Taken from the queue all at once, and which of it comes next.
    taken: Batch,
    next: usize,
}

impl Receiver {
    /// Waits for what comes next, and leaves it there.
    pub(crate) async fn next(&mut self) -> Next {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &Context<'_>) -> Poll<Next> {
        if let Some(item) = self.taken.items.get(self.next) {
            return Poll::Ready(Next::Message(*item));
        }
        // All under one lock: what is queued after it finds the reader's waker.
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
        if self.shared.is_cut() || state.is_over {
            return Poll::Ready(Next::Nothing);
        }
        // One of the two halves may keep what little room it has; they change places each time.
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

    /// The first of the messages that wait.
    pub(crate) fn first(&mut self) -> Option<Item> {
        if self.next == self.taken.items.len() {
            self.next = 0;
            self.taken.clear();
            std::mem::swap(&mut self.taken, &mut self.shared.lock().waiting);
        }
        self.taken.items.get(self.next).copied()
    }

    /// The frames of the first messages that are meant; none any more when something did not fit.
    pub(crate) fn frames(&mut self, is_meant: impl Fn(&Item) -> bool) -> Frames<'_> {
        self.first();
        let Self { shared, taken, next } = self;
        let meant = taken.items[*next..].iter().take_while(|item| is_meant(item)).count();
        // Looked at last: who is cut off before something counts as kept must not be told of it.
        let meant = if shared.is_cut() { 0 } else { meant };
        let end = |at: usize| at.checked_sub(1).map_or(0, |before| taken.items[before].end);
        let after = *next + meant;
        Frames { bytes: &taken.frames[end(*next)..end(after)], next, after }
    }

    /// The text of the first message, which does not wait any longer.
    pub(crate) fn take(&mut self) -> Option<&str> {
        let item = self.first()?;
        self.next += 1;
        std::str::from_utf8(&self.taken.frames[item.begin..item.end]).ok()
    }

    /// Whether something did not fit.
    pub(crate) fn is_cut(&self) -> bool {
        self.shared.is_cut()
    }

    /// Messages and bytes that wait.
    pub(crate) fn size(&self) -> (usize, usize) {
        let state = self.shared.lock();
        let gone = self.next.checked_sub(1).map_or(0, |last| self.taken.items[last].end);
        let (messages, bytes) = (self.taken.items.len() - self.next, self.taken.frames.len() - gone);
        (messages + state.waiting.items.len(), bytes + state.waiting.frames.len())
    }

    /// Whether anything waits, a close included.
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

/// Frames that may go out; they wait until somebody says that they have.
pub(crate) struct Frames<'a> {
    pub(crate) bytes: &'a [u8],
    next: &'a mut usize,
    after: usize,
}

impl Frames<'_> {
    /// They have gone out.
    pub(crate) fn are_out(self) {
        *self.next = self.after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};

    /// A reader on another thread gets everything, in order, whenever it looks.
    #[test]
    fn nothing_is_lost_between_threads() {
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
        // Longer and shorter than what an empty queue keeps room for.
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

    /// Round after round, in room that was another queue's before.
    #[tokio::test]
    async fn room_goes_from_queue_to_queue_and_no_message_does() {
        for round in 0..20 {
            let (sender, mut receiver) = queue((100, usize::MAX));
            let texts: Vec<_> = (0..round * 3 + 1).map(|n| format!("{round} {n} ").repeat(1 + n * 7 % 60)).collect();
            for text in &texts {
                assert!(sender.send(text, 0, 0));
            }
            for text in &texts {
                receiver.next().await;
                assert_eq!(receiver.take(), Some(text.as_str()));
            }
            assert!(tokio::time::timeout(std::time::Duration::ZERO, receiver.next()).await.is_err());
        }
        assert!(SPARE.with_borrow(Vec::len) > 0, "some room was left to the next");
    }

    #[test]
    fn what_has_gone_out_does_not_wait() {
        let (sender, mut receiver) = queue((10, 1000));
        assert!(sender.send(&"x".repeat(5000), 0, 0), "one always fits");
        receiver.frames(|_| true).are_out();
        assert_eq!(receiver.size(), (0, 0));
        assert!(sender.send("a", 0, 0) && sender.send("b", 0, 0));
        assert_eq!(receiver.take(), Some("a"));
        assert_eq!(receiver.size(), (1, 3));
        assert!(sender.send(&"x".repeat(900), 0, 0) && !sender.send(&"x".repeat(900), 0, 0), "too many bytes");
        assert!(receiver.is_cut());
    }

    #[test]
    fn frames_are_read_by_the_library_and_taken_once() {
        let (sender, mut receiver) = queue((10, usize::MAX));
        let texts = [0, 1, 125, 126, 65_535, 65_536].map(|length| "ö".repeat(length / 2) + &"x".repeat(length % 2));
        for (text, mark) in texts.iter().zip(0..) {
            assert!(sender.send(text, mark, 0));
        }
        let some = receiver.frames(|item| item.mark < 4);
        let mut bytes = some.bytes.to_vec();
        some.are_out();
        assert_eq!(receiver.take(), Some(texts[4].as_str()));
        assert!(sender.send("last", 9, 0));
        for _ in 0..2 {
            let rest = receiver.frames(|_| true);
            bytes.extend_from_slice(rest.bytes);
            rest.are_out();
        }
        assert_eq!((receiver.size().0, receiver.frames(|_| true).bytes.len()), (0, 0));
        let mut reader = WebSocket::from_raw_socket(Cursor::new(bytes), Role::Client, None);
        for text in texts[..4].iter().chain([&texts[5], &"last".to_owned()]) {
            assert_eq!(reader.read().unwrap().to_text().unwrap(), text);
        }
    }
}
