//! The network connection of a hub: access point, Wi-Fi, relay and restarts.

use ezlo_protocol::cloud::access_point::{WifiConnect, WifiState};
use ezlo_protocol::hub::Empty;
use ezlo_protocol::hub::network::{ScanProgress, ScanQuery};
use serde_json::json;

use crate::answer::{Answer, done};
use crate::context::{Context, Timer};
use crate::hub::Hub;
use crate::state::setup_fault::SetupFault;
use crate::state::wifi::{AccessPoint, ScanStep, WifiJoinError};
use crate::world_file::WifiFile;

/// Maximum length of an SSID, in bytes (IEEE 802.11).
const MAX_SSID: usize = 32;
/// Maximum length of a network key, in bytes (WPA2: 63 characters or 64 hexadecimal digits).
const MAX_PASSKEY: usize = 64;

impl Hub {
    /// Starts to join one of the networks in reach. A second request replaces the first.
    ///
    /// The outcome is in the status of [`Hub::wifi`] after [`wifi_join_ms`](crate::HubAssumptions::wifi_join_ms) (default:
    /// 150 ms). An unknown network or a wrong key is no error of this call; the status becomes `failed`. An open network
    /// accepts any key.
    ///
    /// No network traffic. Leaves the timer [`Timer::WifiJoined`] in the context; when a join succeeds, the timer broadcasts
    /// `hub.network.changed`. A set-up fault may restart the hub at once.
    ///
    /// # Errors
    ///
    /// - [`WifiJoinError::Ssid`] if the SSID is empty or longer than 32 bytes.
    /// - [`WifiJoinError::Passkey`] if the key is longer than 64 bytes.
    pub fn wifi_connect(
        &mut self,
        request: &WifiConnect,
        networks: &[WifiFile],
        context: &mut Context<'_>,
    ) -> Result<(), WifiJoinError> {
        if request.ssid.is_empty() || request.ssid.len() > MAX_SSID {
            return Err(WifiJoinError::Ssid);
        }
        if request.passkey.get().is_some_and(|key| key.expose().len() > MAX_PASSKEY) {
            return Err(WifiJoinError::Passkey);
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

    /// Completes a request to join a network, unless it was replaced or the hub restarted.
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

    /// Connects the hub to the relay if it is still on its network and has internet access.
    pub(crate) fn relay_attach(&mut self, generation: u64, context: &mut Context<'_>) {
        let never = self.wifi.has(SetupFault::NeverAppears);
        let may = self.wifi.on_network() && !self.wifi.cut_off && !never;
        if generation == self.wifi.generation && may && std::mem::take(&mut self.wifi.silent) {
            // The relay has not noticed the loss of power, so its clients see no change (inferred).
            return;
        }
        if generation == self.wifi.generation && may && !self.wifi.at_relay {
            self.wifi.at_relay = true;
            context.effects.at_relay = Some(true);
        }
    }

    /// Connects the house to the internet or disconnects it; the local network is not affected.
    ///
    /// A disconnected hub stays off the relay until this is called with true, also after a restart.
    ///
    /// No network traffic, broadcasts or timers. If the hub is on its network and its state at the relay changes, sets
    /// [`at_relay`](crate::Effects::at_relay) in the context.
    pub fn set_internet(&mut self, there: bool, context: &mut Context<'_>) {
        self.wifi.cut_off = !there;
        if self.wifi.on_network() && self.wifi.at_relay != there {
            self.wifi.at_relay = there;
            context.effects.at_relay = Some(there);
        }
    }

    /// Closes the Wi-Fi API of the access point. Its root accepts requests until the next restart (inferred).
    ///
    /// The restart opens the access point again if the hub is on no network. Changes the local state; no network traffic,
    /// broadcasts or timers.
    pub const fn close_access_point(&mut self) {
        self.wifi.access_point = AccessPoint::Lingering;
    }

    /// Restarts the hub. Has no effect while it restarts or has no power.
    ///
    /// Running scenes and Z-Wave actions end without a broadcast. No network traffic. Sets
    /// [`drop_local`](crate::Effects::drop_local) in the context and, if the hub was at the relay,
    /// [`at_relay`](crate::Effects::at_relay) to false. Leaves the timer [`Timer::Restarted`], which is due after
    /// [`restart_ms`](crate::HubAssumptions::restart_ms) (default: 100 ms).
    pub fn restart(&mut self, context: &mut Context<'_>) {
        if !self.wifi.restarting {
            if !context.assumptions.mode_switch_survives_restart {
                self.modes.pending = None;
                self.modes.generation += 1;
            }
            self.go_down(context);
            self.come_back_later(context);
        }
    }

    /// Ends all activity and connections.
    pub(crate) fn go_down(&mut self, context: &mut Context<'_>) {
        self.stop_running();
        context.effects.drop_local = true;
        self.wifi.silent = false;
        if std::mem::take(&mut self.wifi.at_relay) {
            context.effects.at_relay = Some(false);
        }
    }

    /// Stops the hub itself. Runs and Z-Wave actions do not survive that.
    pub(crate) fn stop_running(&mut self) {
        self.wifi.restarting = true;
        self.wifi.generation += 1;
        self.stop_everything();
    }

    /// Sets the timer that ends the restart.
    pub(crate) fn come_back_later(&mut self, context: &mut Context<'_>) {
        let wait = context.assumptions.restart_ms;
        self.wifi.back_ms = context.now_ms.saturating_add(i64::try_from(wait).unwrap_or(i64::MAX));
        context.later(wait, Timer::Restarted);
    }

    /// Ends a restart. A hub without a network opens its access point again.
    pub(crate) fn restarted(&mut self, context: &mut Context<'_>) {
        // The power was cut meanwhile, or a later start replaced this one.
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
        self.begin_all_signals(context);
        self.catch_up(context);
    }

    pub(crate) fn reboot(&mut self, _: Empty, context: &mut Context<'_>) -> Answer<Empty> {
        self.restart(context);
        done()
    }

    /// Starts a scan, which broadcasts `started`, the networks and `finished` (guide20:p81-83).
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
