//! The maximum number of connections, derived from the limit of file descriptors.

use std::sync::LazyLock;

/// Assumed limit where the system reports none.
const USUAL: u64 = 20_000;
/// Upper bound of the limit.
const MOST: u64 = 1_000_000;

/// Returns the maximum number of open connections of one listener. A fifth of the descriptors is reserved for files and other
/// listeners.
pub(crate) fn most_connections() -> usize {
    static MOST_CONNECTIONS: LazyLock<usize> = LazyLock::new(|| of_descriptors(limit()));
    *MOST_CONNECTIONS
}

fn of_descriptors(limit: Option<u64>) -> usize {
    let limit = limit.unwrap_or(USUAL).clamp(80, MOST);
    usize::try_from(limit - limit / 5).unwrap_or(usize::MAX)
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
    fn a_fifth_of_the_descriptors_is_reserved() {
        for (limit, most) in
            [(Some(20_000), 16_000), (Some(1_024), 820), (None, 16_000), (Some(u64::MAX), 800_000), (Some(0), 64)]
        {
            assert_eq!(of_descriptors(limit), most, "{limit:?}");
        }
    }
}
