//! The ports on which this process listens.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of listeners by port. Several clouds in one process, such as forks, share the table.
static OWN_PORTS: Mutex<BTreeMap<u16, usize>> = Mutex::new(BTreeMap::new());

/// A port on which this process listens until the value is dropped.
#[derive(Debug)]
pub(crate) struct OwnPort(u16);

impl OwnPort {
    /// Registers a port.
    pub(crate) fn register(port: u16) -> Self {
        *lock().entry(port).or_default() += 1;
        Self(port)
    }
}

impl Drop for OwnPort {
    fn drop(&mut self) {
        let mut ports = lock();
        if let Some(count) = ports.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                ports.remove(&self.0);
            }
        }
    }
}

/// Returns whether this process listens on a port.
pub(crate) fn is_own_port(port: u16) -> bool {
    lock().contains_key(&port)
}

fn lock() -> MutexGuard<'static, BTreeMap<u16, usize>> {
    OWN_PORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_released_with_its_last_listener() {
        let (one, other) = (OwnPort::register(1), OwnPort::register(1));
        drop(one);
        assert!(is_own_port(1));
        drop(other);
        assert!(!is_own_port(1));
    }
}
