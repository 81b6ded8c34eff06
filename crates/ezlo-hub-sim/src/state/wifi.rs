//! The network side of a hub: Wi-Fi, access point, relay connection and power.

use std::borrow::Cow;

use ezlo_protocol::cloud::access_point::{WifiNetwork, WifiState, WifiStatus};
use ezlo_protocol::wire::Loose;

use super::setup_fault::SetupFault;
use crate::context::Context;
use crate::world_file::WifiFile;

/// The address a hub gets in a network; the simulated networks are all alike.
pub(crate) const ADDRESS: &str = "192.168.1.50";

/// State of the network side of a hub.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Wifi {
    pub(crate) state: WifiState,
    pub(crate) ssid: Option<String>,
    pub(crate) error: Option<Cow<'static, str>>,
    /// Whether the joining that is under way will succeed.
    pub(crate) will_join: bool,
    pub(crate) access_point: AccessPoint,
    /// Ethernet, or joined before the world began.
    pub(crate) wired: bool,
    pub(crate) at_relay: bool,
    /// The house has no internet.
    pub(crate) cut_off: bool,
    pub(crate) restarting: bool,
    /// When a restart is over at the earliest, Unix milliseconds.
    #[serde(default)]
    pub(crate) back_ms: i64,
    /// The hub has no power.
    #[serde(default)]
    pub(crate) unplugged: bool,
    pub(crate) generation: u64,
    /// What goes wrong while it is set up.
    pub(crate) fault: Option<SetupFault>,
    /// How often the status was asked since it was switched on.
    pub(crate) asked: u32,
    /// Takes effect with the next restart.
    pub(crate) anonymous_access_next: Option<bool>,
}

/// A search for networks that a client asked for.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Scan {
    pub(crate) interface: String,
    /// What comes next; `None` when nothing is under way.
    pub(crate) next: Option<ScanStep>,
    pub(crate) generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum ScanStep {
    Networks,
    Finished,
}

/// State of the hub's own network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum AccessPoint {
    Open,
    /// Closed, but the address still takes a restart: the vendor's note restarts after it closes (inferred).
    Lingering,
    Closed,
}

/// Why a request to join was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectError {
    Ssid,
    Passkey,
}

impl Wifi {
    pub(crate) const fn at_start(online: bool, access_point_always_open: bool) -> Self {
        let open = !online || access_point_always_open;
        Self {
            state: WifiState::Disconnected,
            ssid: None,
            error: None,
            will_join: false,
            access_point: if open { AccessPoint::Open } else { AccessPoint::Closed },
            wired: online,
            at_relay: online,
            cut_off: false,
            restarting: false,
            back_ms: 0,
            unplugged: false,
            generation: 0,
            fault: None,
            asked: 0,
            anonymous_access_next: None,
        }
    }

    /// Forgets the network it joined, as after a factory reset; a cable stays in its socket.
    pub(crate) fn forget(&mut self) {
        self.state = WifiState::Disconnected;
        self.ssid = None;
        self.error = None;
        self.access_point = AccessPoint::Open;
        self.generation += 1;
    }

    /// Forgets every network, cable included: the first set-up is needed again.
    pub(crate) fn erase(&mut self) {
        self.forget();
        self.wired = false;
        self.at_relay = false;
    }

    pub(crate) const fn shift_timers(&mut self, ms: i64) {
        self.back_ms = self.back_ms.saturating_add(ms);
    }

    /// Goes and does not come back.
    pub(crate) fn leave(&mut self, context: &mut Context<'_>) {
        self.restarting = true;
        self.generation += 1;
        context.effects.drop_local = true;
        if std::mem::take(&mut self.at_relay) {
            context.effects.at_relay = Some(false);
        }
    }

    /// The access point goes, and the hub does not join.
    pub(crate) const fn vanish(&mut self) {
        self.access_point = AccessPoint::Closed;
        self.will_join = false;
    }

    pub(crate) fn is_wired(&self) -> bool {
        self.wired
    }

    pub(crate) fn joined(&self) -> Option<&str> {
        self.ssid.as_deref().filter(|_| self.state == WifiState::Connected)
    }

    /// Whether the Wi-Fi API answers.
    pub fn api_is_open(&self) -> bool {
        self.access_point == AccessPoint::Open && !self.restarting && !self.has(SetupFault::NoAccessPoint)
    }

    /// Whether the access-point root answers.
    pub fn root_is_open(&self) -> bool {
        self.access_point != AccessPoint::Closed && !self.restarting && !self.has(SetupFault::NoAccessPoint)
    }

    /// Whether the hub is at the relay.
    pub const fn at_relay(&self) -> bool {
        self.at_relay
    }

    /// Whether the hub is on its local network.
    pub fn on_network(&self) -> bool {
        !self.restarting && (self.wired || self.state == WifiState::Connected)
    }

    pub(crate) fn status(&self) -> WifiStatus {
        let connected = self.state == WifiState::Connected;
        WifiStatus {
            status: self.state.clone().into(),
            ssid: self.ssid.clone().unwrap_or_default().into(),
            ip: if connected { ADDRESS } else { "" }.into(),
            error: self.error.as_deref().map(str::to_owned).into(),
            ..WifiStatus::default()
        }
    }
}

/// A channel that every 5 GHz router has.
pub(crate) const HIGH_CHANNEL: i64 = 36;

/// A signal that no radio keeps.
pub(crate) const WEAK: i64 = -94;

impl Wifi {
    /// What the hub sees.
    pub fn networks(&self, there: &[WifiFile]) -> Vec<WifiNetwork> {
        let seen = there.iter().map(|network| WifiNetwork {
            ssid: network.ssid.as_str().into(),
            rssi: Loose::number(if self.has(SetupFault::WeakSignal) { WEAK } else { network.rssi }).into(),
            encryption: network.encryption.as_str().into(),
            channel: self.has(SetupFault::FiveGigahertzOnly).then(|| Loose::number(HIGH_CHANNEL)).into(),
            ..WifiNetwork::default()
        });
        if self.has(SetupFault::EmptyScan) { Vec::new() } else { seen.collect() }
    }

    pub(crate) fn has(&self, fault: SetupFault) -> bool {
        self.fault == Some(fault)
    }

    /// The status as a client is told it; being asked may change the address.
    pub fn ask_status(&mut self) -> WifiStatus {
        let mut status = self.status();
        if self.joined().is_some() {
            let times = self.asked;
            self.asked = times.saturating_add(1);
            status.ip = self.address(times).into();
        }
        status
    }

    pub(crate) fn address(&self, times: u32) -> String {
        match self.fault {
            Some(SetupFault::AddressChanges) if times > 0 => "192.168.1.51".to_owned(),
            Some(SetupFault::AddressUnstable) => format!("192.168.1.{}", 50 + times % 200),
            _ => ADDRESS.to_owned(),
        }
    }
}
