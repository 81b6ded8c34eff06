//! The one clock: everything that waits or expires asks it, and it can be moved.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{Notify, oneshot};

/// The clock of a simulated cloud. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// Tells the driver that an earlier timer may be there.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// Unix milliseconds at `since`, moved on by `advance`.
    base_ms: i64,
    /// When `base_ms` was taken; `None` when time stands still.
    since: Option<Instant>,
    /// How many seconds pass here in one of the machine's.
    speed: f64,
    /// Orders timers that are due in the same millisecond.
    sequence: u64,
    timers: BTreeMap<(i64, u64), oneshot::Sender<()>>,
    /// Number of timers at which those whose sleepers went away are swept out.
    sweep_at: usize,
}

/// Fewest timers worth a sweep.
const SWEEP_AT_LEAST: usize = 1024;

impl State {
    /// Takes out the timers that nobody waits for, which would pile up in a frozen clock.
    fn sweep(&mut self) {
        self.timers.retain(|_, waiting| !waiting.is_closed());
        self.sweep_at = (self.timers.len() * 2).max(SWEEP_AT_LEAST);
    }

    fn now_ms(&self) -> i64 {
        // Far below 2^63: the speed and the life of a process are bounded.
        let elapsed = self.since.map_or(0.0, |since| since.elapsed().as_secs_f64() * 1000.0 * self.speed);
        #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds are wanted")]
        let elapsed = elapsed as i64;
        self.base_ms.saturating_add(elapsed)
    }
}

/// How often woken tasks may run before the next timer fires: enough for a chain of replies and broadcasts to settle.
const SETTLING_TURNS: usize = 64;

impl Clock {
    /// Runs with the machine's time.
    #[expect(clippy::disallowed_methods, reason = "this is the clock module")]
    pub fn real() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self::new(millis(now), Some(Instant::now()))
    }

    /// Stands at that Unix second until it is moved.
    pub fn frozen(unix_seconds: i64) -> Self {
        Self::new(unix_seconds.saturating_mul(1000), None)
    }

    fn new(base_ms: i64, since: Option<Instant>) -> Self {
        let state =
            State { base_ms, since, speed: 1.0, sequence: 0, timers: BTreeMap::new(), sweep_at: SWEEP_AT_LEAST };
        Self(Arc::new(Inner { state: Mutex::new(state), changed: Notify::new() }))
    }

    /// Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.lock().now_ms()
    }

    /// Unix seconds.
    pub fn unix_seconds(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// The time as a calendar knows it.
    pub fn timestamp(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now_ms()).unwrap_or_default()
    }

    /// Whether time stands still until it is moved.
    pub fn is_frozen(&self) -> bool {
        self.lock().since.is_none()
    }

    /// How many seconds pass here in one of the machine's; 0 when time stands still.
    pub fn speed(&self) -> f64 {
        let state = self.lock();
        if state.since.is_some() { state.speed } else { 0.0 }
    }

    /// Lets time pass at that speed from now on: 1 as the machine's, 60 a minute in a second, 0 to stand still. Speeds beyond
    /// [`Clock::FASTEST`] are that fast; what is no number or below 0 stands still.
    pub fn set_speed(&self, speed: f64) {
        {
            let mut state = self.lock();
            state.base_ms = state.now_ms();
            let runs = speed > 0.0;
            state.since = runs.then(Instant::now);
            state.speed = if runs { speed.min(Self::FASTEST) } else { 1.0 };
        }
        self.0.changed.notify_one();
    }

    /// The highest speed: a day in a second.
    pub const FASTEST: f64 = 86_400.0;

    /// Waits for that long, by this clock. The timer is set at once, not when the future is first polled, so that timers
    /// fire in the order in which they were asked for.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.lock();
            let due = state.now_ms().saturating_add(millis(duration));
            state.sequence += 1;
            let key = (due, state.sequence);
            if state.timers.len() >= state.sweep_at {
                state.sweep();
            }
            state.timers.insert(key, sender);
        }
        self.0.changed.notify_one();
        async move {
            // The sender is dropped only with the clock; then nothing waits any more.
            let _ = receiver.await;
        }
    }

    /// Moves the time on, waking everything that becomes due on the way, in order, and lets it settle.
    pub async fn advance(&self, duration: Duration) {
        let target = self.now_ms().saturating_add(millis(duration));
        loop {
            let woke = {
                let mut state = self.lock();
                match state.timers.first_key_value().map(|(key, _)| *key) {
                    Some(key) if key.0 <= target => {
                        let sender = state.timers.remove(&key);
                        let behind = key.0 - state.now_ms();
                        state.base_ms += behind.max(0);
                        sender
                    }
                    _ => None,
                }
            };
            let Some(sender) = woke else { break };
            let _ = sender.send(());
            settle().await;
        }
        {
            let mut state = self.lock();
            let behind = target - state.now_ms();
            state.base_ms += behind.max(0);
        }
        self.0.changed.notify_one();
        settle().await;
    }

    /// Wakes sleepers as the machine's time goes by. Runs until it is dropped.
    pub(crate) async fn drive(&self) {
        loop {
            let wait = {
                let mut state = self.lock();
                let now = state.now_ms();
                while let Some(entry) = state.timers.first_entry().filter(|entry| entry.key().0 <= now) {
                    let _ = entry.remove().send(());
                }
                let next = state.timers.first_key_value().map(|((due, _), _)| due - now);
                let millis = next.filter(|_| state.since.is_some()).map(|ms| u64::try_from(ms).unwrap_or_default());
                // At least a millisecond: a fast clock must not spin.
                millis.map(|ms| Duration::from_millis(ms).div_f64(state.speed).max(Duration::from_millis(1)))
            };
            let changed = self.0.changed.notified();
            match wait {
                Some(wait) => {
                    let _ = tokio::time::timeout(wait, changed).await;
                }
                None => changed.await,
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn settle() {
    for _ in 0..SETTLING_TURNS {
        tokio::task::yield_now().await;
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frozen_clock_wakes_in_order_and_only_when_moved() {
        let clock = Clock::frozen(1_700_000_000);
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = [3, 1, 2]
            .map(|seconds| {
                let (clock, order) = (clock.clone(), Arc::clone(&order));
                tokio::spawn(async move {
                    clock.sleep(Duration::from_secs(seconds)).await;
                    order.lock().unwrap().push((seconds, clock.unix_seconds()));
                })
            })
            .into();
        settle().await;
        assert!(order.lock().unwrap().is_empty());
        clock.advance(Duration::from_secs(2)).await;
        assert_eq!(*order.lock().unwrap(), [(1, 1_700_000_001), (2, 1_700_000_002)]);
        clock.advance(Duration::from_secs(1)).await;
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(order.lock().unwrap().len(), 3);
        assert_eq!(clock.unix_seconds(), 1_700_000_003);
    }

    #[tokio::test]
    async fn a_real_clock_can_be_moved_too() {
        let clock = Clock::real();
        let before = clock.unix_seconds();
        clock.advance(Duration::from_secs(86_400)).await;
        assert!(clock.unix_seconds() >= before + 86_400);
    }

    #[tokio::test]
    async fn a_clock_runs_at_the_speed_it_is_told() {
        let clock = Clock::frozen(1_700_000_000);
        assert_eq!(clock.speed().to_bits(), 0.0_f64.to_bits());
        let driver = tokio::spawn({
            let clock = clock.clone();
            async move { clock.drive().await }
        });
        let began = Instant::now();
        let day = clock.sleep(Duration::from_secs(3600));
        clock.set_speed(1e9);
        assert_eq!(clock.speed().to_bits(), Clock::FASTEST.to_bits());
        day.await;
        assert!(clock.unix_seconds() >= 1_700_003_600 && began.elapsed() < Duration::from_secs(60));
        clock.set_speed(f64::NAN);
        assert!(clock.is_frozen());
        let stands = clock.now_ms();
        tokio::task::yield_now().await;
        assert_eq!(clock.now_ms(), stands);
        driver.abort();
    }
}
