//! The injected clock, so that a test of the expiry of an Identity does not wait 24 hours.

use std::fmt;
use std::sync::Arc;

/// A source of the current time.
///
/// Closures that return Unix seconds implement it. See [`MmsClient::with_clock`](crate::MmsClient::with_clock).
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time in Unix seconds.
    fn unix_seconds(&self) -> i64;
}

impl<F: Fn() -> i64 + Send + Sync + 'static> Clock for F {
    fn unix_seconds(&self) -> i64 {
        self()
    }
}

/// The clock of the machine (default).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn unix_seconds(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }
}

/// A clock shared by the clones of a client.
#[derive(Clone)]
pub(crate) struct SharedClock(Arc<dyn Clock>);

impl SharedClock {
    pub(crate) fn new(clock: impl Clock) -> Self {
        Self(Arc::new(clock))
    }

    pub(crate) fn unix_seconds(&self) -> i64 {
        self.0.unix_seconds()
    }
}

impl fmt::Debug for SharedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
