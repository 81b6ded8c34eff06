//! The one clock: everything that waits or expires asks it, and it can be moved.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
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
    /// What the machine's time is behind this one while it runs as fast, in microseconds; [`ASK`] otherwise. Everything that
    /// happens asks for the time, so it is asked for without a lock.
    ahead: AtomicI64,
    /// Tells the driver that an earlier timer may be there.
    changed: Notify,
    /// Sleepers that were woken and are not through with what they woke for, and news of their going.
    busy: AtomicUsize,
    quiet: Notify,
    /// Held while the time is moved on: who comes meanwhile moves it on from there.
    moving: tokio::sync::Mutex<()>,
}

/// The time stands still or runs at another speed: the state knows.
const ASK: i64 = i64::MIN;

/// Microseconds of the machine since the first time that somebody asked.
fn machine_micros(at: Instant) -> i64 {
    static FIRST: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let first = *FIRST.get_or_init(|| at);
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    match at.checked_duration_since(first) {
        Some(after) => micros(after),
        None => -micros(first.duration_since(at)),
    }
}

/// The state under its lock. Whoever lets it go tells those who do not take it.
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
        self.inner.ahead.store(self.state.ahead().unwrap_or(ASK), Ordering::Release);
    }
}

/// Sees to the end of a step of the time, also when a speed was set on the way or whoever moved it went away.
struct Moving<'a> {
    clock: &'a Clock,
    /// The time is where it was to go.
    is_there: bool,
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        if !self.is_there {
            let mut state = self.clock.lock();
            state.moving_to = None;
            state.set_regular_again();
        }
    }
}

/// What a sleeper is woken with. Held until what it woke for is done: the time is not moved on before.
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
    /// Unix milliseconds at `since`, moved on by `advance`.
    base_ms: i64,
    /// When `base_ms` was taken; `None` when time stands still.
    since: Option<Instant>,
    /// How many seconds pass here in one of the machine's.
    speed: f64,
    /// Orders timers that are due in the same millisecond.
    sequence: u64,
    timers: BTreeMap<(i64, u64), Timer>,
    /// Where the time is being moved to.
    moving_to: Option<i64>,
    /// Number of timers at which those whose sleepers went away are swept out.
    sweep_at: usize,
}

/// Somebody who waits.
#[derive(Debug)]
struct Timer {
    wakes: oneshot::Sender<Woken>,
    /// For one of a row: their length, in milliseconds.
    every: Option<i64>,
}

/// Fewest timers worth a sweep.
const SWEEP_AT_LEAST: usize = 1024;

impl State {
    /// Takes out the timers that nobody waits for, which would pile up in a frozen clock.
    fn sweep(&mut self) {
        self.timers.retain(|_, waiting| !waiting.wakes.is_closed());
        self.sweep_at = (self.timers.len() * 2).max(SWEEP_AT_LEAST);
    }

    /// The time does not go where it was to go: timers of a row that were set for its end are set for now.
    fn set_regular_again(&mut self) {
        let now = self.now_ms();
        let too_late = |(due, every): (i64, Option<i64>)| every.is_some_and(|every| due > now.saturating_add(every));
        let late: Vec<_> =
            self.timers.iter().filter(|(key, timer)| too_late((key.0, timer.every))).map(|(key, _)| *key).collect();
        for key in late {
            if let Some(timer) = self.timers.remove(&key) {
                let due = now.saturating_add(timer.every.unwrap_or_default());
                self.timers.insert((due, key.1), timer);
            }
        }
    }

    /// What the machine's time is behind this one, in microseconds, while both run as fast.
    #[expect(clippy::float_cmp, reason = "exactly that speed was set")]
    fn ahead(&self) -> Option<i64> {
        let since = self.since.filter(|_| self.speed == 1.0)?;
        Some(self.base_ms.saturating_mul(1000).saturating_sub(machine_micros(since)))
    }

    fn now_ms(&self) -> i64 {
        if let Some(ahead) = self.ahead() {
            return machine_micros(Instant::now()).saturating_add(ahead).div_euclid(1000);
        }
        // Far below 2^63: the speed and the life of a process are bounded.
        let elapsed = self.since.map_or(0.0, |since| since.elapsed().as_secs_f64() * 1000.0 * self.speed);
        #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds are wanted")]
        let elapsed = elapsed as i64;
        self.base_ms.saturating_add(elapsed)
    }
}

/// How often woken tasks may run before the next timer fires: enough for a chain of replies and broadcasts to settle.
const SETTLING_TURNS: usize = 64;

/// How long a woken sleeper may keep the time from being moved on, by the machine's time: one that cannot write to a client
/// who reads nothing must not stop the world.
const SETTLING_TIME: Duration = Duration::from_secs(1);

/// Wakings in a row that a step of the time owes to whoever wants them regularly, such as a connection that pings; in a longer
/// step the first ones are left out.
const REGULAR_WAKINGS: i64 = 32;

/// How far ahead of the machine's clock counts as ahead, in milliseconds.
const AHEAD_MS: i64 = 1000;

/// Longest wait of the driver before it looks at the time again.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

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
            ahead: AtomicI64::new(state.ahead().unwrap_or(ASK)),
            state: Mutex::new(state),
            changed: Notify::new(),
            busy: AtomicUsize::new(0),
            quiet: Notify::new(),
            moving: tokio::sync::Mutex::new(()),
        }))
    }

    /// Another clock that shows the same time and runs as fast, with no timers.
    pub(crate) fn copy(&self) -> Self {
        let state = self.lock();
        let copy = Self::new(state.now_ms(), state.since.map(|_| Instant::now()));
        copy.lock().speed = state.speed;
        copy
    }

    /// A clock that shows an earlier time shows that one from now on.
    pub(crate) fn advance_to(&self, ms: i64) {
        let mut state = self.lock();
        let behind = ms.saturating_sub(state.now_ms());
        state.base_ms = state.base_ms.saturating_add(behind.max(0));
    }

    /// Whether it runs at another speed than the machine's clock, or ahead of it.
    pub(crate) fn differs_from_machine(&self) -> bool {
        let speed = self.speed();
        let is_other = speed.to_bits() != 1.0_f64.to_bits();
        speed > 0.0 && (is_other || self.now_ms() > Self::real().now_ms() + AHEAD_MS)
    }

    /// Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        match self.0.ahead.load(Ordering::Acquire) {
            ASK => self.lock().now_ms(),
            ahead => machine_micros(Instant::now()).saturating_add(ahead).div_euclid(1000),
        }
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
    /// [`Clock::SLOWEST`] and [`Clock::FASTEST`] are that slow and fast; what is no number or below 0 stands still. An `advance`
    /// that is under way ends where it is.
    pub fn set_speed(&self, speed: f64) {
        {
            let mut state = self.lock();
            state.base_ms = state.now_ms();
            // Whoever moves the time on stops where it is.
            state.moving_to = None;
            let runs = speed > 0.0;
            state.since = runs.then(Instant::now);
            state.speed = if runs { speed.clamp(Self::SLOWEST, Self::FASTEST) } else { 1.0 };
        }
        self.0.changed.notify_one();
    }

    /// The lowest speed that is not standing still: a second in about a quarter of an hour.
    pub const SLOWEST: f64 = 0.001;

    /// The highest speed: a day in a second.
    pub const FASTEST: f64 = 86_400.0;

    /// Waits for that long, by this clock. The timer is set at once, not when the future is first polled, so that timers
    /// fire in the order in which they were asked for.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        let timer = self.timer(duration);
        async move { drop(timer.await) }
    }

    /// The same for whoever does something then that the time has to wait for.
    pub(crate) fn timer(&self, duration: Duration) -> impl Future<Output = Woken> + Send + use<> {
        self.set(|now, length, _| now.saturating_add(length), millis(duration), false)
    }

    /// A timer of a row of them. When the time is moved on by many of its lengths, those at the end of the way count.
    pub(crate) fn regular_timer(&self, every: Duration) -> impl Future<Output = Woken> + Send + use<> {
        let due = |now: i64, every: i64, moving_to: Option<i64>| {
            let ahead = moving_to.map_or(0, |target| target.saturating_sub(now) / every - REGULAR_WAKINGS);
            now.saturating_add(every.saturating_mul(ahead.max(1)))
        };
        self.set(due, millis(every).max(1), true)
    }

    /// Sets a timer; when it is due, by now, its length, and where the time is being moved to.
    fn set(
        &self,
        due: fn(i64, i64, Option<i64>) -> i64,
        length: i64,
        of_row: bool,
    ) -> impl Future<Output = Woken> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.lock();
            let due = due(state.now_ms(), length, state.moving_to);
            state.sequence += 1;
            let key = (due, state.sequence);
            if state.timers.len() >= state.sweep_at {
                state.sweep();
            }
            state.timers.insert(key, Timer { wakes: sender, every: of_row.then_some(length) });
        }
        self.0.changed.notify_one();
        async move {
            match receiver.await {
                Ok(woken) => woken,
                // The sender is dropped only with the clock; then nothing waits any more.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Moves the time on, waking everything that becomes due on the way, in order, each when the one before it is through. The
    /// time does not pass the year 9999. False when a speed that was set meanwhile ended it on the way.
    pub async fn advance(&self, duration: Duration) -> bool {
        let _one_at_a_time = self.0.moving.lock().await;
        let mut moving = Moving { clock: self, is_there: false };
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
                        moving.is_there = true;
                        None
                    }
                }
            };
            let Some(timer) = woke else { break };
            let _ = timer.wakes.send(Woken::new(&self.0));
            self.all_through().await;
            settle().await;
        }
        self.0.changed.notify_one();
        settle().await;
        true
    }

    /// The last millisecond that calendars here know.
    pub(crate) const END_MS: i64 = 253_402_207_200_000;

    /// Waits until every sleeper that was woken is through with what it woke for.
    async fn all_through(&self) {
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

    /// Wakes sleepers as the machine's time goes by. Runs until it is dropped.
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
                // At least a millisecond: a fast clock must not spin.
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

    /// Whoever pings goes on pinging after a long step that was ended on its way, and the time goes no further.
    #[tokio::test]
    async fn a_step_that_is_ended_leaves_regular_timers_where_they_belong() {
        let clock = Clock::frozen(0);
        let (long, other) = (clock.clone(), clock.clone());
        let step = tokio::spawn(async move { long.advance(Duration::from_secs(1_000_000)).await });
        let ended = async {
            let first = other.regular_timer(Duration::from_secs(20)).await;
            // Set for the end of the way.
            let second = other.regular_timer(Duration::from_secs(20));
            other.set_speed(0.0);
            drop(first);
            Some(second)
        };
        let (moved, second) = tokio::join!(step, ended);
        let second = second.unwrap();
        assert!(!moved.unwrap(), "it was ended");
        let stopped_at = clock.now_ms();
        assert!(stopped_at < 1_000_000_000, "{stopped_at}");
        let waits = tokio::spawn(async move { drop(second.await) });
        assert!(clock.advance(Duration::from_secs(21)).await);
        assert!(waits.is_finished(), "the next ping came");
        assert_eq!(clock.now_ms(), stopped_at + 21_000);
        // The same when whoever moves the time goes away on the way.
        let third = {
            let first = clock.regular_timer(Duration::from_secs(20));
            let mut step = Box::pin(clock.advance(Duration::from_secs(1_000_000)));
            let woken = tokio::select! {
                biased;
                woken = first => woken,
                _ = &mut step => panic!("it waits for whoever it woke"),
            };
            let third = clock.regular_timer(Duration::from_secs(20));
            drop((step, woken));
            third
        };
        let waits = tokio::spawn(async move { drop(third.await) });
        assert!(clock.advance(Duration::from_secs(21)).await);
        assert!(waits.is_finished(), "and the next ping came");
    }

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

    /// The sleeper needs many turns of the scheduler before it sleeps again: none of its wakings is passed over, also when
    /// others run on other threads.
    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn nobody_is_passed_over() {
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
    async fn a_long_step_leaves_out_what_comes_regularly_but_at_its_end() {
        let clock = Clock::frozen(1_700_000_000);
        let times = Arc::new(Mutex::new(Vec::new()));
        let sleeper = tokio::spawn({
            let (clock, times) = (clock.clone(), Arc::clone(&times));
            async move {
                loop {
                    let _woken = clock.regular_timer(Duration::from_secs(20)).await;
                    times.lock().unwrap().push(clock.unix_seconds() - 1_700_000_000);
                }
            }
        });
        settle().await;
        clock.advance(Duration::from_secs(60)).await;
        assert_eq!(*times.lock().unwrap(), [20, 40, 60]);
        clock.advance(Duration::from_secs(86_400)).await;
        let all = times.lock().unwrap().clone();
        assert!(all.len() < 50 && all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
        assert_eq!(all.last(), Some(&86_460));
        clock.advance(Duration::from_secs(u64::MAX)).await;
        assert_eq!(clock.now_ms(), Clock::END_MS);
        assert_eq!(Clock::END_MS / 1000, Timestamp::MAX.as_second());
        sleeper.abort();
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
        // So slow that nothing comes in a lifetime, and no panic for it.
        let never = clock.sleep(Duration::from_secs(u64::MAX));
        clock.set_speed(f64::MIN_POSITIVE);
        assert_eq!(clock.speed().to_bits(), Clock::SLOWEST.to_bits());
        tokio::task::yield_now().await;
        clock.set_speed(Clock::FASTEST);
        clock.sleep(Duration::from_secs(60)).await;
        drop(never);
        clock.set_speed(f64::NAN);
        assert!(clock.is_frozen());
        let stands = clock.now_ms();
        tokio::task::yield_now().await;
        assert_eq!(clock.now_ms(), stands);
        driver.abort();
    }
}
