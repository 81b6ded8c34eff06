//! Profiles as named sets of faults: nothing that cannot be wished for one by one.

use crate::config::Profile;
use crate::faults::kinds::FaultKind;
use crate::faults::spec::{Fault, Trigger};

/// How long an Identity lives in the hostile profile, in seconds.
const SHORT_LIFE: u32 = 120;

/// The faults of a profile. How often the real service does such things is not known: each often enough for a test to meet it,
/// and seldom enough that a client that tries again gets through.
pub(crate) fn faults(profile: Profile) -> Vec<Fault> {
    let cloud = |mut fault: Fault| {
        fault.matching.listener = Some("cloud".into());
        fault
    };
    let by = |share, kind| Fault::new(kind).when(Trigger::Chance(share));
    match profile {
        Profile::Calm | Profile::Strict => Vec::new(),
        Profile::Hostile => vec![
            cloud(by(0.05, FaultKind::Status { status: 503, retry_after: None })),
            by(0.1, FaultKind::SlowAnswer { millis: 100 }),
            by(0.01, FaultKind::Abort),
            by(0.02, FaultKind::ReorderMessage),
            by(0.02, FaultKind::DuplicateMessage),
            by(0.05, FaultKind::LateMessage { millis: 20 }),
            Fault::new(FaultKind::EarlyExpiry { seconds: SHORT_LIFE }),
        ],
    }
}
