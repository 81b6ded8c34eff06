//! The maximum number of connections, derived from the limit of file descriptors.

use std::sync::{Arc, LazyLock};

use tokio::sync::Semaphore;

/// Assumed limit where the system reports none.
const USUAL: u64 = 20_000;
/// Upper bound of the limit.
const MOST: u64 = 1_000_000;

/// Maximum numbers of open connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MostConnections {
    /// Of one listener, except that of the control API.
    pub(crate) listener: usize,
    /// Of one listener of the control API, in addition to `process`.
    pub(crate) control: usize,
    /// Of all other listeners of the process.
    process: usize,
}

/// Returns the maximum numbers of open connections. The rest of the descriptors is reserved for files and outgoing requests.
pub(crate) fn most_connections() -> MostConnections {
    static MOST_CONNECTIONS: LazyLock<MostConnections> = LazyLock::new(|| of_descriptors(limit()));
    *MOST_CONNECTIONS
}

/// Returns the free connections of all listeners except those of the control API.
pub(crate) fn process_slots() -> Arc<Semaphore> {
    static SLOTS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(most_connections().process)));
    Arc::clone(&SLOTS)
}

/// Flooded listeners leave connections to other listeners, and never take those of the control API.
fn of_descriptors(limit: Option<u64>) -> MostConnections {
    let limit = limit.unwrap_or(USUAL).clamp(80, MOST);
    let tenths = |count: u64| usize::try_from(limit * count / 10).unwrap_or(usize::MAX);
    MostConnections { listener: tenths(6), control: tenths(1), process: tenths(8) }
}

#[cfg(unix)]
fn limit() -> Option<u64> {
    use rustix::process::{Resource, getrlimit};
    // `current` is `None` if the limit is infinite.
    Some(getrlimit(Resource::Nofile).current.unwrap_or(MOST))
}

#[cfg(not(unix))]
const fn limit() -> Option<u64> {
    None
}

/// Raises the soft limit of file descriptors to the hard limit.
///
/// Many systems start a program with a soft limit of 1,024. Call it before the first cloud starts: the limit of connections
/// is computed once. It is meant for programs, because the limit belongs to the whole process. A failure is logged at level
/// `debug`. On systems other than Unix it has no effect.
pub fn raise_descriptor_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current != maximum
            && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        {
            tracing::debug!(%error, "cannot raise the limit of file descriptors");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_api_and_files_have_reserved_descriptors() {
        for (limit, listener, control, process) in [
            (Some(20_000), 12_000, 2_000, 16_000),
            (Some(1_024), 614, 102, 819),
            (None, 12_000, 2_000, 16_000),
            (Some(u64::MAX), 600_000, 100_000, 800_000),
            (Some(0), 48, 8, 64),
        ] {
            assert_eq!(of_descriptors(limit), MostConnections { listener, control, process }, "{limit:?}");
        }
    }
}
