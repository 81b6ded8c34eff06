//! What time it is: injected, so that a test of the 24-hour login takes no time.

use std::fmt;
use std::sync::Arc;

/// Says what time it is.
pub trait Clock: Send + Sync + 'static {
    /// Unix seconds.
    fn unix_seconds(&self) -> i64;
}

/// A closure is a clock.
impl<F: Fn() -> i64 + Send + Sync + 'static> Clock for F {
    fn unix_seconds(&self) -> i64 {
        self()
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn unix_seconds(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }
}

/// A clock that is shared.
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
