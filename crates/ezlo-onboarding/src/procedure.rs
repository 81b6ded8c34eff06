//! The whole story as a pure state machine: it gets what happened and the time, and says what to do next.

use std::time::Duration;

use ezlo_protocol::cloud::access_point::{WifiNetwork, WifiNetworks, WifiState, WifiStatus};
use ezlo_protocol::secret::Passkey;

use crate::access_point::AccessPointError;
use crate::error::{ClaimError, OnboardingError};

/// What is to happen, and how long it may take.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The network to join.
    pub ssid: String,
    /// Its key; `None` for an open network.
    pub passkey: Option<Passkey>,
    /// How long joining may take, restarts of the hub included.
    pub join_time: Duration,
    /// How long the access point may be away while the hub joins; a hub that restarts is away for a while.
    pub absence_time: Duration,
    /// How long the hub may take to appear at the relay after the restart.
    pub appear_time: Duration,
    /// The weakest signal that is tried, in dBm. Below it hubs join and then come and go.
    pub weakest_signal: i64,
    /// An earlier run was cut short: where the access point is gone, go on behind it instead of giving up.
    pub resume: bool,
}

impl Plan {
    /// Joins that network; three minutes for joining, two of them without an access point, five for appearing, since some hubs
    /// take minutes to restart.
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

    /// The same, to go on where an earlier run was cut short. Every step may be done twice; what is done already is passed over.
    #[must_use]
    pub const fn resume(mut self) -> Self {
        self.resume = true;
        self
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
    /// Wait that long, then claim the hub.
    Claim(Duration),
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
    /// The hub was claimed, or is claimed elsewhere (false), or the cloud refused.
    Claimed(Result<bool, ClaimError>),
    /// Whether the hub is at the relay.
    Looked(bool),
}

/// How far it has come, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// These networks are there.
    Networks(Vec<String>),
    /// There is no access point any more: the hub, or an earlier run, came further. Going on behind it.
    Resuming,
    /// The hub joins.
    Joining,
    /// The hub restarted while it joined; it is asked again.
    JoiningAgain,
    /// The hub has joined, with this address.
    Joined(Option<String>),
    /// The hub has another address now.
    AddressChanged {
        /// The address before.
        from: String,
        /// The address now.
        to: String,
    },
    /// The access point is closed.
    AccessPointClosed,
    /// The hub restarts.
    Restarting,
    /// The hub belongs to the user.
    Claimed,
    /// The hub is at the relay.
    Online,
}

/// First wait between two questions; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait between two questions.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// How long a hub may say that it joins nothing before it counts as having forgotten what it was asked for.
const FORGOTTEN_TIME: Duration = Duration::from_secs(1);
/// How often a hub may restart while it joins.
const RESTARTS: u32 = 2;
/// How often the address may change before it counts as unstable.
const ADDRESSES: u32 = 2;
/// The last channel of the 2.4 GHz band, the only one that hubs hear.
const LAST_CHANNEL: i64 = 14;

type Step = Result<(Action, Option<Progress>), OnboardingError>;

/// The procedure. Time is counted from its start.
#[derive(Debug)]
pub struct Procedure {
    plan: Plan,
    wait: Duration,
    /// Since when the access point is away.
    away_since: Option<Duration>,
    /// Since when the hub joins nothing.
    idle_since: Option<Duration>,
    phase_began: Duration,
    restarts: u32,
    address: Option<String>,
    addresses: u32,
    /// Set while it goes on behind an access point that is gone.
    behind: bool,
}

impl Procedure {
    /// Begins; the first action is [`Action::Scan`].
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

    /// What is to happen.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Takes in what happened at that time and says what to do next.
    pub fn step(&mut self, now: Duration, input: Input) -> Step {
        match input {
            Input::Scanned(result) => self.scanned(result),
            Input::Joining(result) => self.joining(now, result),
            Input::Status(result) => self.status(now, result),
            // The answer may be lost with the access point; whether it closed shows by itself.
            Input::Closed(_) => Ok((Action::Restart, Some(Progress::AccessPointClosed))),
            Input::Restarting(result) => self.restarting(now, result),
            Input::Claimed(result) => self.claimed(now, result),
            Input::Looked(true) => Ok((Action::Done, Some(Progress::Online))),
            Input::Looked(false) if self.lasted(now) >= self.plan.appear_time => Err(OnboardingError::NeverAppeared),
            Input::Looked(false) => Ok((Action::Look(self.longer()), None)),
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
            // Closed already, or restarted already: the root of the access point stays a little longer than the rest.
            Err(error) if self.plan.resume => {
                self.behind = true;
                // Somebody who answers like no hub is somebody else, on the network at home, and is left alone.
                let next = if error.is_unreachable() { Action::Restart } else { Action::Claim(Duration::ZERO) };
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
        Ok((Action::Join, Some(Progress::Networks(seen))))
    }

    fn joining(&mut self, now: Duration, result: Result<(), AccessPointError>) -> Step {
        match result {
            Ok(()) if self.restarts == 0 => {
                self.begin(now);
                Ok((Action::Poll(self.wait), Some(Progress::Joining)))
            }
            Ok(()) => Ok((Action::Poll(self.longer()), Some(Progress::JoiningAgain))),
            // The answer is lost where the hub goes away at once; the status tells.
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
                // It has joined, and its access point went with that.
                self.behind = true;
                self.begin(now);
                return Ok((Action::Claim(Duration::ZERO), Some(Progress::Resuming)));
            }
            return Err(OnboardingError::AccessPointVanished(error));
        }
        if self.lasted(now) >= self.plan.join_time {
            return Err(OnboardingError::JoinTimedOut { ssid: self.plan.ssid.clone() });
        }
        Ok((Action::Poll(self.longer()), None))
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
            // It has forgotten what it was asked for: it restarted.
            Some(WifiState::Disconnected) if was_away || self.idle(now) >= FORGOTTEN_TIME => {
                self.idle_since = None;
                self.restarts += 1;
                if self.restarts > RESTARTS {
                    return Err(OnboardingError::KeepsRestarting { times: self.restarts });
                }
                self.address = None;
                self.wait = FIRST_WAIT;
                Ok((Action::Join, None))
            }
            _ if self.lasted(now) >= self.plan.join_time => {
                Err(OnboardingError::JoinTimedOut { ssid: self.plan.ssid.clone() })
            }
            _ => Ok((Action::Poll(self.longer()), None)),
        }
    }

    fn idle(&mut self, now: Duration) -> Duration {
        now.saturating_sub(*self.idle_since.get_or_insert(now))
    }

    /// An address counts once it was told twice.
    fn connected(&mut self, address: Option<String>) -> Step {
        let again = Action::Poll(FIRST_WAIT);
        match (self.address.replace(address.clone().unwrap_or_default()), address.unwrap_or_default()) {
            (None, address) => Ok((again, Some(Progress::Joined(Some(address).filter(|address| !address.is_empty()))))),
            (Some(before), now) if before == now => Ok((Action::CloseAccessPoint, None)),
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
            // Nobody is there, or somebody else: it restarts already, or has.
            Err(_) if self.behind => None,
            Err(error) => return Err(OnboardingError::RestartFailed(error)),
        };
        self.begin(now);
        Ok((Action::Claim(Duration::ZERO), news))
    }

    fn claimed(&mut self, now: Duration, result: Result<bool, ClaimError>) -> Step {
        match result {
            Ok(claimed) => {
                self.begin(now);
                Ok((Action::Look(self.wait), claimed.then_some(Progress::Claimed)))
            }
            // This machine has just left the hub's network and may not be on another one yet.
            Err(ClaimError::Unreachable(_)) if self.lasted(now) < self.plan.appear_time => {
                Ok((Action::Claim(self.longer()), None))
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
        assert_eq!(procedure.step(at(0), scan(&["Other", "Home"])).unwrap().0, Action::Join);
        assert!(matches!(procedure.step(at(1), Input::Joining(Ok(()))).unwrap().0, Action::Poll(_)));
        procedure
    }

    fn connected(address: &str) -> Input {
        Input::Status(Ok(wire::from_value(&json!({"status": "connected", "ip": address})).unwrap()))
    }

    fn away() -> Input {
        Input::Status(Err(gone()))
    }

    #[test]
    fn an_access_point_that_goes_once_the_hub_has_joined_is_gone_on_behind() {
        let mut procedure = joining();
        procedure.step(at(2), connected("192.0.2.7")).unwrap();
        let step = (3..).map(|second| procedure.step(at(second), away()).unwrap()).find(|(_, news)| news.is_some());
        assert_eq!(step, Some((Action::Claim(Duration::ZERO), Some(Progress::Resuming))));
    }

    #[test]
    fn a_hub_that_comes_and_goes_is_not_waited_for_for_ever() {
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
    fn the_whole_way() {
        let mut procedure = joining();
        let (Action::Poll(second), _) = procedure.step(at(2), status("connecting")).unwrap() else { panic!() };
        assert_eq!(second, FIRST_WAIT * 2, "waits grow");
        let joined = procedure.step(at(3), connected("192.0.2.7")).unwrap();
        assert_eq!(joined, (Action::Poll(FIRST_WAIT), Some(Progress::Joined(Some("192.0.2.7".into())))));
        assert_eq!(procedure.step(at(3), connected("192.0.2.7")).unwrap().0, Action::CloseAccessPoint);
        assert_eq!(procedure.step(at(4), Input::Closed(Err(gone()))).unwrap().0, Action::Restart);
        assert_eq!(procedure.step(at(5), Input::Restarting(Ok(()))).unwrap().0, Action::Claim(Duration::ZERO));
        let offline = Input::Claimed(Err(ClaimError::Unreachable("no network".into())));
        assert!(matches!(procedure.step(at(5), offline).unwrap(), (Action::Claim(_), None)), "not home yet");
        let claimed = procedure.step(at(6), Input::Claimed(Ok(true))).unwrap();
        assert_eq!(claimed, (Action::Look(FIRST_WAIT), Some(Progress::Claimed)));
        assert!(matches!(procedure.step(at(6), Input::Looked(false)).unwrap().0, Action::Look(_)));
        assert_eq!(procedure.step(at(7), Input::Looked(true)).unwrap(), (Action::Done, Some(Progress::Online)));
    }

    #[test]
    fn a_hub_that_restarts_while_it_joins_is_asked_again() {
        let mut procedure = joining();
        assert!(matches!(procedure.step(at(2), away()).unwrap(), (Action::Poll(_), None)));
        assert!(matches!(procedure.step(at(60), away()).unwrap(), (Action::Poll(_), None)), "restarts take a while");
        assert_eq!(procedure.step(at(61), status("disconnected")).unwrap().0, Action::Join);
        let again = procedure.step(at(61), Input::Joining(Ok(()))).unwrap();
        assert!(matches!(again, (Action::Poll(_), Some(Progress::JoiningAgain))));
        assert!(matches!(procedure.step(at(62), status("disconnected")).unwrap().0, Action::Poll(_)), "not begun yet");
        assert_eq!(
            procedure.step(at(64), status("disconnected")).unwrap().0,
            Action::Join,
            "too quick to be seen away"
        );
        assert_eq!(procedure.step(at(65), status("connected")).unwrap().0, Action::Poll(FIRST_WAIT));
        assert_eq!(procedure.step(at(65), status("connected")).unwrap().0, Action::CloseAccessPoint);
    }

    #[test]
    fn what_was_cut_short_goes_on_behind_the_access_point() {
        let begin = || Procedure::new(Plan::new("Home", None).resume());
        let resuming = begin().step(at(0), Input::Scanned(Err(gone()))).unwrap();
        assert_eq!(resuming, (Action::Restart, Some(Progress::Resuming)));
        let stranger = || AccessPointError::TooLong { call: "c" };
        let asked = begin().step(at(0), Input::Scanned(Err(stranger()))).unwrap().0;
        assert_eq!(asked, Action::Claim(Duration::ZERO), "a stranger is not told to restart");
        for restart in [Ok(()), Err(gone()), Err(stranger())] {
            let mut procedure = begin();
            procedure.step(at(0), Input::Scanned(Err(gone()))).unwrap();
            assert_eq!(procedure.step(at(1), Input::Restarting(restart)).unwrap().0, Action::Claim(Duration::ZERO));
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
            "two of a name"
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
