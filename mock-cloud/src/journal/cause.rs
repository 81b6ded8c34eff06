//! The cause and the time of journal entries, per thread.

use std::cell::Cell;

thread_local! {
    /// Time of the handled event in Unix milliseconds. Handling it takes no simulated time.
    pub(crate) static NOW: Cell<Option<i64>> = const { Cell::new(None) };
    /// Number of the entry that this thread handles. Handlers are synchronous, so it is the cause of all that they record.
    pub(crate) static CAUSE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// A received message: the number of its entry and its time. Handling it takes no simulated time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received {
    pub(crate) seq: Option<u64>,
    pub(crate) at_ms: Option<i64>,
}

impl Received {
    /// Runs `act` with the message as cause.
    pub(crate) fn as_cause<R>(self, act: impl FnOnce() -> R) -> R {
        because(self.seq, self.at_ms, act)
    }
}

/// Returns the number of the entry that this thread handles.
pub(crate) fn cause() -> Option<u64> {
    CAUSE.get()
}

/// Runs `act` at the time `now_ms` (Unix milliseconds), with the present cause.
pub(crate) fn at<R>(now_ms: i64, act: impl FnOnce() -> R) -> R {
    because(cause(), Some(now_ms), act)
}

/// Runs `act` with this cause.
pub(crate) fn with_cause<R>(cause: Option<u64>, act: impl FnOnce() -> R) -> R {
    because(cause, None, act)
}

/// Runs `act` with this cause and time, and restores the previous ones.
pub(crate) fn because<R>(cause: Option<u64>, now: Option<i64>, act: impl FnOnce() -> R) -> R {
    struct Restore(Option<u64>, Option<i64>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CAUSE.set(self.0);
            NOW.set(self.1);
        }
    }
    let _restore = Restore(CAUSE.replace(cause), NOW.replace(now));
    act()
}
