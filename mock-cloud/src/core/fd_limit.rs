//! How many connections there may be at once: as many as the system gives descriptors for, but for a share.

use std::sync::LazyLock;

/// Where the system does not say.
const USUAL: u64 = 20_000;
/// No more than that, whatever the system says.
const MOST: u64 = 1_000_000;

/// Connections open at one listener. A fifth of the descriptors is for files and other listeners.
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
    // None where there is no limit.
    Some(getrlimit(Resource::Nofile).current.unwrap_or(MOST))
}

#[cfg(not(unix))]
const fn limit() -> Option<u64> {
    None
}

/// Asks the system for all the descriptors that a program may have: many begin with 1,024 of them.
///
/// For programs, before they listen; a library leaves that to whoever uses it.
pub fn raise_descriptor_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current != maximum
            && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        {
            tracing::debug!(%error, "the limit of descriptors stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_left_whatever_the_limit() {
        for (limit, most) in
            [(Some(20_000), 16_000), (Some(1_024), 820), (None, 16_000), (Some(u64::MAX), 800_000), (Some(0), 64)]
        {
            assert_eq!(of_descriptors(limit), most, "{limit:?}");
        }
    }
}
