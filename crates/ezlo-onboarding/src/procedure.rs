//! The way onto Wi-Fi as a pure state machine: it gets what happened and the time, and says what to do next.

use std::time::Duration;

use ezlo_protocol::cloud::access_point::{WifiNetworks, WifiState, WifiStatus};
use ezlo_protocol::secret::Passkey;

use crate::access_point::AccessPointError;

/// What is to happen, and how long it may take.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The network to join.
    pub ssid: String,
    /// Its key; `None` for an open network.
    pub passkey: Option<Passkey>,
    /// How long joining may take.
    pub join_time: Duration,
    /// How long the hub may take to appear at the relay after the restart.
    pub appear_time: Duration,
}

impl Plan {
    /// Joins that network; a minute for joining, five for appearing, since some hubs take minutes to restart.
    pub fn new(ssid: impl Into<String>, passkey: Option<Passkey>) -> Self {
        let (join_time, appear_time) = (Duration::from_secs(60), Duration::from_secs(300));
        Self { ssid: ssid.into(), passkey, join_time, appear_time }
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// List the networks.
    Scan,
    /// Ask the hub to join.
    Join,
    /// Wait that long, then ask for the status.
    Poll(Duration),
    /// Close the access point.
    CloseAccessPoint,
    /// Restart the hub.
    Restart,
    /// Wait that long, then ask whether the hub is at the relay.
    Look(Duration),
    /// All done.
    Done,
}

/// What happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Input {
    /// The networks.
    Scanned(Result<WifiNetworks, AccessPointError>),
    /// The hub took the request to join, or not.
    Joining(Result<(), AccessPointError>),
    /// The status.
    Status(Result<WifiStatus, AccessPointError>),
    /// The access point was closed.
    Closed(Result<(), AccessPointError>),
    /// The hub was told to restart.
    Restarting(Result<(), AccessPointError>),
    /// Whether the hub is at the relay.
    Looked(bool),
}

/// How far it has come, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// These networks are there.
    Networks(Vec<String>),
    /// The hub joins.
    Joining,
    /// The hub has joined, with this address.
    Joined(Option<String>),
    /// The access point is closed.
    AccessPointClosed,
    /// The hub restarts.
    Restarting,
    /// The hub is at the relay.
    Online,
}

/// Why a hub did not get onto Wi-Fi.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OnboardingError {
    /// There is no access point.
    #[error("{0}")]
    NoAccessPoint(AccessPointError),
    /// The hub sees no network at all.
    #[error("the hub sees no network; move it closer to the router")]
    EmptyScan,
    /// The hub does not see that network.
    #[error("the hub does not see {ssid:?}; it sees {}", seen.join(", "))]
    NoSuchNetwork {
        /// What was wanted.
        ssid: String,
        /// What there is.
        seen: Vec<String>,
    },
    /// The hub refused to join, at once.
    #[error("the hub does not take the request: {0}")]
    Refused(AccessPointError),
    /// The network is there but did not let the hub in: almost always its key.
    #[error("{ssid:?} did not let the hub in; check its key")]
    WrongPasskey {
        /// The network.
        ssid: String,
    },
    /// The access point went before the hub had joined.
    #[error("the access point went away while the hub was joining: {0}")]
    AccessPointVanished(AccessPointError),
    /// Joining took too long.
    #[error("the hub did not join {ssid:?} in time")]
    JoinTimedOut {
        /// The network.
        ssid: String,
    },
    /// The hub did not restart.
    #[error("the hub could not be restarted: {0}")]
    RestartFailed(AccessPointError),
    /// The hub did not come to the relay.
    #[error("the hub joined but did not appear at the relay in time")]
    NeverAppeared,
}

/// First wait between two questions; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait between two questions.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// Failed questions in a row after which the access point counts as gone; one lost packet is no end.
const MISSES: u32 = 3;

/// The procedure. Time is counted from its start.
#[derive(Debug)]
pub struct Procedure {
    plan: Plan,
    wait: Duration,
    misses: u32,
    phase_began: Duration,
}

impl Procedure {
    /// Begins; the first action is [`Action::Scan`].
    pub const fn new(plan: Plan) -> Self {
        Self { plan, wait: FIRST_WAIT, misses: 0, phase_began: Duration::ZERO }
    }

    /// What is to happen.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Takes in what happened at that time and says what to do next.
    pub fn step(&mut self, now: Duration, input: Input) -> Result<(Action, Option<Progress>), OnboardingError> {
        match input {
            Input::Scanned(result) => self.scanned(result),
            Input::Joining(result) => {
                result.map_err(OnboardingError::Refused)?;
                self.begin(now);
                Ok((Action::Poll(self.wait), Some(Progress::Joining)))
            }
            Input::Status(result) => self.status(now, result),
            // The answer may be lost with the access point; whether it closed shows by itself.
            Input::Closed(_) => Ok((Action::Restart, Some(Progress::AccessPointClosed))),
            Input::Restarting(result) => {
                result.map_err(OnboardingError::RestartFailed)?;
                self.begin(now);
                Ok((Action::Look(self.wait), Some(Progress::Restarting)))
            }
            Input::Looked(true) => Ok((Action::Done, Some(Progress::Online))),
            Input::Looked(false) if now.saturating_sub(self.phase_began) >= self.plan.appear_time => {
                Err(OnboardingError::NeverAppeared)
            }
            Input::Looked(false) => Ok((Action::Look(self.longer()), None)),
        }
    }

    const fn begin(&mut self, now: Duration) {
        self.wait = FIRST_WAIT;
        self.misses = 0;
        self.phase_began = now;
    }

    fn longer(&mut self) -> Duration {
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.wait
    }

    fn scanned(
        &self,
        result: Result<WifiNetworks, AccessPointError>,
    ) -> Result<(Action, Option<Progress>), OnboardingError> {
        let networks = result.map_err(OnboardingError::NoAccessPoint)?.networks.into_option().unwrap_or_default();
        let seen: Vec<String> = networks.into_iter().filter_map(|network| network.ssid.into_option()).collect();
        if seen.is_empty() {
            return Err(OnboardingError::EmptyScan);
        }
        if !seen.contains(&self.plan.ssid) {
            return Err(OnboardingError::NoSuchNetwork { ssid: self.plan.ssid.clone(), seen });
        }
        Ok((Action::Join, Some(Progress::Networks(seen))))
    }

    fn status(
        &mut self,
        now: Duration,
        result: Result<WifiStatus, AccessPointError>,
    ) -> Result<(Action, Option<Progress>), OnboardingError> {
        let ssid = || self.plan.ssid.clone();
        let status = match result {
            Ok(status) => status,
            Err(error) => {
                self.misses += 1;
                if self.misses >= MISSES {
                    return Err(OnboardingError::AccessPointVanished(error));
                }
                return Ok((Action::Poll(self.longer()), None));
            }
        };
        self.misses = 0;
        match status.status.get() {
            Some(WifiState::Connected) => {
                Ok((Action::CloseAccessPoint, Some(Progress::Joined(status.ip.into_option()))))
            }
            Some(WifiState::Failed) => Err(OnboardingError::WrongPasskey { ssid: ssid() }),
            _ if now.saturating_sub(self.phase_began) >= self.plan.join_time => {
                Err(OnboardingError::JoinTimedOut { ssid: ssid() })
            }
            _ => Ok((Action::Poll(self.longer()), None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ezlo_protocol::wire;
    use serde_json::json;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn gone() -> AccessPointError {
        AccessPointError::Unreachable { call: "c", base: "b".into(), text: "t".into() }
    }

    fn scan(ssids: &[&str]) -> Input {
        let networks: Vec<_> = ssids.iter().map(|ssid| json!({"ssid": ssid})).collect();
        Input::Scanned(Ok(wire::from_value(&json!({"networks": networks})).unwrap()))
    }

    fn status(state: &str) -> Input {
        Input::Status(Ok(wire::from_value(&json!({"status": state})).unwrap()))
    }

    fn joining() -> Procedure {
        let mut procedure = Procedure::new(Plan::new("Home", Some("key".into())));
        assert_eq!(procedure.step(at(0), scan(&["Other", "Home"])).unwrap().0, Action::Join);
        assert!(matches!(procedure.step(at(1), Input::Joining(Ok(()))).unwrap().0, Action::Poll(_)));
        procedure
    }

    #[test]
    fn the_whole_way() {
        let mut procedure = joining();
        let (Action::Poll(second), _) = procedure.step(at(2), status("connecting")).unwrap() else { panic!() };
        assert_eq!(second, FIRST_WAIT * 2, "waits grow");
        assert_eq!(procedure.step(at(3), status("connected")).unwrap().0, Action::CloseAccessPoint);
        assert_eq!(procedure.step(at(4), Input::Closed(Err(gone()))).unwrap().0, Action::Restart);
        assert_eq!(procedure.step(at(5), Input::Restarting(Ok(()))).unwrap().0, Action::Look(FIRST_WAIT));
        assert!(matches!(procedure.step(at(6), Input::Looked(false)).unwrap().0, Action::Look(_)));
        assert_eq!(procedure.step(at(7), Input::Looked(true)).unwrap(), (Action::Done, Some(Progress::Online)));
    }

    #[test]
    fn each_failure_has_its_own_error() {
        let begin = || Procedure::new(Plan::new("Home", None));
        assert!(matches!(begin().step(at(0), Input::Scanned(Err(gone()))), Err(OnboardingError::NoAccessPoint(_))));
        assert_eq!(begin().step(at(0), scan(&[])), Err(OnboardingError::EmptyScan));
        assert!(matches!(begin().step(at(0), scan(&["Other"])), Err(OnboardingError::NoSuchNetwork { .. })));
        assert!(matches!(begin().step(at(0), Input::Joining(Err(gone()))), Err(OnboardingError::Refused(_))));
        assert!(matches!(joining().step(at(2), status("failed")), Err(OnboardingError::WrongPasskey { .. })));
        assert!(matches!(joining().step(at(61), status("connecting")), Err(OnboardingError::JoinTimedOut { .. })));
        let mut procedure = joining();
        for _ in 1..MISSES {
            assert!(procedure.step(at(2), Input::Status(Err(gone()))).is_ok());
        }
        assert!(matches!(
            procedure.step(at(2), Input::Status(Err(gone()))),
            Err(OnboardingError::AccessPointVanished(_))
        ));
        assert!(matches!(
            joining().step(at(2), Input::Restarting(Err(gone()))),
            Err(OnboardingError::RestartFailed(_))
        ));
        assert_eq!(joining().step(at(301), Input::Looked(false)), Err(OnboardingError::NeverAppeared));
    }
}
