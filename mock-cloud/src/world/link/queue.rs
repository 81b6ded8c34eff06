//! A bounded queue for one reader that holds no memory while nothing waits in it: most connections are idle most of the time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Room that an empty queue may keep.
const KEPT_ROOM: usize = 16;

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    news: Notify,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    most: usize,
    senders: usize,
    /// Something did not fit, or nobody reads any more.
    is_cut: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn pop(&mut self) -> Option<T> {
        let first = self.waiting.pop_front();
        if self.waiting.is_empty() && self.waiting.capacity() > KEPT_ROOM {
            self.waiting = VecDeque::new();
        }
        first
    }
}

/// A queue for that many at most.
pub(super) fn queue<T>(most: usize) -> (Sender<T>, Receiver<T>) {
    let state = State { waiting: VecDeque::new(), most, senders: 1, is_cut: false };
    let shared = Arc::new(Shared { state: Mutex::new(state), news: Notify::new() });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

#[derive(Debug)]
pub(super) struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// Queues something. False when it does not fit or nobody reads: then the reader gets nothing more, for what comes would
    /// have a gap before it.
    pub(super) fn send(&self, thing: T) -> bool {
        let fits = {
            let mut state = self.0.lock();
            if state.is_cut || state.waiting.len() >= state.most {
                state.is_cut = true;
                state.waiting = VecDeque::new();
                false
            } else {
                state.waiting.push_back(thing);
                true
            }
        };
        self.0.news.notify_one();
        fits
    }
}

#[cfg(feature = "cluster")]
impl<T> Sender<T> {
    /// The reader gets nothing more, not even what waits already.
    pub(super) fn cut(&self) {
        {
            let mut state = self.0.lock();
            state.is_cut = true;
            state.waiting = VecDeque::new();
        }
        self.0.news.notify_one();
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let is_last = {
            let mut state = self.0.lock();
            state.senders -= 1;
            state.senders == 0
        };
        if is_last {
            self.0.news.notify_one();
        }
    }
}

#[derive(Debug)]
pub(super) struct Receiver<T>(Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// The next; `None` when nothing comes any more: something did not fit, or nobody is left to send.
    pub(super) async fn next(&mut self) -> Option<T> {
        loop {
            {
                let mut state = self.0.lock();
                if let Some(first) = state.pop() {
                    return Some(first);
                }
                if state.is_cut || state.senders == 0 {
                    return None;
                }
            }
            self.0.news.notified().await;
        }
    }

    /// The next, if it is there.
    pub(super) fn now(&mut self) -> Option<T> {
        self.0.lock().pop()
    }

    /// Whether something did not fit.
    pub(super) fn is_cut(&self) -> bool {
        self.0.lock().is_cut
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().waiting.len()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_cut = true;
        state.waiting = VecDeque::new();
    }
}
