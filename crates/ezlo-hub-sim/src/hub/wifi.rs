//! The hub's way to the network: its access point, joining Wi-Fi, restarting, and being at the relay or not.

use ezlo_protocol::cloud::access_point::{WifiConnect, WifiState};
use ezlo_protocol::hub::Empty;
use ezlo_protocol::hub::network::{ScanProgress, ScanQuery};
use serde_json::json;

use crate::answer::{Answer, done};
use crate::context::{Context, Timer};
use crate::hub::Hub;
use crate::state::setup_fault::SetupFault;
use crate::state::wifi::{AccessPoint, ConnectError, ScanStep};
use crate::world_file::WifiFile;

/// Longest SSID, in bytes (IEEE 802.11).
const MAX_SSID: usize = 32;
/// Longest key of a network, in bytes (WPA2: 63 characters or 64 hexadecimal digits).
const MAX_PASSKEY: usize = 64;

impl Hub {
    /// Starts joining a network. The outcome shows in the status; a second request replaces the first.
    pub fn wifi_connect(
        &mut self,
        request: &WifiConnect,
        networks: &[WifiFile],
        context: &mut Context<'_>,
    ) -> Result<(), ConnectError> {
        if request.ssid.is_empty() || request.ssid.len() > MAX_SSID {
            return Err(ConnectError::Ssid);
        }
        if request.passkey.get().is_some_and(|key| key.expose().len() > MAX_PASSKEY) {
            return Err(ConnectError::Passkey);
        }
        let network = networks.iter().find(|network| network.ssid == request.ssid);
        let open_or_equal =
            |network: &WifiFile| network.passkey.is_none() || network.passkey.as_ref() == request.passkey.get();
        self.wifi.will_join = network.is_some_and(open_or_equal);
        self.wifi.state = WifiState::Connecting;
        self.wifi.ssid = Some(request.ssid.clone());
        self.wifi.error = None;
        self.wifi.generation += 1;
        context.later(context.assumptions.wifi_join_ms, Timer::WifiJoined(self.wifi.generation));
        self.disturb_joining(context);
        Ok(())
    }

    pub(crate) fn wifi_joined(&mut self, generation: u64, context: &mut Context<'_>) {
        if generation != self.wifi.generation || self.wifi.restarting {
            return;
        }
        if self.wifi.will_join {
            self.wifi.state = WifiState::Connected;
            self.broadcast_network(context);
            context.later(context.assumptions.relay_attach_ms, Timer::RelayAttach(generation));
        } else {
            self.wifi.state = WifiState::Failed;
            self.wifi.error = Some("network.connection.failed".into());
        }
    }

    pub(crate) fn relay_attach(&mut self, generation: u64, context: &mut Context<'_>) {
        let never = self.wifi.has(SetupFault::NeverAppears);
        let may = self.wifi.on_network() && !self.wifi.cut_off && !never;
        if generation == self.wifi.generation && may && !self.wifi.at_relay {
            self.wifi.at_relay = true;
            context.effects.at_relay = Some(true);
        }
    }

    /// The house loses the internet, or has it again; the local network stays. A restart does not bring it back.
    pub fn set_internet(&mut self, there: bool, context: &mut Context<'_>) {
        self.wifi.cut_off = !there;
        if self.wifi.on_network() && self.wifi.at_relay != there {
            self.wifi.at_relay = there;
            context.effects.at_relay = Some(there);
        }
    }

    pub const fn close_access_point(&mut self) {
        self.wifi.access_point = AccessPoint::Lingering;
    }

    /// Goes away, and comes back after a while.
    pub fn restart(&mut self, context: &mut Context<'_>) {
        if !self.wifi.restarting {
            self.go_down(context);
            self.come_back_later(context);
        }
    }

    pub(crate) fn go_down(&mut self, context: &mut Context<'_>) {
        self.wifi.restarting = true;
        self.wifi.generation += 1;
        // What was under way is lost with the power.
        self.stop_everything();
        context.effects.drop_local = true;
        if std::mem::take(&mut self.wifi.at_relay) {
            context.effects.at_relay = Some(false);
        }
    }

    pub(crate) fn come_back_later(&mut self, context: &mut Context<'_>) {
        let wait = context.assumptions.restart_ms;
        self.wifi.back_ms = context.now_ms.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX));
        context.later(wait, Timer::Restarted);
    }

    /// A hub that has no network opens its access point again.
    pub(crate) fn restarted(&mut self, context: &mut Context<'_>) {
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
            context.later(context.assumptions.relay_attach_ms, Timer::RelayAttach(self.wifi.generation));
        }
        self.catch_up(context);
    }

    pub(crate) fn reboot(&mut self, _: Empty, context: &mut Context<'_>) -> Answer<Empty> {
        self.restart(context);
        done()
    }

    /// `started`, then the networks, then `finished` (guide20:p81-83).
    pub(crate) fn scan_start(&mut self, request: ScanQuery, context: &mut Context<'_>) -> Answer<Empty> {
        self.scan.interface = request.interface_id.as_deref().unwrap_or("wlan0").chars().take(32).collect();
        self.scan.generation += 1;
        self.scan.next = Some(ScanStep::Networks);
        self.broadcast_scan("started", None, context);
        context.later(context.assumptions.wifi_join_ms, Timer::Scan(self.scan.generation));
        done()
    }

    pub(crate) fn scan_stop(&mut self, _: ScanQuery, context: &mut Context<'_>) -> Answer<Empty> {
        if self.scan.next.take().is_some() {
            self.broadcast_scan("finished", None, context);
        }
        done()
    }

    pub(crate) fn scan_step(&mut self, generation: u64, context: &mut Context<'_>) {
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
                self.broadcast_scan("process", Some(networks), context);
                context.later(context.assumptions.wifi_join_ms, Timer::Scan(generation));
            }
            Some(ScanStep::Finished) => {
                self.scan.next = None;
                self.broadcast_scan("finished", None, context);
            }
            None => {}
        }
    }

    fn broadcast_scan(&self, status: &str, networks: Option<serde_json::Value>, context: &mut Context<'_>) {
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
