//! Onboarding as a pure state machine: it receives results and the time, and returns the next action.

use std::time::Duration;

use ezlo_protocol::cloud::access_point::{WifiNetwork, WifiNetworks, WifiState, WifiStatus};
use ezlo_protocol::secret::Passkey;

use crate::access_point::AccessPointError;
use crate::error::{ClaimError, OnboardingError};

/// The parameters of onboarding: the network to join, and limits.
///
/// Create it with [`Plan::new`] and change its fields.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the network to join.
    pub ssid: String,
    /// Key of the network; `None` for an open network.
    pub passkey: Option<Passkey>,
    /// Maximum time for joining the network, restarts of the hub included (default: 180 s).
    pub join_time: Duration,
    /// Maximum time without a response of the access point while the hub joins. A restart takes part of it (default: 120 s).
    pub absence_time: Duration,
    /// Maximum time after the restart for the claim, and after the claim for the connection to the relay (default: 300 s).
    pub appear_time: Duration,
    /// Weakest accepted signal in dBm. Below it, the connection of a hub is unstable (default: -88 dBm).
    pub weakest_signal: i64,
    /// True to continue an interrupted run: without an access point, the later steps are executed (default: false).
    pub resume: bool,
}

impl Plan {
    /// Creates a plan with the default limits. They are generous, because some hubs take minutes to restart.
    pub fn new(ssid: impl Into<String>, passkey: Option<Passkey>) -> Self {
        Self {
            ssid: ssid.into(),
            passkey,
            join_time: Duration::from_secs(180),
            absence_time: Duration::from_secs(120),
            appear_time: Duration::from_secs(300),
            weakest_signal: -88,
            resume: false,
        }
    }

    /// Sets [`resume`](field@Self::resume): continues an interrupted run. Completed steps are skipped or safely repeated.
    #[must_use]
    pub const fn resume(mut self) -> Self {
        self.resume = true;
        self
    }
}

/// The next action of the driver. [`onboard`](crate::onboard) executes it and passes the result on as [`Input`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum NextAction {
    /// Fetch the networks: [`AccessPoint::networks`](crate::AccessPoint::networks).
    Scan,
    /// Request that the hub joins the network: [`AccessPoint::connect`](crate::AccessPoint::connect).
    Join,
    /// Wait for this time, then fetch the status: [`AccessPoint::status`](crate::AccessPoint::status).
    Poll(Duration),
    /// Close the access point: [`AccessPoint::close`](crate::AccessPoint::close).
    CloseAccessPoint,
    /// Restart the hub: [`AccessPoint::restart`](crate::AccessPoint::restart).
    Restart,
    /// Wait for this time, then claim the hub: [`Cloud::claim`](crate::Cloud::claim).
    Claim(Duration),
    /// Wait for this time, then check if the hub is at the relay: [`Cloud::is_online`](crate::Cloud::is_online).
    Look(Duration),
    /// Stop: the hub is connected to the relay.
    Done,
}

/// The result of a [`NextAction`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Input {
    /// Result of [`NextAction::Scan`].
    Scanned(Result<WifiNetworks, AccessPointError>),
    /// Result of [`NextAction::Join`].
    Joining(Result<(), AccessPointError>),
    /// Result of [`NextAction::Poll`].
    Status(Result<WifiStatus, AccessPointError>),
    /// Result of [`NextAction::CloseAccessPoint`].
    Closed(Result<(), AccessPointError>),
    /// Result of [`NextAction::Restart`].
    Restarting(Result<(), AccessPointError>),
    /// Result of [`NextAction::Claim`]; false if the hub is claimed by other means.
    Claimed(Result<bool, ClaimError>),
    /// Result of [`NextAction::Look`]; true if the hub is connected to the relay.
    Looked(bool),
}

/// A progress event of the procedure.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The hub receives the networks with these names, and the requested one is suitable.
    Networks(Vec<String>),
    /// The access point is gone, because the hub or an interrupted run has completed that part. The later steps follow.
    Resuming,
    /// The hub joins the network.
    Joining,
    /// The hub restarted while it was joining, and the request to join was sent again.
    JoiningAgain,
    /// The hub has joined the network, with this IP address if it reports one.
    Joined(Option<String>),
    /// The IP address of the hub changed.
    AddressChanged {
        /// Previous address.
        from: String,
        /// Current address.
        to: String,
    },
    /// The request to close the access point was sent.
    AccessPointClosed,
    /// The hub is restarting.
    Restarting,
    /// The hub was claimed for the user.
    Claimed,
    /// The hub is connected to the relay.
    Online,
}

/// First wait between two polls; doubled up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Maximum wait between two polls.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// Time for which a hub may report `disconnected` before the request to join counts as lost in a restart.
const FORGOTTEN_TIME: Duration = Duration::from_secs(1);
/// Maximum number of restarts while a hub joins.
const RESTARTS: u32 = 2;
/// Maximum number of address changes; one more counts as unstable.
const ADDRESSES: u32 = 2;
/// Last channel of the 2.4 GHz band, the only band that hubs use.
const LAST_CHANNEL: i64 = 14;

type Step = Result<(NextAction, Option<Progress>), OnboardingError>;

/// The onboarding procedure as a pure state machine, for a driver of your own. [`onboard`](crate::onboard) is the usual one.
///
/// It has no I/O and no clock.
#[derive(Debug)]
pub struct Procedure {
    plan: Plan,
    wait: Duration,
    /// Time since which the access point does not respond.
    away_since: Option<Duration>,
    /// Time since which the hub reports `disconnected`.
    idle_since: Option<Duration>,
    phase_began: Duration,
    restarts: u32,
    address: Option<String>,
    addresses: u32,
    /// True if the access point is gone and the later steps are executed.
    behind: bool,
}

impl Procedure {
    /// Creates the procedure. The first action is [`NextAction::Scan`].
    pub const fn new(plan: Plan) -> Self {
        Self {
            plan,
            wait: FIRST_WAIT,
            away_since: None,
            idle_since: None,
            phase_began: Duration::ZERO,
            restarts: 0,
            address: None,
            addresses: 0,
            behind: false,
        }
    }

    /// Returns the plan.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Processes the result of the last action and returns the next action, with an optional progress event.
    ///
    /// `now` is the time since the start of the procedure.
    ///
    /// # Errors
    ///
    /// One variant of [`OnboardingError`] for each way to fail. The procedure has ended then.
    pub fn step(&mut self, now: Duration, input: Input) -> Step {
        match input {
            Input::Scanned(result) => self.scanned(result),
            Input::Joining(result) => self.joining(now, result),
            Input::Status(result) => self.status(now, result),
            // The response may be lost with the access point, so its result is ignored.
            Input::Closed(_) => Ok((NextAction::Restart, Some(Progress::AccessPointClosed))),
            Input::Restarting(result) => self.restarting(now, result),
            Input::Claimed(result) => self.claimed(now, result),
            Input::Looked(true) => Ok((NextAction::Done, Some(Progress::Online))),
            Input::Looked(false) if self.lasted(now) >= self.plan.appear_time => Err(OnboardingError::NeverAppeared),
            Input::Looked(false) => Ok((NextAction::Look(self.longer()), None)),
        }
    }

    const fn begin(&mut self, now: Duration) {
        self.wait = FIRST_WAIT;
        self.away_since = None;
        self.idle_since = None;
        self.phase_began = now;
    }

    const fn lasted(&self, now: Duration) -> Duration {
        now.saturating_sub(self.phase_began)
    }

    fn longer(&mut self) -> Duration {
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        self.wait
    }

    fn scanned(&mut self, result: Result<WifiNetworks, AccessPointError>) -> Step {
        let networks = match result {
            Ok(networks) => networks.networks.into_option().unwrap_or_default(),
            // An interrupted run closed the access point or restarted the hub. `restart` may be reachable for longer than the
            // Wi-Fi API.
            Err(error) if self.plan.resume => {
                self.behind = true;
                // A response unlike that of a hub comes from another server on the home network. It must not be restarted.
                let next = if error.is_unreachable() { NextAction::Restart } else { NextAction::Claim(Duration::ZERO) };
                return Ok((next, Some(Progress::Resuming)));
            }
            Err(error) => return Err(OnboardingError::NoAccessPoint(error)),
        };
        let seen: Vec<String> = networks.iter().filter_map(|network| network.ssid.get().cloned()).collect();
        if seen.is_empty() {
            return Err(OnboardingError::EmptyScan);
        }
        let ssid = self.plan.ssid.clone();
        let ours: Vec<&WifiNetwork> = networks.iter().filter(|network| network.ssid.get() == Some(&ssid)).collect();
        if ours.is_empty() {
            return Err(OnboardingError::NoSuchNetwork { ssid, seen });
        }
        let channel = |network: &&WifiNetwork| network.channel.get().map(|channel| *channel.get());
        if ours.iter().all(|network| channel(network).is_some_and(|channel| channel > LAST_CHANNEL)) {
            return Err(OnboardingError::FiveGigahertzOnly { ssid });
        }
        let strongest = ours.iter().filter_map(|network| network.rssi.get().map(|rssi| *rssi.get())).max();
        if let Some(rssi) = strongest.filter(|rssi| *rssi < self.plan.weakest_signal) {
            return Err(OnboardingError::WeakSignal { ssid, rssi });
        }
        Ok((NextAction::Join, Some(Progress::Networks(seen))))
    }

    fn joining(&mut self, now: Duration, result: Result<(), AccessPointError>) -> Step {
        match result {
            Ok(()) if self.restarts == 0 => {
                self.begin(now);
                Ok((NextAction::Poll(self.wait), Some(Progress::Joining)))
            }
            Ok(()) => Ok((NextAction::Poll(self.longer()), Some(Progress::JoiningAgain))),
            // The response is lost if the hub leaves its own network at once; the status shows the outcome.
            Err(error) if error.is_unreachable() => {
                if self.restarts == 0 {
                    self.begin(now);
                }
                self.away(now, error)
            }
            Err(error) => Err(OnboardingError::Refused(error)),
        }
    }

    fn away(&mut self, now: Duration, error: AccessPointError) -> Step {
        let since = *self.away_since.get_or_insert(now);
        if now.saturating_sub(since) >= self.plan.absence_time {
            if self.address.is_some() {
                // The hub has joined, and its access point disappeared as a consequence.
                self.behind = true;
                self.begin(now);
                return Ok((NextAction::Claim(Duration::ZERO), Some(Progress::Resuming)));
            }
            return Err(OnboardingError::AccessPointVanished(error));
        }
        if self.lasted(now) >= self.plan.join_time {
            return Err(OnboardingError::JoinTimedOut { ssid: self.plan.ssid.clone() });
        }
        Ok((NextAction::Poll(self.longer()), None))
    }

    fn status(&mut self, now: Duration, result: Result<WifiStatus, AccessPointError>) -> Step {
        let status = match result {
            Ok(status) => status,
            Err(error) => return self.away(now, error),
        };
        let was_away = self.away_since.take().is_some();
        if status.status.get() != Some(&WifiState::Disconnected) {
            self.idle_since = None;
        }
        match status.status.get() {
            Some(WifiState::Connected) => self.connected(status.ip.into_option().filter(|ip| !ip.is_empty())),
            Some(WifiState::Failed) => Err(OnboardingError::WrongPasskey { ssid: self.plan.ssid.clone() }),
            // The hub has restarted and lost the request to join.
            Some(WifiState::Disconnected) if was_away || self.idle(now) >= FORGOTTEN_TIME => {
                self.idle_since = None;
                self.restarts += 1;
                if self.restarts > RESTARTS {
                    return Err(OnboardingError::KeepsRestarting { times: self.restarts });
                }
                self.address = None;
                self.wait = FIRST_WAIT;
                Ok((NextAction::Join, None))
            }
            _ if self.lasted(now) >= self.plan.join_time => {
                Err(OnboardingError::JoinTimedOut { ssid: self.plan.ssid.clone() })
            }
            _ => Ok((NextAction::Poll(self.longer()), None)),
        }
    }

    fn idle(&mut self, now: Duration) -> Duration {
        now.saturating_sub(*self.idle_since.get_or_insert(now))
    }

    /// An address counts once it was reported twice in a row.
    fn connected(&mut self, address: Option<String>) -> Step {
        let again = NextAction::Poll(FIRST_WAIT);
        match (self.address.replace(address.clone().unwrap_or_default()), address.unwrap_or_default()) {
            (None, address) => Ok((again, Some(Progress::Joined(Some(address).filter(|address| !address.is_empty()))))),
            (Some(before), now) if before == now => Ok((NextAction::CloseAccessPoint, None)),
            (Some(from), to) => {
                self.addresses += 1;
                if self.addresses > ADDRESSES {
                    return Err(OnboardingError::AddressUnstable { ssid: self.plan.ssid.clone(), last: to });
                }
                Ok((again, Some(Progress::AddressChanged { from, to })))
            }
        }
    }

    fn restarting(&mut self, now: Duration, result: Result<(), AccessPointError>) -> Step {
        let news = match result {
            Ok(()) => Some(Progress::Restarting),
            // Without an access point the hub has restarted already, or is restarting.
            Err(_) if self.behind => None,
            Err(error) => return Err(OnboardingError::RestartFailed(error)),
        };
        self.begin(now);
        Ok((NextAction::Claim(Duration::ZERO), news))
    }

    fn claimed(&mut self, now: Duration, result: Result<bool, ClaimError>) -> Step {
        match result {
            Ok(claimed) => {
                self.begin(now);
                Ok((NextAction::Look(self.wait), claimed.then_some(Progress::Claimed)))
            }
            // This machine has just left the hub's own network and may not have joined another one yet.
            Err(ClaimError::Unreachable(_)) if self.lasted(now) < self.plan.appear_time => {
                Ok((NextAction::Claim(self.longer()), None))
            }
            Err(error) => Err(OnboardingError::Claim(error)),
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
        assert_eq!(procedure.step(at(0), scan(&["Other", "Home"])).unwrap().0, NextAction::Join);
        assert!(matches!(procedure.step(at(1), Input::Joining(Ok(()))).unwrap().0, NextAction::Poll(_)));
        procedure
    }

    fn connected(address: &str) -> Input {
        Input::Status(Ok(wire::from_value(&json!({"status": "connected", "ip": address})).unwrap()))
    }

    fn away() -> Input {
        Input::Status(Err(gone()))
    }

    #[test]
    fn without_an_access_point_a_joined_hub_is_claimed() {
        let mut procedure = joining();
        procedure.step(at(2), connected("192.0.2.7")).unwrap();
        let step = (3..).map(|second| procedure.step(at(second), away()).unwrap()).find(|(_, news)| news.is_some());
        assert_eq!(step, Some((NextAction::Claim(Duration::ZERO), Some(Progress::Resuming))));
    }

    #[test]
    fn an_intermittent_access_point_ends_with_a_join_timeout() {
        let mut procedure = joining();
        for second in 2.. {
            let step = procedure.step(at(second), if second % 5 == 0 { status("connecting") } else { away() });
            if let Err(error) = step {
                assert!(matches!(error, OnboardingError::JoinTimedOut { .. }) && second == 181, "{second}: {error}");
                break;
            }
        }
    }

    #[test]
    fn a_hub_is_onboarded_step_by_step() {
        let mut procedure = joining();
        let (NextAction::Poll(second), _) = procedure.step(at(2), status("connecting")).unwrap() else { panic!() };
        assert_eq!(second, FIRST_WAIT * 2, "the wait doubles");
        let joined = procedure.step(at(3), connected("192.0.2.7")).unwrap();
        assert_eq!(joined, (NextAction::Poll(FIRST_WAIT), Some(Progress::Joined(Some("192.0.2.7".into())))));
        assert_eq!(procedure.step(at(3), connected("192.0.2.7")).unwrap().0, NextAction::CloseAccessPoint);
        assert_eq!(procedure.step(at(4), Input::Closed(Err(gone()))).unwrap().0, NextAction::Restart);
        assert_eq!(procedure.step(at(5), Input::Restarting(Ok(()))).unwrap().0, NextAction::Claim(Duration::ZERO));
        let offline = Input::Claimed(Err(ClaimError::Unreachable("no network".into())));
        assert!(matches!(procedure.step(at(5), offline).unwrap(), (NextAction::Claim(_), None)), "it is retried");
        let claimed = procedure.step(at(6), Input::Claimed(Ok(true))).unwrap();
        assert_eq!(claimed, (NextAction::Look(FIRST_WAIT), Some(Progress::Claimed)));
        assert!(matches!(procedure.step(at(6), Input::Looked(false)).unwrap().0, NextAction::Look(_)));
        assert_eq!(procedure.step(at(7), Input::Looked(true)).unwrap(), (NextAction::Done, Some(Progress::Online)));
    }

    #[test]
    fn a_hub_that_restarts_while_joining_gets_the_request_again() {
        let mut procedure = joining();
        assert!(matches!(procedure.step(at(2), away()).unwrap(), (NextAction::Poll(_), None)));
        assert!(matches!(procedure.step(at(60), away()).unwrap(), (NextAction::Poll(_), None)), "restarts are slow");
        assert_eq!(procedure.step(at(61), status("disconnected")).unwrap().0, NextAction::Join);
        let again = procedure.step(at(61), Input::Joining(Ok(()))).unwrap();
        assert!(matches!(again, (NextAction::Poll(_), Some(Progress::JoiningAgain))));
        assert!(matches!(procedure.step(at(62), status("disconnected")).unwrap().0, NextAction::Poll(_)), "too early");
        assert_eq!(
            procedure.step(at(64), status("disconnected")).unwrap().0,
            NextAction::Join,
            "the restart was not observed"
        );
        assert_eq!(procedure.step(at(65), status("connected")).unwrap().0, NextAction::Poll(FIRST_WAIT));
        assert_eq!(procedure.step(at(65), status("connected")).unwrap().0, NextAction::CloseAccessPoint);
    }

    #[test]
    fn a_resumed_run_continues_without_an_access_point() {
        let begin = || Procedure::new(Plan::new("Home", None).resume());
        let resuming = begin().step(at(0), Input::Scanned(Err(gone()))).unwrap();
        assert_eq!(resuming, (NextAction::Restart, Some(Progress::Resuming)));
        let stranger = || AccessPointError::TooLong { call: "c" };
        let asked = begin().step(at(0), Input::Scanned(Err(stranger()))).unwrap().0;
        assert_eq!(asked, NextAction::Claim(Duration::ZERO), "another server is not restarted");
        for restart in [Ok(()), Err(gone()), Err(stranger())] {
            let mut procedure = begin();
            procedure.step(at(0), Input::Scanned(Err(gone()))).unwrap();
            assert_eq!(procedure.step(at(1), Input::Restarting(restart)).unwrap().0, NextAction::Claim(Duration::ZERO));
        }
    }

    #[test]
    fn each_failure_has_its_own_error() {
        let begin = || Procedure::new(Plan::new("Home", None));
        let scan_of = |networks: serde_json::Value| {
            begin().step(at(0), Input::Scanned(Ok(wire::from_value(&json!({"networks": networks})).unwrap())))
        };
        assert!(matches!(begin().step(at(0), Input::Scanned(Err(gone()))), Err(OnboardingError::NoAccessPoint(_))));
        assert_eq!(begin().step(at(0), scan(&[])), Err(OnboardingError::EmptyScan));
        assert!(matches!(begin().step(at(0), scan(&["Other"])), Err(OnboardingError::NoSuchNetwork { .. })));
        let weak = scan_of(json!([{"ssid": "Home", "rssi": -93}]));
        assert_eq!(weak, Err(OnboardingError::WeakSignal { ssid: "Home".into(), rssi: -93 }));
        assert!(
            scan_of(json!([{"ssid": "Home", "rssi": -93}, {"ssid": "Home", "rssi": -60}])).is_ok(),
            "two access points of one network"
        );
        let high = scan_of(json!([{"ssid": "Home", "channel": 36}]));
        assert_eq!(high, Err(OnboardingError::FiveGigahertzOnly { ssid: "Home".into() }));
        assert!(scan_of(json!([{"ssid": "Home", "channel": 36}, {"ssid": "Home", "channel": 6}])).is_ok());
        let answered = AccessPointError::TooLong { call: "c" };
        assert!(matches!(begin().step(at(0), Input::Joining(Err(answered))), Err(OnboardingError::Refused(_))));
        assert!(matches!(joining().step(at(2), status("failed")), Err(OnboardingError::WrongPasskey { .. })));
        assert!(matches!(joining().step(at(181), status("connecting")), Err(OnboardingError::JoinTimedOut { .. })));
        let mut procedure = joining();
        assert!(procedure.step(at(2), away()).is_ok());
        assert!(matches!(procedure.step(at(122), away()), Err(OnboardingError::AccessPointVanished(_))));
        let restart = joining().step(at(2), Input::Restarting(Err(gone())));
        assert!(matches!(restart, Err(OnboardingError::RestartFailed(_))));
        let refused = joining().step(at(2), Input::Claimed(Err(ClaimError::WrongMac)));
        assert_eq!(refused, Err(OnboardingError::Claim(ClaimError::WrongMac)));
        assert_eq!(joining().step(at(302), Input::Looked(false)), Err(OnboardingError::NeverAppeared));
        let mut procedure = joining();
        for second in 2..2 + u64::from(RESTARTS) {
            procedure.step(at(second), away()).unwrap();
            procedure.step(at(second), status("disconnected")).unwrap();
            procedure.step(at(second), Input::Joining(Ok(()))).unwrap();
        }
        procedure.step(at(9), away()).unwrap();
        assert_eq!(procedure.step(at(9), status("disconnected")), Err(OnboardingError::KeepsRestarting { times: 3 }));
        let mut procedure = joining();
        for last in 1..=3 {
            procedure.step(at(2), connected(&format!("192.0.2.{last}"))).unwrap();
        }
        let unstable = procedure.step(at(2), connected("192.0.2.9"));
        assert_eq!(unstable, Err(OnboardingError::AddressUnstable { ssid: "Home".into(), last: "192.0.2.9".into() }));
    }
}
