//! Retries of calls: exponential backoff with jitter, within a budget.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::time::Instant;

/// The retry policy of a client.
///
/// A call is repeated only after a transient error ([`MmsError::is_transient`](crate::MmsError::is_transient)), and only if it is
/// idempotent or no connection was established. Bad credentials are never sent again.
///
/// One attempt includes the alternate host. Build a policy from [`RetryPolicy::default`] or [`RetryPolicy::never`] and set
/// its fields.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Maximum number of attempts, the first one included; 1 = no retries (default: 3).
    pub max_attempts: u32,
    /// Wait before the second attempt; doubled for each further one. Jitter: 50 to 100 % of it (default: 300 ms).
    pub initial_backoff: Duration,
    /// Maximum wait (default: 10 s).
    ///
    /// `Retry-After` is a lower bound of the wait. If it exceeds this maximum, the call is not repeated, and
    /// [`MmsError::retry_after`](crate::MmsError::retry_after) returns it.
    pub max_backoff: Duration,
    /// Capacity of the retry budget that all calls of a client share, in retries (default: 10).
    pub retry_budget: u32,
    /// Time in which the budget regains one retry (default: 6 s).
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
    /// Returns a policy without retries. The alternate host is still tried.
    pub fn never() -> Self {
        Self { max_attempts: 1, ..Self::default() }
    }

    /// Returns the wait after this many failures; `None` if the call is not to be repeated. `asked` (`Retry-After`) is a lower
    /// bound, and `spread` between 0.0 and 1.0 selects the jitter.
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

/// The shared retry budget, so that the retries of many callers do not multiply the load on a failing service.
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

    /// Takes one retry from the budget; false if it is exhausted.
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

/// Parses `Retry-After`, which contains seconds or an HTTP date. A date in the past is a wait of zero.
pub(crate) fn retry_after(value: Option<&HeaderValue>, now_unix: i64) -> Option<Duration> {
    let text = value?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let unix = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(unix.saturating_sub(u64::try_from(now_unix).unwrap_or_default())))
}

/// Returns a random fraction in 0.0..1.0. The keys of the hasher are the only entropy in the standard library.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit a mantissa")]
pub(crate) fn chance() -> f64 {
    let drawn = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0_u8);
    (drawn >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_with_jitter_up_to_max_attempts() {
        let policy = RetryPolicy { max_attempts: 4, initial_backoff: Duration::from_secs(1), ..RetryPolicy::default() };
        let wait = |failures, spread| policy.wait(failures, None, spread).map(|wait| wait.as_millis());
        assert_eq!(
            [wait(1, 0.0), wait(1, 1.0), wait(2, 1.0), wait(3, 1.0), wait(4, 1.0)],
            [Some(500), Some(1000), Some(2000), Some(4000), None]
        );
        assert_eq!(RetryPolicy::never().wait(1, None, 0.5), None);
    }

    #[test]
    fn random_fractions_cover_the_range() {
        let draws: Vec<f64> = (0..200).map(|_| chance()).collect();
        assert!(draws.iter().all(|share| (0.0..1.0).contains(share)), "{draws:?}");
        // The probability that no draw is below 0.2, or none above 0.8, is about 10^-19.
        assert!(draws.iter().any(|share| *share < 0.2) && draws.iter().any(|share| *share > 0.8), "{draws:?}");
    }

    #[test]
    fn retry_after_is_a_lower_bound_up_to_max_backoff() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.wait(1, Some(Duration::from_secs(5)), 0.0), Some(Duration::from_secs(5)));
        assert_eq!(policy.wait(1, Some(policy.max_backoff), 0.0), Some(policy.max_backoff));
        assert_eq!(policy.wait(1, Some(Duration::from_secs(11)), 0.0), None, "longer than max_backoff");
        let header = |text: &str| retry_after(Some(&text.parse().unwrap()), 1_700_000_000);
        assert_eq!(header("7"), Some(Duration::from_secs(7)));
        assert_eq!(header("Tue, 14 Nov 2023 22:13:50 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(header("Fri, 14 Nov 2003 22:13:50 GMT"), Some(Duration::ZERO), "a date in the past");
        assert_eq!((header("soon"), header("-1"), retry_after(None, 0)), (None, None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_retry_budget_runs_out_and_refills() {
        let policy = RetryPolicy { retry_budget: 2, budget_refill: Duration::from_secs(10), ..RetryPolicy::default() };
        let budget = Budget::new(&policy);
        let spend = |budget: &Budget| budget.spend(&policy, Instant::now());
        assert_eq!([spend(&budget), spend(&budget), spend(&budget)], [true, true, false]);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!([spend(&budget), spend(&budget)], [true, false]);
    }
}
