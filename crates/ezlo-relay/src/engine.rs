//! What runs behind a handle: a task of its own drives it, and whoever has something for it may drive it on the spot.
//!
//! A call that only left a note for the task would wait until another core has woken up, which takes longer than the hub does. So
//! the caller puts its note down and drives the engine itself as far as it goes: the call leaves before the caller waits. All
//! wakes go through one bell. While a caller has the engine in hand they only ring, and the caller looks before it lets go.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use tokio::runtime::{Handle, Id};

/// How often a caller drives on when it is rung for meanwhile; then it leaves the rest to the task.
const TURNS: usize = 4;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The work behind a handle, and who is told when it can go on.
pub(crate) struct Engine {
    /// None once it is done or its task is gone.
    work: Mutex<Option<Work>>,
    bell: Arc<Bell>,
    runtime: Id,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Bell {
    /// Something came that was not looked at yet.
    rung: AtomicBool,
    /// A caller has the engine in hand.
    in_hand: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // First rung, then looked: who lets go does it the other way round, so one of the two always sees it.
        self.rung.store(true, Ordering::SeqCst);
        if !self.in_hand.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

/// The engine in a caller's hand. Letting go of it leaves to the task what came meanwhile.
struct Hand<'a> {
    work: Option<MutexGuard<'a, Option<Work>>>,
    bell: &'a Bell,
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        self.bell.in_hand.store(false, Ordering::SeqCst);
        // The task would find it locked.
        self.work = None;
        if self.bell.rung.load(Ordering::SeqCst) {
            self.bell.task.wake();
        }
    }
}

/// The task goes: nobody may drive any more, and what the engine holds goes with it.
struct Driver(Arc<Engine>);

impl Drop for Driver {
    fn drop(&mut self) {
        let work = self.0.lock().take();
        drop(work);
    }
}

impl Engine {
    /// Starts a task that drives the work to its end. Needs a runtime.
    pub(crate) fn start(work: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        let work: Work = Box::pin(work);
        let engine =
            Arc::new(Self { work: Mutex::new(Some(work)), bell: Arc::default(), runtime: Handle::current().id() });
        let driver = Driver(Arc::clone(&engine));
        tokio::spawn(std::future::poll_fn(move |context| driver.0.driven(context)));
        engine
    }

    fn lock(&self) -> MutexGuard<'_, Option<Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn driven(&self, context: &Context<'_>) -> Poll<()> {
        self.bell.task.register(context.waker());
        match self.work.try_lock() {
            Ok(mut work) => self.turn(&mut work),
            Err(TryLockError::Poisoned(poisoned)) => self.turn(&mut poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                // Whoever has it in hand looks at the bell before letting go; one who only just took it, or has let go, may not.
                self.bell.rung.store(true, Ordering::SeqCst);
                if !self.bell.in_hand.load(Ordering::SeqCst) {
                    context.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    }

    /// One step; an engine that is done stays so.
    fn turn(&self, work: &mut Option<Work>) -> Poll<()> {
        let Some(going) = work else { return Poll::Ready(()) };
        // What was done before the bell rang is seen from here on.
        self.bell.rung.swap(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.bell));
        let polled = going.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            *work = None;
        }
        polled
    }

    /// The same in a caller's hand. A panic of the work is none of the caller's: it ends the work, as it would in its task.
    fn turn_or_end(&self, work: &mut Option<Work>) -> Poll<()> {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| self.turn(work)));
        polled.unwrap_or_else(|_| {
            *work = None;
            Poll::Ready(())
        })
    }

    /// Does something that the work is waiting for, and drives it on at once where that is possible: nobody else is at it,
    /// and we are in its own runtime.
    pub(crate) fn with<T>(&self, act: impl FnOnce() -> T) -> T {
        let at_home = Handle::try_current().is_ok_and(|here| here.id() == self.runtime);
        let Some(work) = at_home.then(|| self.work.try_lock().ok()).flatten() else { return act() };
        let mut hand = Hand { work: Some(work), bell: &self.bell };
        self.bell.in_hand.store(true, Ordering::SeqCst);
        let done = act();
        for _ in 0..TURNS {
            if !self.bell.rung.load(Ordering::SeqCst) {
                break;
            }
            if hand.work.as_mut().is_some_and(|work| self.turn_or_end(work).is_ready()) {
                // The task has to end, too.
                self.bell.rung.store(true, Ordering::SeqCst);
                break;
            }
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;
    use tokio::sync::mpsc;

    /// Adds up what comes, until a nought.
    fn adder(room: usize) -> (mpsc::Sender<u64>, Arc<AtomicU64>, Arc<Engine>) {
        let (sender, mut receiver) = mpsc::channel(room);
        let sum = Arc::new(AtomicU64::new(0));
        let into = Arc::clone(&sum);
        let engine = Engine::start(async move {
            while let Some(number @ 1..) = receiver.recv().await {
                assert!(number < 1_000_000, "too much");
                into.fetch_add(number, Ordering::Relaxed);
            }
        });
        (sender, sum, engine)
    }

    /// Lets the task have its turns.
    async fn turns() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_is_left_for_it_is_done_before_one_waits() {
        let (sender, sum, engine) = adder(4);
        engine.with(|| sender.try_send(1).unwrap());
        assert_eq!(sum.load(Ordering::Relaxed), 0, "its task has not begun");
        turns().await;
        engine.with(|| sender.try_send(2).unwrap());
        assert_eq!(sum.load(Ordering::Relaxed), 3, "on the spot");
        std::thread::scope(|scope| scope.spawn(|| engine.with(|| sender.try_send(4).unwrap())).join().unwrap());
        assert_eq!(sum.load(Ordering::Relaxed), 3, "not from outside its runtime");
        turns().await;
        assert_eq!(sum.load(Ordering::Relaxed), 7, "but soon");
    }

    #[tokio::test]
    async fn its_end_ends_its_task_whoever_drove_it() {
        let (sender, _, engine) = adder(4);
        turns().await;
        assert_eq!(Arc::strong_count(&engine), 2);
        engine.with(|| sender.try_send(0).unwrap());
        assert!(sender.is_closed() && engine.lock().is_none());
        turns().await;
        assert_eq!(Arc::strong_count(&engine), 1);
        assert_eq!(engine.with(|| 5), 5, "there is nothing to drive any more");
    }

    #[tokio::test]
    async fn a_panic_in_a_hand_ends_it_as_one_in_its_task_does() {
        let (sender, _, engine) = adder(4);
        turns().await;
        engine.with(|| sender.try_send(1_000_000).unwrap());
        assert!(sender.is_closed(), "what it held is gone, and the caller goes on");
        turns().await;
        assert_eq!(Arc::strong_count(&engine), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_hands_lose_nothing() {
        const EACH: u64 = 20_000;
        let (sender, sum, engine) = adder(2);
        let hands: Vec<_> = (0..4)
            .map(|_| {
                let (sender, engine) = (sender.clone(), Arc::clone(&engine));
                tokio::spawn(async move {
                    for _ in 0..EACH {
                        if engine.with(|| sender.try_send(1)).is_err() {
                            sender.send(1).await.unwrap();
                        }
                    }
                })
            })
            .collect();
        for hand in hands {
            hand.await.unwrap();
        }
        sender.send(0).await.unwrap();
        sender.closed().await;
        assert_eq!(sum.load(Ordering::Relaxed), 4 * EACH);
    }
}
