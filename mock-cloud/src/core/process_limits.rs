//! Limits that all clouds of a process share: bytes of queued messages, and bytes of the scenes of all hubs.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Maximum bytes of the messages that wait for all clients. Short queues do not count.
pub(crate) const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;
/// Maximum size of the scenes of all hubs as JSON, in bytes. Decoded scenes take about 14 times as much memory.
pub(crate) const MAX_SCENE_BYTES: usize = 8 * 1024 * 1024;

/// A counter of bytes that the whole process uses for one purpose.
#[derive(Debug)]
pub(crate) struct Usage {
    used: AtomicUsize,
    limit: usize,
}

/// Bytes of messages in queues of more than [`QUEUE_STEP`] bytes.
pub(crate) static QUEUED: Usage = Usage::new(MAX_QUEUED_BYTES);
/// Bytes of the scenes of all hubs.
pub(crate) static SCENES: Usage = Usage::new(MAX_SCENE_BYTES);

/// Step in which a queue counts its bytes, so that short queues cost no access to shared memory.
pub(crate) const QUEUE_STEP: usize = 256 * 1024;

impl Usage {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit }
    }

    /// Returns the bytes that are free.
    pub(crate) fn free(&self) -> usize {
        self.limit.saturating_sub(self.used.load(Ordering::Relaxed))
    }
}

/// A part of a [`Usage`], released when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    usage: &'static Usage,
    bytes: usize,
}

impl Share {
    pub(crate) const fn of(usage: &'static Usage) -> Self {
        Self { usage, bytes: 0 }
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes the part.
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.usage.used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.usage.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_shares_are_free() {
        static USAGE: Usage = Usage::new(100);
        let (mut one, mut other) = (Share::of(&USAGE), Share::of(&USAGE));
        one.set(70);
        other.set(50);
        assert_eq!((USAGE.free(), one.bytes()), (0, 70));
        one.set(10);
        assert_eq!(USAGE.free(), 40);
        drop(other);
        assert_eq!(USAGE.free(), 90);
    }
}
