//! A limit of the bytes that queued values hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes that the values in a queue share.
///
/// A queue with a capacity in values does not limit its memory if the values come from a peer. A clone shares the budget.
///
/// # Examples
///
/// ```
/// use ezlo_relay::ByteBudget;
///
/// let budget = ByteBudget::new(100);
/// let first = budget.reserve(80).unwrap();
/// assert!(budget.reserve(30).is_none(), "80 bytes are in use");
/// drop(first);
/// assert!(budget.reserve(30).is_some());
/// ```
#[derive(Debug, Clone)]
pub struct ByteBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    used: AtomicUsize,
    limit: usize,
}

/// Bytes of a [`ByteBudget`] that are in use until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct ReservedBytes {
    _reservation: Arc<Reservation>,
}

#[derive(Debug)]
struct Reservation {
    budget: Arc<Shared>,
    bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

impl ByteBudget {
    /// Creates a budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Shared { used: AtomicUsize::new(0), limit }))
    }

    /// Reserves bytes. Returns `None` if fewer are free, unless none are in use: a single value always fits.
    pub fn reserve(&self, bytes: usize) -> Option<ReservedBytes> {
        let add = |used: usize| {
            let sum = used.saturating_add(bytes);
            (used == 0 || sum <= self.0.limit).then_some(sum)
        };
        self.0.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).ok()?;
        let reservation = Reservation { budget: Arc::clone(&self.0), bytes };
        Some(ReservedBytes { _reservation: Arc::new(reservation) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_free_again_after_the_last_clone() {
        let budget = ByteBudget::new(10);
        let one = budget.reserve(50).unwrap();
        assert!(budget.reserve(0).is_none(), "a single value may exceed the limit");
        let copy = one.clone();
        drop(one);
        assert!(budget.reserve(1).is_none());
        drop(copy);
        let _five = budget.reserve(5).unwrap();
        assert!(budget.reserve(5).is_some() && budget.reserve(6).is_none());
    }
}
