//! Writes what changes to the state file, many changes in one transaction, and tells when they are there: nothing that says
//! a change is done leaves before that.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::persistence::StateError;
use crate::persistence::rows::{PersistedAuthority, Row, RowKey, StateHeader};
use crate::world::World;

/// What rows are written to. A row without a value is no longer there.
pub(crate) trait Store: Send {
    /// Asked before rows are read: what they show is as it was then or later.
    fn moment(&self) -> u64 {
        0
    }

    /// Writes these rows, read after that moment; when this returns, they outlive the program.
    fn write(&self, rows: &[Row], moment: u64) -> Result<(), StateError>;

    /// Writes these rows in place of all that are there.
    fn replace(&self, rows: &[Row], moment: u64) -> Result<(), StateError>;
}

/// Keeps the state of one world.
pub(crate) struct StateWriter {
    /// Which world it is, and by what clients know it.
    pub(crate) about: StateHeader,
    pub(crate) authority: PersistedAuthority,
    wanted: Mutex<Wanted>,
    /// Counts what was noted. A change is noted under the lock that guards what is changed, so that whoever reads it after
    /// this count has it.
    noted: AtomicU64,
    wake: Condvar,
    progress: watch::Sender<Progress>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Held while rows are read, and by whoever changes everything.
    reading: Mutex<()>,
}

impl std::fmt::Debug for StateWriter {
    /// Without what was touched: a session's name is its token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("about", &self.about).field("noted", &self.noted).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Wanted {
    touched: BTreeSet<RowKey>,
    /// Everything there is, in place of everything that was.
    all: bool,
    is_over: bool,
}

#[derive(Debug, Default, Clone)]
struct Progress {
    /// Notes whose changes are on disk.
    kept: u64,
    /// Why nothing is kept any more.
    failed: Option<Arc<str>>,
}

impl StateWriter {
    pub(crate) fn new(about: StateHeader, authority: PersistedAuthority) -> Arc<Self> {
        Arc::new(Self {
            about,
            authority,
            wanted: Mutex::default(),
            noted: AtomicU64::new(0),
            wake: Condvar::new(),
            progress: watch::Sender::default(),
            writer: Mutex::default(),
            reading: Mutex::default(),
        })
    }

    /// Begins to write. What was noted before is written first.
    pub(crate) fn begin(self: &Arc<Self>, store: Box<dyn Store>, world: Weak<World>) -> std::io::Result<()> {
        let keeper = Arc::clone(self);
        let thread = std::thread::Builder::new().name("state".into()).spawn(move || keeper.write(&*store, &world))?;
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is being changed, by whoever holds its lock.
    pub(crate) fn mark_row(&self, touch: RowKey) {
        self.mark_with(|wanted| {
            wanted.touched.insert(touch);
        });
    }

    /// One act changes all of these; they are kept together.
    pub(crate) fn mark_all_of(&self, touches: impl IntoIterator<Item = RowKey>) {
        self.mark_with(|wanted| wanted.touched.extend(touches));
    }

    /// Everything is being changed. Nothing is read to be kept until what this gives is dropped, and nothing that is seen
    /// meanwhile is told before.
    pub(crate) fn mark_all(&self) -> MutexGuard<'_, ()> {
        let held = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        self.mark_with(|wanted| wanted.all = true);
        held
    }

    fn mark_with(&self, note: impl FnOnce(&mut Wanted)) {
        let mut wanted = self.lock();
        note(&mut wanted);
        self.noted.fetch_add(1, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// What was noted so far.
    pub(crate) fn current_epoch(&self) -> u64 {
        self.noted.load(Ordering::Acquire)
    }

    /// Waits until everything up to that mark is on disk; false when it never will be.
    pub(crate) async fn wait_durable(&self, mark: u64) -> bool {
        let mut progress = self.progress.subscribe();
        let there = progress.wait_for(|progress| progress.kept >= mark || progress.failed.is_some()).await;
        there.is_ok_and(|progress| progress.kept >= mark)
    }

    /// Whether everything up to that mark is on disk.
    pub(crate) fn is_durable(&self, mark: u64) -> bool {
        self.progress.borrow().kept >= mark
    }

    /// Waits until nothing can be kept any more, and says why.
    pub(crate) async fn wait_failure(&self) -> Arc<str> {
        let mut progress = self.progress.subscribe();
        let failed = progress.wait_for(|progress| progress.failed.is_some()).await;
        match failed.ok().and_then(|progress| progress.failed.clone()) {
            Some(failed) => failed,
            // The sender is in `self`.
            None => std::future::pending().await,
        }
    }

    /// Writes what is left and lets the file go.
    pub(crate) fn end(&self) {
        self.lock().is_over = true;
        self.wake.notify_one();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // On the writer's own thread when the last one to hold the world was the writer.
        if let Some(writer) = writer.filter(|writer| writer.thread().id() != std::thread::current().id()) {
            let _ = writer.join();
        }
    }

    fn write(&self, store: &dyn Store, world: &Weak<World>) {
        loop {
            let (touched, all, mark) = {
                let idle = |wanted: &mut Wanted| wanted.touched.is_empty() && !wanted.all && !wanted.is_over;
                let waited = self.wake.wait_while(self.lock(), idle);
                let mut wanted = waited.unwrap_or_else(PoisonError::into_inner);
                if wanted.touched.is_empty() && !wanted.all {
                    return;
                }
                (std::mem::take(&mut wanted.touched), std::mem::take(&mut wanted.all), self.current_epoch())
            };
            let Some(world) = world.upgrade() else { return };
            let moment = store.moment();
            let rows = {
                let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
                if all {
                    world.kept(self.about.clone(), self.authority.clone()).rows()
                } else {
                    world.rows_of(&touched)
                }
            };
            drop(world);
            let written = if all { store.replace(&rows, moment) } else { store.write(&rows, moment) };
            match written {
                Ok(()) => self.progress.send_modify(|progress| progress.kept = mark),
                Err(error) => {
                    tracing::error!(%error, "nothing is kept any more");
                    self.progress.send_modify(|progress| progress.failed = Some(error.to_string().into()));
                    return;
                }
            }
        }
    }
}
