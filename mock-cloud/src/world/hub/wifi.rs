//! The hub's way to the network: its access point, joining Wi-Fi, restarting, and being at the relay or not.

use std::borrow::Cow;

use ezlo_protocol::cloud::access_point::{WifiConnect, WifiState, WifiStatus};
use ezlo_protocol::hub::Empty;
use ezlo_protocol::hub::network::{ScanProgress, ScanQuery};
use serde_json::json;

use super::dispatch::{Answer, done};
use super::{Context, Hub, SetupFault, Timer};
use crate::world::file::WifiFile;

/// The address a hub gets in a network; the simulated networks are all alike.
pub(super) const ADDRESS: &str = "192.168.1.50";

/// Longest SSID, in bytes (IEEE 802.11).
const MAX_SSID: usize = 32;
/// Longest key of a network, in bytes (WPA2: 63 characters or 64 hexadecimal digits).
const MAX_PASSKEY: usize = 64;

/// State of the network side of a hub.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Wifi {
    state: WifiState,
    ssid: Option<String>,
    error: Option<Cow<'static, str>>,
    /// Whether the joining that is under way will succeed.
    will_join: bool,
    access_point: AccessPoint,
    /// Ethernet, or joined before the world began.
    wired: bool,
    at_relay: bool,
    /// The house has no internet.
    cut_off: bool,
    restarting: bool,
    /// When a restart is over at the earliest, Unix milliseconds.
    #[serde(default)]
    back_ms: i64,
    /// The hub has no power.
    #[serde(default)]
    pub(super) unplugged: bool,
    generation: u64,
    /// What goes wrong while it is set up.
    pub(super) fault: Option<SetupFault>,
    /// How often the status was asked since it was switched on.
    pub(super) asked: u32,
    /// Takes effect with the next restart.
    pub(super) anonymous_access_next: Option<bool>,
}

/// A search for networks that a client asked for.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Scan {
    interface: String,
    /// What comes next; `None` when nothing is under way.
    next: Option<ScanStep>,
    generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum ScanStep {
    Networks,
    Finished,
}

/// State of the hub's own network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum AccessPoint {
    Open,
    /// Closed, but the address still takes a restart: the vendor's note restarts after it closes (inferred).
    Lingering,
    Closed,
}

/// Why a request to join was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectError {
    Ssid,
    Passkey,
}

impl Wifi {
    pub(super) const fn at_start(online: bool, access_point_beside_network: bool) -> Self {
        let open = !online || access_point_beside_network;
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
    pub(super) fn forget(&mut self) {
        self.state = WifiState::Disconnected;
        self.ssid = None;
        self.error = None;
        self.access_point = AccessPoint::Open;
        self.generation += 1;
    }

    /// Forgets every network, cable included: the first set-up is needed again.
    pub(super) fn erase(&mut self) {
        self.forget();
        self.wired = false;
        self.at_relay = false;
    }

    pub(super) const fn put_off(&mut self, ms: i64) {
        self.back_ms = self.back_ms.saturating_add(ms);
    }

    /// Goes and does not come back.
    pub(super) fn leave(&mut self, context: &mut Context<'_>) {
        self.restarting = true;
        self.generation += 1;
        context.effects.drop_local = true;
        if std::mem::take(&mut self.at_relay) {
            context.effects.at_relay = Some(false);
        }
    }

    /// The access point goes, and the hub does not join.
    pub(super) const fn vanish(&mut self) {
        self.access_point = AccessPoint::Closed;
        self.will_join = false;
    }

    pub(super) fn is_wired(&self) -> bool {
        self.wired
    }

    pub(super) fn joined(&self) -> Option<&str> {
        self.ssid.as_deref().filter(|_| self.state == WifiState::Connected)
    }

    /// Whether the Wi-Fi API answers.
    pub(crate) fn api_is_open(&self) -> bool {
        self.access_point == AccessPoint::Open && !self.restarting && !self.has(SetupFault::NoAccessPoint)
    }

    /// Whether the access-point root answers.
    pub(crate) fn root_is_open(&self) -> bool {
        self.access_point != AccessPoint::Closed && !self.restarting && !self.has(SetupFault::NoAccessPoint)
    }

    /// Whether the hub is at the relay.
    pub(crate) const fn at_relay(&self) -> bool {
        self.at_relay
    }

    /// Whether the hub is on its local network.
    pub(crate) fn on_network(&self) -> bool {
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

impl Hub {
    /// Starts joining a network. The outcome shows in the status; a second request replaces the first.
    pub(crate) fn wifi_connect(
        &mut self,
        wish: &WifiConnect,
        networks: &[WifiFile],
        context: &mut Context<'_>,
    ) -> Result<(), ConnectError> {
        if wish.ssid.is_empty() || wish.ssid.len() > MAX_SSID {
            return Err(ConnectError::Ssid);
        }
        if wish.passkey.get().is_some_and(|key| key.expose().len() > MAX_PASSKEY) {
            return Err(ConnectError::Passkey);
        }
        let network = networks.iter().find(|network| network.ssid == wish.ssid);
        let open_or_equal =
            |network: &WifiFile| network.passkey.is_none() || network.passkey.as_ref() == wish.passkey.get();
        self.wifi.will_join = network.is_some_and(open_or_equal);
        self.wifi.state = WifiState::Connecting;
        self.wifi.ssid = Some(wish.ssid.clone());
        self.wifi.error = None;
        self.wifi.generation += 1;
        context.later(context.guesses.wifi_join_ms, Timer::WifiJoined(self.wifi.generation));
        self.disturb_joining(context);
        Ok(())
    }

    pub(super) fn wifi_joined(&mut self, generation: u64, context: &mut Context<'_>) {
        if generation != self.wifi.generation || self.wifi.restarting {
            return;
        }
        if self.wifi.will_join {
            self.wifi.state = WifiState::Connected;
            self.tell_network(context);
            context.later(context.guesses.relay_attach_ms, Timer::RelayAttach(generation));
        } else {
            self.wifi.state = WifiState::Failed;
            self.wifi.error = Some("network.connection.failed".into());
        }
    }

    pub(super) fn relay_attach(&mut self, generation: u64, context: &mut Context<'_>) {
        let never = self.wifi.has(SetupFault::NeverAppears);
        let may = self.wifi.on_network() && !self.wifi.cut_off && !never;
        if generation == self.wifi.generation && may && !self.wifi.at_relay {
            self.wifi.at_relay = true;
            context.effects.at_relay = Some(true);
        }
    }

    /// The house loses the internet, or has it again; the local network stays. A restart does not bring it back.
    pub(crate) fn set_internet(&mut self, there: bool, context: &mut Context<'_>) {
        self.wifi.cut_off = !there;
        if self.wifi.on_network() && self.wifi.at_relay != there {
            self.wifi.at_relay = there;
            context.effects.at_relay = Some(there);
        }
    }

    pub(crate) const fn close_access_point(&mut self) {
        self.wifi.access_point = AccessPoint::Lingering;
    }

    /// Goes away, and comes back after a while.
    pub(crate) fn restart(&mut self, context: &mut Context<'_>) {
        if !self.wifi.restarting {
            self.go_down(context);
            self.come_back_later(context);
        }
    }

    pub(super) fn go_down(&mut self, context: &mut Context<'_>) {
        self.wifi.restarting = true;
        self.wifi.generation += 1;
        // What was under way is lost with the power.
        self.stop_everything();
        context.effects.drop_local = true;
        if std::mem::take(&mut self.wifi.at_relay) {
            context.effects.at_relay = Some(false);
        }
    }

    pub(super) fn come_back_later(&mut self, context: &mut Context<'_>) {
        let wait = context.guesses.restart_ms;
        self.wifi.back_ms = context.now_ms.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX));
        context.later(wait, Timer::Restarted);
    }

    /// A hub that has no network opens its access point again.
    pub(super) fn restarted(&mut self, context: &mut Context<'_>) {
        // The plug was pulled meanwhile.
        if self.wifi.unplugged || context.now_ms < self.wifi.back_ms {
            return;
        }
        self.wifi.restarting = false;
        self.booted_ms = context.now_ms;
        self.anonymous_access = self.wifi.anonymous_access_next.take().unwrap_or(self.anonymous_access);
        if self.wifi.state == WifiState::Connecting {
            self.wifi.state = WifiState::Disconnected;
        }
        let on_network = self.wifi.on_network();
        self.wifi.access_point = match (on_network, self.wifi.access_point) {
            (false, _) => AccessPoint::Open,
            (true, AccessPoint::Lingering) => AccessPoint::Closed,
            (true, other) => other,
        };
        if on_network {
            context.later(context.guesses.relay_attach_ms, Timer::RelayAttach(self.wifi.generation));
        }
        self.catch_up(context);
    }

    pub(super) fn reboot(&mut self, _: Empty, context: &mut Context<'_>) -> Answer<Empty> {
        self.restart(context);
        done()
    }

    /// `started`, then the networks, then `finished` (guide20:p81-83).
    pub(super) fn scan_start(&mut self, wish: ScanQuery, context: &mut Context<'_>) -> Answer<Empty> {
        self.scan.interface = wish.interface_id.as_deref().unwrap_or("wlan0").chars().take(32).collect();
        self.scan.generation += 1;
        self.scan.next = Some(ScanStep::Networks);
        self.tell_scan("started", None, context);
        context.later(context.guesses.wifi_join_ms, Timer::Scan(self.scan.generation));
        done()
    }

    pub(super) fn scan_stop(&mut self, _: ScanQuery, context: &mut Context<'_>) -> Answer<Empty> {
        if self.scan.next.take().is_some() {
            self.tell_scan("finished", None, context);
        }
        done()
    }

    pub(super) fn scan_step(&mut self, generation: u64, context: &mut Context<'_>) {
        if generation != self.scan.generation {
            return;
        }
        match self.scan.next {
            Some(ScanStep::Networks) => {
                let network = |network: &WifiFile| {
                    json!({
                        "ssid": network.ssid, "bssid": "", "security": network.encryption, "rssi": network.rssi,
                    })
                };
                let networks = context.networks.iter().map(network).collect();
                self.scan.next = Some(ScanStep::Finished);
                self.tell_scan("process", Some(networks), context);
                context.later(context.guesses.wifi_join_ms, Timer::Scan(generation));
            }
            Some(ScanStep::Finished) => {
                self.scan.next = None;
                self.tell_scan("finished", None, context);
            }
            None => {}
        }
    }

    fn tell_scan(&self, status: &str, networks: Option<serde_json::Value>, context: &mut Context<'_>) {
        let mut progress =
            ScanProgress { interface_id: self.scan.interface.as_str().into(), ..ScanProgress::default() };
        progress.status = status.into();
        let mut content = ezlo_protocol::wire::to_value(&progress);
        if let Some(networks) = networks {
            content["networks"] = networks;
        }
        context.broadcast("hub.network.wifi.scan.progress", &content);
    }
}
