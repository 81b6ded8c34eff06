//! When a call is tried again: by class of error, with jitter, within a budget.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

/// How calls are tried again. Only what changes nothing when done twice is, and only after errors that may pass; bad
/// credentials never.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Attempts in all; 1 = no retries.
    pub max_attempts: u32,
    /// Wait before the second attempt; doubled for each further one, half of it by chance.
    pub initial_backoff: Duration,
    /// No wait is longer. A service that asks for more time than this is not asked again: the error tells how long.
    pub max_backoff: Duration,
    /// Retries that all calls of a client together may spend at once.
    pub retry_budget: u32,
    /// Time in which one spent retry comes back.
    pub budget_refill: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            initial_backoff: Duration::from_millis(300),
            max_backoff: Duration::from_secs(10),
            retry_budget: 10,
            budget_refill: Duration::from_secs(6),
        }
    }
}

impl RetryPolicy {
    /// Never tries again.
    pub fn never() -> Self {
        Self { max_attempts: 1, ..Self::default() }
    }

    /// How long to wait after that many failures, for a `spread` between 0.0 and 1.0; `None` when it is enough. What the
    /// service asked for is a floor.
    pub(crate) fn wait(&self, failures: u32, asked: Option<Duration>, spread: f64) -> Option<Duration> {
        if failures >= self.max_attempts || asked.is_some_and(|asked| asked > self.max_backoff) {
            return None;
        }
        let doubled =
            self.initial_backoff.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.max_backoff);
        let spread = doubled.mul_f64(0.5f64.mul_add(spread.clamp(0.0, 1.0), 0.5));
        Some(spread.max(asked.unwrap_or_default()))
    }
}

/// Retries that may still be spent: a service that is down must not get three times the load from everybody.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Mutex<Bucket>>);

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Option<Instant>,
}

impl Budget {
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        Self(Arc::new(Mutex::new(Bucket { left: f64::from(policy.retry_budget), at: None })))
    }

    /// Spends one; false when there is none.
    pub(crate) fn spend(&self, policy: &RetryPolicy, now: Instant) -> bool {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = bucket.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        bucket.at = Some(now);
        let back = passed.as_secs_f64() / policy.budget_refill.as_secs_f64().max(1e-3);
        bucket.left = (bucket.left + back).min(f64::from(policy.retry_budget));
        let some = bucket.left >= 1.0;
        if some {
            bucket.left -= 1.0;
        }
        some
    }
}

/// What `Retry-After` asks for: seconds, or a date.
pub(crate) fn retry_after(value: Option<&HeaderValue>, now_unix: i64) -> Option<Duration> {
    let text = value?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let unix = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(unix.saturating_sub(u64::try_from(now_unix).unwrap_or_default())))
}

/// Between 0.0 and 1.0; the hasher's keys are the one source of entropy in the standard library.
#[expect(clippy::cast_precision_loss, reason = "53 bits are kept")]
pub(crate) fn chance() -> f64 {
    let drawn = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0_u8);
    (drawn >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_are_spread_and_end() {
        let policy = RetryPolicy { max_attempts: 4, initial_backoff: Duration::from_secs(1), ..RetryPolicy::default() };
        let wait = |failures, spread| policy.wait(failures, None, spread).map(|wait| wait.as_millis());
        assert_eq!(
            [wait(1, 0.0), wait(1, 1.0), wait(2, 1.0), wait(3, 1.0), wait(4, 1.0)],
            [Some(500), Some(1000), Some(2000), Some(4000), None]
        );
        assert_eq!(RetryPolicy::never().wait(1, None, 0.5), None);
    }

    #[test]
    fn chance_spreads() {
        let draws: Vec<f64> = (0..200).map(|_| chance()).collect();
        assert!(draws.iter().all(|share| (0.0..1.0).contains(share)), "{draws:?}");
        // That all 200 fall on one side has a chance of one in 10^18.
        assert!(draws.iter().any(|share| *share < 0.2) && draws.iter().any(|share| *share > 0.8), "{draws:?}");
    }

    #[test]
    fn what_the_service_asks_for_is_honoured_or_told() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.wait(1, Some(Duration::from_secs(5)), 0.0), Some(Duration::from_secs(5)));
        assert_eq!(policy.wait(1, Some(policy.max_backoff), 0.0), Some(policy.max_backoff));
        assert_eq!(policy.wait(1, Some(Duration::from_secs(11)), 0.0), None, "nobody waits that long here");
        let header = |text: &str| retry_after(Some(&text.parse().unwrap()), 1_700_000_000);
        assert_eq!(header("7"), Some(Duration::from_secs(7)));
        assert_eq!(header("Tue, 14 Nov 2023 22:13:50 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(header("Fri, 14 Nov 2003 22:13:50 GMT"), Some(Duration::ZERO), "that is over");
        assert_eq!((header("soon"), header("-1"), retry_after(None, 0)), (None, None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_runs_out_and_comes_back() {
        let policy = RetryPolicy { retry_budget: 2, budget_refill: Duration::from_secs(10), ..RetryPolicy::default() };
        let budget = Budget::new(&policy);
        let spend = |budget: &Budget| budget.spend(&policy, Instant::now());
        assert_eq!([spend(&budget), spend(&budget), spend(&budget)], [true, true, false]);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!([spend(&budget), spend(&budget)], [true, false]);
    }
}
