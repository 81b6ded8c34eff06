//! Group commit: a writer thread persists many changes in one transaction. Replies and broadcasts are sent only after the
//! commit of their changes.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::persistence::error::StateError;
use crate::persistence::rows::{Row, RowKey};

/// The source of rows. Its methods return `None` after the world was dropped.
pub(crate) trait RowSource: Send + Sync {
    /// Returns the present rows with these keys, and the rows that are part of every transaction.
    fn rows_of(&self, keys: &BTreeSet<RowKey>) -> Option<Vec<Row>>;

    /// Returns all rows.
    fn all_rows(&self) -> Option<Vec<Row>>;
}

/// The destination of rows. A row without a value is deleted.
pub(crate) trait Store: Send {
    /// Returns a counter that is read before the rows: rows that are written with it are at least as new.
    fn moment(&self) -> u64 {
        0
    }

    /// Writes rows that were read after `moment`. They are durable when this returns.
    fn write(&self, rows: &[Row], moment: u64) -> Result<(), StateError>;

    /// Replaces all rows by these.
    fn replace(&self, rows: &[Row], moment: u64) -> Result<(), StateError>;
}

/// Persists the state of one world.
pub(crate) struct StateWriter {
    marked: Mutex<Marked>,
    /// The epoch: the number of changes so far. A change is marked under the lock that guards its data, so a reader of the data
    /// sees every change up to the epoch that it read before.
    noted: AtomicU64,
    wake: Condvar,
    progress: watch::Sender<Progress>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Held while rows are read, and during a change of the whole state.
    reading: Mutex<()>,
}

impl std::fmt::Debug for StateWriter {
    /// Omits the marked rows, because the key of a session contains its token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateWriter").field("noted", &self.noted).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Marked {
    touched: BTreeSet<RowKey>,
    /// All rows are replaced.
    all: bool,
    is_over: bool,
}

#[derive(Debug, Default, Clone)]
struct Progress {
    /// The epoch up to which changes are durable.
    durable: u64,
    /// The error after which nothing is persisted any more.
    failed: Option<Arc<str>>,
}

impl StateWriter {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            marked: Mutex::default(),
            noted: AtomicU64::new(0),
            wake: Condvar::new(),
            progress: watch::Sender::default(),
            writer: Mutex::default(),
            reading: Mutex::default(),
        })
    }

    /// Starts the writer thread. Changes that were marked before are written first.
    pub(crate) fn begin(self: &Arc<Self>, store: Box<dyn Store>, source: Box<dyn RowSource>) -> std::io::Result<()> {
        let keeper = Arc::clone(self);
        let thread = std::thread::Builder::new().name("state".into()).spawn(move || keeper.write(&*store, &*source))?;
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Marked> {
        self.marked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a row as changed. The caller holds the lock of its data.
    pub(crate) fn mark_row(&self, touch: RowKey) {
        self.mark_with(|marked| {
            marked.touched.insert(touch);
        });
    }

    /// Marks several rows that one operation changes. They are written in one transaction.
    pub(crate) fn mark_all_of(&self, touches: impl IntoIterator<Item = RowKey>) {
        self.mark_with(|marked| marked.touched.extend(touches));
    }

    /// Marks the whole state as changed. No rows are read until the returned guard is dropped, so no message about the change
    /// is sent before it is complete and durable.
    pub(crate) fn mark_all(&self) -> MutexGuard<'_, ()> {
        let held = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        self.mark_with(|marked| marked.all = true);
        held
    }

    fn mark_with(&self, note: impl FnOnce(&mut Marked)) {
        let mut marked = self.lock();
        note(&mut marked);
        self.noted.fetch_add(1, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// Returns the present epoch.
    pub(crate) fn current_epoch(&self) -> u64 {
        self.noted.load(Ordering::Acquire)
    }

    /// Waits until all changes up to an epoch are durable. Returns false if they can no longer be persisted.
    pub(crate) async fn wait_durable(&self, mark: u64) -> bool {
        let mut progress = self.progress.subscribe();
        let there = progress.wait_for(|progress| progress.durable >= mark || progress.failed.is_some()).await;
        there.is_ok_and(|progress| progress.durable >= mark)
    }

    /// Returns true if all changes up to an epoch are durable.
    pub(crate) fn is_durable(&self, mark: u64) -> bool {
        self.progress.borrow().durable >= mark
    }

    /// Waits until a write fails, and returns the reason.
    pub(crate) async fn wait_failure(&self) -> Arc<str> {
        let mut progress = self.progress.subscribe();
        let failed = progress.wait_for(|progress| progress.failed.is_some()).await;
        match failed.ok().and_then(|progress| progress.failed.clone()) {
            Some(failed) => failed,
            // Unreachable: the sender is a field of `self`.
            None => std::future::pending().await,
        }
    }

    /// Writes the outstanding changes and ends the writer thread.
    pub(crate) fn end(&self) {
        self.lock().is_over = true;
        self.wake.notify_one();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The writer thread itself can drop the last reference to the world; it cannot join itself.
        if let Some(writer) = writer.filter(|writer| writer.thread().id() != std::thread::current().id()) {
            let _ = writer.join();
        }
    }

    fn write(&self, store: &dyn Store, source: &dyn RowSource) {
        loop {
            let (touched, all, mark) = {
                let idle = |marked: &mut Marked| marked.touched.is_empty() && !marked.all && !marked.is_over;
                let waited = self.wake.wait_while(self.lock(), idle);
                let mut marked = waited.unwrap_or_else(PoisonError::into_inner);
                if marked.touched.is_empty() && !marked.all {
                    return;
                }
                (std::mem::take(&mut marked.touched), std::mem::take(&mut marked.all), self.current_epoch())
            };
            let moment = store.moment();
            let rows = {
                let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
                if all { source.all_rows() } else { source.rows_of(&touched) }
            };
            let Some(rows) = rows else { return };
            let written = if all { store.replace(&rows, moment) } else { store.write(&rows, moment) };
            match written {
                Ok(()) => self.progress.send_modify(|progress| progress.durable = mark),
                Err(error) => {
                    tracing::error!(%error, "the state can no longer be persisted");
                    self.progress.send_modify(|progress| progress.failed = Some(error.to_string().into()));
                    return;
                }
            }
        }
    }
}
