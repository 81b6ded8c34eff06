//! Network state of a hub: Wi-Fi, access point, relay connection and power.

use std::borrow::Cow;

use ezlo_protocol::cloud::access_point::{WifiNetwork, WifiState, WifiStatus};
use ezlo_protocol::wire::Loose;

use super::setup_fault::SetupFault;
use crate::context::Context;
use crate::world_file::WifiFile;

/// IP address of a hub in every simulated network.
pub(crate) const ADDRESS: &str = "192.168.1.50";

/// The network state of a hub: Wi-Fi, access point, relay connection and power.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Wifi {
    pub(crate) state: WifiState,
    pub(crate) ssid: Option<String>,
    pub(crate) error: Option<Cow<'static, str>>,
    /// The current attempt to join will succeed.
    pub(crate) will_join: bool,
    pub(crate) access_point: AccessPoint,
    /// Connected over Ethernet, or over a network that was joined before the start.
    pub(crate) wired: bool,
    pub(crate) at_relay: bool,
    /// The house has no internet access.
    pub(crate) cut_off: bool,
    pub(crate) restarting: bool,
    /// Earliest end of a restart, in Unix milliseconds.
    #[serde(default)]
    pub(crate) back_ms: i64,
    /// The hub has no power.
    #[serde(default)]
    pub(crate) unplugged: bool,
    /// The relay counts the hub as connected, but the hub has lost its power.
    #[serde(default)]
    pub(crate) silent: bool,
    /// Incremented with each change of the network. Timers of earlier generations are ignored.
    pub(crate) generation: u64,
    /// Active fault of the first set-up.
    pub(crate) fault: Option<SetupFault>,
    /// Number of status replies while joined, since the fault was set.
    pub(crate) asked: u32,
    /// Anonymous access after the next restart, if it changes.
    pub(crate) anonymous_access_next: Option<bool>,
}

/// A Wi-Fi scan that a client has started.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Scan {
    pub(crate) interface: String,
    /// Next step; `None` if no scan is running.
    pub(crate) next: Option<ScanStep>,
    pub(crate) generation: u64,
}

/// The next step of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum ScanStep {
    Networks,
    Finished,
}

/// The state of the access point of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum AccessPoint {
    Open,
    /// Closed, but its address still accepts a restart: the vendor's note restarts the hub after closing (inferred).
    Lingering,
    Closed,
}

/// The reason for refusing a request to join a Wi-Fi network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WifiJoinError {
    /// The SSID is empty or longer than 32 bytes.
    Ssid,
    /// The key is longer than 64 bytes.
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
            silent: false,
            generation: 0,
            fault: None,
            asked: 0,
            anonymous_access_next: None,
        }
    }

    /// Removes the joined network, as a factory reset does. Ethernet remains connected.
    pub(crate) fn forget(&mut self) {
        self.state = WifiState::Disconnected;
        self.ssid = None;
        self.error = None;
        self.access_point = AccessPoint::Open;
        self.generation += 1;
    }

    /// Removes all network settings, Ethernet included, so that the first set-up is needed again.
    pub(crate) fn erase(&mut self) {
        self.forget();
        self.wired = false;
        self.at_relay = false;
    }

    pub(crate) const fn shift_timers(&mut self, ms: i64) {
        self.back_ms = self.back_ms.saturating_add(ms);
    }

    /// Disconnects the hub permanently.
    pub(crate) fn leave(&mut self, context: &mut Context<'_>) {
        self.restarting = true;
        self.silent = false;
        self.generation += 1;
        context.effects.drop_local = true;
        if std::mem::take(&mut self.at_relay) {
            context.effects.at_relay = Some(false);
        }
    }

    /// Closes the access point and makes the current attempt to join fail.
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

    /// Returns whether the Wi-Fi API of the access point answers.
    ///
    /// It does not answer while the hub restarts or has no power.
    pub fn api_is_open(&self) -> bool {
        self.access_point == AccessPoint::Open && !self.restarting && !self.has(SetupFault::NoAccessPoint)
    }

    /// Returns whether the root URL of the access point answers, also while the access point is closing.
    pub fn root_is_open(&self) -> bool {
        self.access_point != AccessPoint::Closed && !self.restarting && !self.has(SetupFault::NoAccessPoint)
    }

    /// Returns whether the relay counts the hub as connected. After a loss of power it does so for a while.
    pub const fn at_relay(&self) -> bool {
        self.at_relay
    }

    /// Returns whether the hub itself is connected to the relay.
    pub(crate) const fn is_connected(&self) -> bool {
        self.at_relay && !self.silent
    }

    /// Returns whether the hub is running and connected to its local network.
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

/// A channel that every 5 GHz router supports.
pub(crate) const HIGH_CHANNEL: i64 = 36;

/// A signal strength in dBm at which no connection holds.
pub(crate) const WEAK: i64 = -94;

impl Wifi {
    /// Returns the networks that the access point reports, changed by an active [`SetupFault`].
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

    /// Returns the status that the access point reports to a client.
    ///
    /// Counts the reply: with [`SetupFault::AddressChanges`] and [`SetupFault::AddressUnstable`] the IP address depends on
    /// the count.
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
