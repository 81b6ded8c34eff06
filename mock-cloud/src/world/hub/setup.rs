//! What can go wrong while a hub is set up, on demand. All of it is what people report of real hubs; how a hub shows it at its
//! access point is inferred.

use ezlo_protocol::cloud::access_point::{WifiNetwork, WifiStatus};
use ezlo_protocol::wire::Loose;
use serde::{Deserialize, Serialize};

use super::wifi::{ADDRESS, Wifi};
use super::{Context, Hub};
use crate::world::file::WifiFile;

/// Something that goes wrong while a hub is set up, until it is switched off. A wrong key, an unknown network and a claim that
/// is refused need no switch: do them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SetupFault {
    /// Nobody answers at the access point.
    NoAccessPoint,
    /// The hub sees no network.
    EmptyScan,
    /// Every network is on a 5 GHz channel.
    FiveGigahertzOnly,
    /// Every network is all but out of reach.
    WeakSignal,
    /// The access point goes away when the hub is told to join, and the hub does not join.
    AccessPointVanishes,
    /// The hub restarts when it is told to join, once.
    RestartsOnce,
    /// The hub restarts each time it is told to join.
    KeepsRestarting,
    /// The hub has another address after the first.
    AddressChanges,
    /// The hub has another address each time it is asked.
    AddressUnstable,
    /// The hub joins, and never comes to the relay.
    NeverAppears,
}

impl SetupFault {
    /// Every one, with what it does.
    pub const ALL: &[(Self, &str)] = &[
        (Self::NoAccessPoint, "nobody answers at the access point"),
        (Self::EmptyScan, "the hub sees no network"),
        (Self::FiveGigahertzOnly, "every network is on a 5 GHz channel"),
        (Self::WeakSignal, "every network is all but out of reach"),
        (
            Self::AccessPointVanishes,
            "the access point goes away when the hub is told to join, and the hub does not join",
        ),
        (Self::RestartsOnce, "the hub restarts when it is told to join, once"),
        (Self::KeepsRestarting, "the hub restarts each time it is told to join"),
        (Self::AddressChanges, "the hub has another address after the first"),
        (Self::AddressUnstable, "the hub has another address each time it is asked"),
        (Self::NeverAppears, "the hub joins, and never comes to the relay"),
    ];
}

/// A channel that every 5 GHz router has.
const HIGH_CHANNEL: i64 = 36;
/// A signal that no radio keeps.
const WEAK: i64 = -94;

impl Wifi {
    /// What the hub sees.
    pub(crate) fn networks(&self, there: &[WifiFile]) -> Vec<WifiNetwork> {
        let seen = there.iter().map(|network| WifiNetwork {
            ssid: network.ssid.as_str().into(),
            rssi: Loose::number(if self.has(SetupFault::WeakSignal) { WEAK } else { network.rssi }).into(),
            encryption: network.encryption.as_str().into(),
            channel: self.has(SetupFault::FiveGigahertzOnly).then(|| Loose::number(HIGH_CHANNEL)).into(),
            ..WifiNetwork::default()
        });
        if self.has(SetupFault::EmptyScan) { Vec::new() } else { seen.collect() }
    }

    pub(super) fn has(&self, fault: SetupFault) -> bool {
        self.fault == Some(fault)
    }

    /// The status as a client is told it; being asked may change the address.
    pub(crate) fn ask_status(&mut self) -> WifiStatus {
        let mut status = self.status();
        if self.joined().is_some() {
            let times = self.asked;
            self.asked = times.saturating_add(1);
            status.ip = self.address(times).into();
        }
        status
    }

    fn address(&self, times: u32) -> String {
        match self.fault {
            Some(SetupFault::AddressChanges) if times > 0 => "192.168.1.51".to_owned(),
            Some(SetupFault::AddressUnstable) => format!("192.168.1.{}", 50 + times % 200),
            _ => ADDRESS.to_owned(),
        }
    }
}

impl Hub {
    /// Switches a fault on, or the one that is on off.
    pub(crate) const fn set_setup_fault(&mut self, fault: Option<SetupFault>) {
        self.wifi.fault = fault;
        self.wifi.asked = 0;
    }

    /// What goes wrong once the hub was told to join.
    pub(super) fn disturb_joining(&mut self, context: &mut Context<'_>) {
        match self.wifi.fault {
            Some(SetupFault::AccessPointVanishes) => self.wifi.vanish(),
            Some(SetupFault::RestartsOnce) => {
                self.wifi.fault = None;
                self.restart(context);
            }
            Some(SetupFault::KeepsRestarting) => self.restart(context),
            _ => {}
        }
    }
}
