//! The clock of a simulated cloud. All simulated timers and expiries use it, and tests can advance it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{Notify, oneshot};

/// The clock of a simulated cloud.
///
/// Clones share the time, the speed and the timers. By default a cloud uses [`Clock::real`].
///
/// The timers of a running clock fire only while a cloud uses it. [`Clock::advance`] fires timers of any clock.
///
/// ```
/// use std::time::Duration;
///
/// use ezlo_mock_cloud::Clock;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let clock = Clock::frozen(1_700_000_000);
/// let hour = Duration::from_secs(3600);
/// let ((), completed) = tokio::join!(clock.sleep(hour), clock.advance(hour));
/// assert!(completed);
/// assert_eq!(clock.unix_seconds(), 1_700_003_600);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// Offset of this clock from the machine's clock in microseconds, or [`NO_OFFSET`]. It lets the frequent reads of the time
    /// avoid the lock.
    ahead: AtomicI64,
    /// Notifies the driver that the earliest timer may have changed.
    changed: Notify,
    /// Number of [`Woken`] guards that are still alive.
    busy: AtomicUsize,
    /// Notified when a [`Woken`] guard is dropped.
    quiet: Notify,
    /// Serialises calls of [`Clock::advance`].
    moving: tokio::sync::Mutex<()>,
}

/// Value of [`Inner::ahead`] while the time stands still or runs at another speed than 1.
const NO_OFFSET: i64 = i64::MIN;

/// Microseconds of the machine's monotonic clock since the first call of this function.
fn machine_micros(at: Instant) -> i64 {
    static FIRST: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let first = *FIRST.get_or_init(|| at);
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    match at.checked_duration_since(first) {
        Some(after) => micros(after),
        None => -micros(first.duration_since(at)),
    }
}

/// The locked state. Its drop publishes the offset for readers that do not lock.
struct Guard<'a> {
    inner: &'a Inner,
    state: std::sync::MutexGuard<'a, State>,
}

impl std::ops::Deref for Guard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl std::ops::DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.inner.ahead.store(self.state.ahead().unwrap_or(NO_OFFSET), Ordering::Release);
    }
}

/// Cleans up after a call of [`Clock::advance`] that was cancelled or ended by [`Clock::set_speed`].
struct Moving<'a> {
    clock: &'a Clock,
    /// The target time was reached.
    is_complete: bool,
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        if !self.is_complete {
            self.clock.lock().moving_to = None;
        }
    }
}

/// A guard that a timer yields. [`Clock::advance`] waits until it is dropped before it fires the next timer.
#[derive(Debug)]
pub(crate) struct Woken(Arc<Inner>);

impl Woken {
    fn new(inner: &Arc<Inner>) -> Self {
        inner.busy.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(inner))
    }
}

impl Drop for Woken {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
        self.0.quiet.notify_waiters();
    }
}

#[derive(Debug)]
struct State {
    /// Unix milliseconds at `since`. Increased by [`Clock::advance`].
    base_ms: i64,
    /// Machine time of `base_ms`; `None` if the clock is frozen.
    since: Option<Instant>,
    /// Simulated seconds per second of machine time.
    speed: f64,
    /// Number of the newest timer. It orders timers that are due in the same millisecond.
    sequence: u64,
    timers: BTreeMap<(i64, u64), Timer>,
    /// Target of the running [`Clock::advance`], in Unix milliseconds.
    moving_to: Option<i64>,
    /// Number of timers at which abandoned timers are removed.
    sweep_at: usize,
}

/// A pending timer.
#[derive(Debug)]
struct Timer {
    wakes: oneshot::Sender<Woken>,
}

/// Minimum number of timers before abandoned ones are removed.
const SWEEP_AT_LEAST: usize = 1024;

impl State {
    /// Removes abandoned timers, which would accumulate in a frozen clock.
    fn sweep(&mut self) {
        self.timers.retain(|_, waiting| !waiting.wakes.is_closed());
        self.sweep_at = (self.timers.len() * 2).max(SWEEP_AT_LEAST);
    }

    /// Offset from the machine's clock in microseconds, if this clock runs at speed 1.
    #[expect(clippy::float_cmp, reason = "exactly that speed was set")]
    fn ahead(&self) -> Option<i64> {
        let since = self.since.filter(|_| self.speed == 1.0)?;
        Some(self.base_ms.saturating_mul(1000).saturating_sub(machine_micros(since)))
    }

    fn now_ms(&self) -> i64 {
        if let Some(ahead) = self.ahead() {
            return machine_micros(Instant::now()).saturating_add(ahead).div_euclid(1000);
        }
        // Far below 2^63: the speed and the uptime of a process are bounded.
        let elapsed = self.since.map_or(0.0, |since| since.elapsed().as_secs_f64() * 1000.0 * self.speed);
        #[expect(clippy::cast_possible_truncation, reason = "the time has a resolution of 1 ms")]
        let elapsed = elapsed as i64;
        self.base_ms.saturating_add(elapsed)
    }
}

/// Number of yields before the next timer fires: enough for a chain of replies and broadcasts to complete.
const SETTLING_TURNS: usize = 64;

/// Longest wait for a [`Woken`] guard, in machine time. A task that is blocked on a client that reads nothing must not stop
/// the world.
const SETTLING_TIME: Duration = Duration::from_secs(1);

/// Tolerance of the comparison with the machine's clock, in milliseconds.
const AHEAD_MS: i64 = 1000;

/// Longest wait of the driver before it checks the time again.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

impl Clock {
    /// Returns a clock that starts at the machine's time and runs at speed 1.
    #[expect(clippy::disallowed_methods, reason = "this is the clock module")]
    pub fn real() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self::new(millis(now), Some(Instant::now()))
    }

    /// Returns a clock that stands still at `unix_seconds` until it is advanced or gets a speed.
    pub fn frozen(unix_seconds: i64) -> Self {
        Self::new(unix_seconds.saturating_mul(1000), None)
    }

    fn new(base_ms: i64, since: Option<Instant>) -> Self {
        let state = State {
            base_ms,
            since,
            speed: 1.0,
            sequence: 0,
            timers: BTreeMap::new(),
            moving_to: None,
            sweep_at: SWEEP_AT_LEAST,
        };
        Self(Arc::new(Inner {
            ahead: AtomicI64::new(state.ahead().unwrap_or(NO_OFFSET)),
            state: Mutex::new(state),
            changed: Notify::new(),
            busy: AtomicUsize::new(0),
            quiet: Notify::new(),
            moving: tokio::sync::Mutex::new(()),
        }))
    }

    /// Returns an independent clock with the same time and speed and without timers.
    pub(crate) fn copy(&self) -> Self {
        let state = self.lock();
        let copy = Self::new(state.now_ms(), state.since.map(|_| Instant::now()));
        copy.lock().speed = state.speed;
        copy
    }

    /// Moves the clock forward to `ms` (Unix milliseconds) without firing timers. An earlier time has no effect.
    pub(crate) fn advance_to(&self, ms: i64) {
        let mut state = self.lock();
        let behind = ms.saturating_sub(state.now_ms());
        state.base_ms = state.base_ms.saturating_add(behind.max(0));
    }

    /// Returns `true` if the clock runs at a speed other than 1, or ahead of the machine's clock by more than a second.
    /// Returns `false` for a frozen clock.
    pub(crate) fn differs_from_machine(&self) -> bool {
        let speed = self.speed();
        let is_other = speed.to_bits() != 1.0_f64.to_bits();
        speed > 0.0 && (is_other || self.now_ms() > Self::real().now_ms() + AHEAD_MS)
    }

    /// Returns the time in Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        match self.0.ahead.load(Ordering::Acquire) {
            NO_OFFSET => self.lock().now_ms(),
            ahead => machine_micros(Instant::now()).saturating_add(ahead).div_euclid(1000),
        }
    }

    /// Returns the time in whole Unix seconds.
    pub fn unix_seconds(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// Returns the time as a timestamp.
    ///
    /// Returns the Unix epoch if the time is outside of the range of [`Timestamp`].
    pub fn timestamp(&self) -> Timestamp {
        Timestamp::from_millisecond(self.now_ms()).unwrap_or_default()
    }

    /// Returns `true` if the clock stands still.
    pub fn is_frozen(&self) -> bool {
        self.lock().since.is_none()
    }

    /// Returns the simulated seconds per second of machine time; 0 if the clock stands still.
    pub fn speed(&self) -> f64 {
        let state = self.lock();
        if state.since.is_some() { state.speed } else { 0.0 }
    }

    /// Sets the speed in simulated seconds per second of machine time.
    ///
    /// A positive value is clamped to [`Clock::SLOWEST`] and [`Clock::FASTEST`]. The value 0, a negative value and NaN stop the
    /// clock. A running [`Clock::advance`] ends at the present time and returns `false`.
    pub fn set_speed(&self, speed: f64) {
        {
            let mut state = self.lock();
            state.base_ms = state.now_ms();
            // Ends a running `advance`.
            state.moving_to = None;
            let runs = speed > 0.0;
            state.since = runs.then(Instant::now);
            state.speed = if runs { speed.clamp(Self::SLOWEST, Self::FASTEST) } else { 1.0 };
        }
        self.0.changed.notify_one();
    }

    /// The lowest speed besides 0: one simulated second in 1000 s.
    pub const SLOWEST: f64 = 0.001;

    /// The highest speed: one simulated day per second.
    pub const FASTEST: f64 = 86_400.0;

    /// Waits for `duration` of simulated time.
    ///
    /// The call itself sets the timer, not the first poll. Timers that are due at the same time fire in the order of the calls.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has no further effect.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        let timer = self.timer(duration);
        async move { drop(timer.await) }
    }

    /// Like [`Clock::sleep`], but yields a guard that delays the next timer of [`Clock::advance`].
    pub(crate) fn timer(&self, duration: Duration) -> impl Future<Output = Woken> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.lock();
            let due = state.now_ms().saturating_add(millis(duration));
            state.sequence += 1;
            let key = (due, state.sequence);
            if state.timers.len() >= state.sweep_at {
                state.sweep();
            }
            state.timers.insert(key, Timer { wakes: sender });
        }
        self.0.changed.notify_one();
        async move {
            match receiver.await {
                Ok(woken) => woken,
                // The sender is dropped only with the clock.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Advances the clock by `duration`.
    ///
    /// Fires every timer that becomes due, each at its own time and in order. The consequences of a timer complete before the
    /// next one fires; the clock waits at most 1 s of machine time for them. Concurrent calls run one after the other. The
    /// clock stops at the end of the year 9999.
    ///
    /// Returns `false` if [`Clock::set_speed`] ended the step early.
    ///
    /// # Panics
    ///
    /// Panics if it fires a timer outside of a Tokio runtime with an enabled time driver.
    ///
    /// # Cancel safety
    ///
    /// A dropped call ends the step at the time that it has reached.
    pub async fn advance(&self, duration: Duration) -> bool {
        let _one_at_a_time = self.0.moving.lock().await;
        let mut moving = Moving { clock: self, is_complete: false };
        let target = self.now_ms().saturating_add(millis(duration)).min(Self::END_MS);
        self.lock().moving_to = Some(target);
        loop {
            let woke = {
                let mut state = self.lock();
                if state.moving_to.is_none() {
                    return false;
                }
                match state.timers.first_key_value().map(|(key, _)| *key) {
                    Some(key) if key.0 <= target => {
                        let timer = state.timers.remove(&key);
                        let behind = key.0 - state.now_ms();
                        state.base_ms += behind.max(0);
                        timer
                    }
                    _ => {
                        let behind = target - state.now_ms();
                        state.base_ms += behind.max(0);
                        state.moving_to = None;
                        moving.is_complete = true;
                        None
                    }
                }
            };
            let Some(timer) = woke else { break };
            let _ = timer.wakes.send(Woken::new(&self.0));
            self.wait_until_idle().await;
            settle().await;
        }
        self.0.changed.notify_one();
        settle().await;
        true
    }

    /// Upper limit of the time in Unix milliseconds: the last second of [`Timestamp::MAX`].
    pub(crate) const END_MS: i64 = 253_402_207_200_000;

    /// Waits until all [`Woken`] guards are dropped, at most [`SETTLING_TIME`].
    async fn wait_until_idle(&self) {
        let waiting = async {
            loop {
                let mut quiet = std::pin::pin!(self.0.quiet.notified());
                quiet.as_mut().enable();
                if self.0.busy.load(Ordering::Acquire) == 0 {
                    return;
                }
                quiet.await;
            }
        };
        let _ = tokio::time::timeout(SETTLING_TIME, waiting).await;
    }

    /// Fires the timers of a running clock. The future never completes.
    pub(crate) async fn drive(&self) {
        loop {
            let wait = {
                let mut state = self.lock();
                let now = state.now_ms();
                while let Some(entry) = state.timers.first_entry().filter(|entry| entry.key().0 <= now) {
                    let _ = entry.remove().wakes.send(Woken::new(&self.0));
                }
                let next = state.timers.first_key_value().map(|((due, _), _)| due - now);
                let millis = next.filter(|_| state.since.is_some()).map(|ms| u64::try_from(ms).unwrap_or_default());
                // At least a millisecond, so that a fast clock does not spin.
                let wait = |ms| Duration::from_millis(ms).as_secs_f64() / state.speed;
                millis.map(|ms| {
                    let wait = Duration::try_from_secs_f64(wait(ms)).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
                    wait.max(Duration::from_millis(1))
                })
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

    fn lock(&self) -> Guard<'_> {
        Guard { inner: &self.0, state: self.0.state.lock().unwrap_or_else(PoisonError::into_inner) }
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
    async fn an_interrupted_advance_stops_at_the_present_time() {
        let clock = Clock::frozen(0);
        let (long, other) = (clock.clone(), clock.clone());
        let step = tokio::spawn(async move { long.advance(Duration::from_secs(1_000_000)).await });
        let woken = other.timer(Duration::from_secs(20)).await;
        other.set_speed(0.0);
        drop(woken);
        assert!(!step.await.unwrap(), "the step was ended");
        assert_eq!(clock.now_ms(), 20_000);
        // The same after a cancelled step.
        let first = clock.timer(Duration::from_secs(20));
        let mut step = Box::pin(clock.advance(Duration::from_secs(1_000_000)));
        let woken = tokio::select! {
            biased;
            woken = first => woken,
            _ = &mut step => panic!("the step ended before the guard was dropped"),
        };
        drop((step, woken));
        assert_eq!(clock.now_ms(), 40_000);
        assert!(clock.advance(Duration::from_secs(1)).await);
        assert_eq!(clock.now_ms(), 41_000);
    }

    #[tokio::test]
    async fn a_frozen_clock_fires_timers_in_order_and_only_by_advance() {
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

    /// The task yields often before it sets its next timer. No period may be skipped, also on several threads.
    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn advance_waits_for_the_consequences_of_each_timer() {
        let clock = Clock::frozen(1_700_000_000);
        let times = Arc::new(AtomicUsize::new(0));
        let sleeper = tokio::spawn({
            let (clock, times, mut timer) = (clock.clone(), Arc::clone(&times), clock.timer(Duration::from_secs(1)));
            async move {
                loop {
                    let _woken = timer.await;
                    for _ in 0..200 {
                        tokio::task::yield_now().await;
                    }
                    times.fetch_add(1, Ordering::Relaxed);
                    timer = clock.timer(Duration::from_secs(1));
                }
            }
        });
        clock.advance(Duration::from_secs(500)).await;
        assert_eq!(times.load(Ordering::Relaxed), 500);
        sleeper.abort();
    }

    #[tokio::test]
    async fn an_advance_ends_with_the_last_second() {
        let clock = Clock::frozen(1_700_000_000);
        clock.advance(Duration::from_secs(u64::MAX)).await;
        assert_eq!(clock.now_ms(), Clock::END_MS);
        assert_eq!(Clock::END_MS / 1000, Timestamp::MAX.as_second());
    }

    #[tokio::test]
    async fn a_running_clock_can_be_advanced() {
        let clock = Clock::real();
        let before = clock.unix_seconds();
        clock.advance(Duration::from_secs(86_400)).await;
        assert!(clock.unix_seconds() >= before + 86_400);
    }

    #[tokio::test]
    async fn the_speed_is_clamped_and_applied() {
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
        // The due time overflows, which must not panic.
        let never = clock.sleep(Duration::from_secs(u64::MAX));
        clock.set_speed(f64::MIN_POSITIVE);
        assert_eq!(clock.speed().to_bits(), Clock::SLOWEST.to_bits());
        tokio::task::yield_now().await;
        clock.set_speed(Clock::FASTEST);
        clock.sleep(Duration::from_secs(60)).await;
        drop(never);
        clock.set_speed(f64::NAN);
        assert!(clock.is_frozen());
        let stopped = clock.now_ms();
        tokio::task::yield_now().await;
        assert_eq!(clock.now_ms(), stopped);
        driver.abort();
    }
}
