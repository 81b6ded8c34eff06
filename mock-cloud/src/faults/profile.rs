//! The faults of the behaviour profiles. Each of them can also be requested individually.

use crate::config::Profile;
use crate::faults::kinds::FaultKind;
use crate::faults::spec::{FaultSpec, Trigger};

/// Lifetime of an Identity in the profile `hostile`, in seconds.
const SHORT_LIFE: u32 = 120;

/// Returns the faults of a profile.
///
/// The probabilities are assumptions. They are high enough for a test to meet each fault, and low enough for a client with
/// retries to succeed.
pub(crate) fn faults(profile: Profile) -> Vec<FaultSpec> {
    let cloud = |mut fault: FaultSpec| {
        fault.matcher.listener = Some("cloud".into());
        fault
    };
    let by = |share, kind| FaultSpec::new(kind).when(Trigger::Chance(share));
    match profile {
        Profile::Calm | Profile::Strict | Profile::Realistic => Vec::new(),
        Profile::Hostile => vec![
            cloud(by(0.05, FaultKind::Status { status: 503, retry_after: None })),
            by(0.1, FaultKind::SlowAnswer { millis: 100 }),
            by(0.01, FaultKind::Abort),
            by(0.02, FaultKind::ReorderMessage),
            by(0.02, FaultKind::DuplicateMessage),
            by(0.05, FaultKind::LateMessage { millis: 20 }),
            FaultSpec::new(FaultKind::EarlyExpiry { seconds: SHORT_LIFE }),
        ],
    }
}
