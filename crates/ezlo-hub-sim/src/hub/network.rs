//! Network interfaces of the hub.

use ezlo_protocol::hub::Empty;
use ezlo_protocol::hub::network::{Interface, Ipv4, Network};
use ezlo_protocol::wire::{Field, Loose};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::context::Context;
use crate::hub::Hub;
use crate::state::wifi::ADDRESS;

impl Hub {
    pub(crate) fn network_get(&self, _: Empty, _: &Context<'_>) -> Answer<Network> {
        let joined = self.wifi.joined();
        let channel = if self.family.text_channels { json!("0") } else { json!(0) };
        let ipv4 = |up: bool| Ipv4 {
            mode: "dhcp".into(),
            ip: if up { ADDRESS } else { "" }.into(),
            mask: if up { "255.255.255.0" } else { "" }.into(),
            gateway: if up { "192.168.1.1" } else { "" }.into(),
            dns: if up { vec!["192.168.1.1".to_owned()] } else { Vec::new() }.into(),
            ..Ipv4::default()
        };
        let interface = |id: &str, kind: &str, priority: i64, up: bool, wifi: Field<Value>| Interface {
            id: id.into(),
            internet_available: up.into(),
            hwaddr: self.hardware_address(id).into(),
            kind: kind.into(),
            network: "wan".into(),
            priority: Loose::number(priority).into(),
            status: if up { "up" } else { "down" }.into(),
            enabled: self.newer.interfaces.get(id).map_or("auto", String::as_str).into(),
            ipv4: ipv4(up).into(),
            wifi,
            ..Interface::default()
        };
        let ssid = joined.unwrap_or_default();
        let wifi =
            json!({"mode": "sta", "channel": channel, "region": "00", "network": {"ssid": ssid, "encryption": "psk2"}});
        let interfaces = vec![
            interface("eth0", "ethernet", 1, self.wifi.is_wired() && joined.is_none(), Field::Absent),
            interface("wlan0", "wifi", 2, joined.is_some(), wifi.into()),
        ];
        Ok(Network { interfaces: interfaces.into(), ..Network::default() })
    }

    /// Broadcasts the current interfaces. The changed ones would suffice; all are permitted (guide20:p83-86).
    pub(crate) fn broadcast_network(&self, context: &mut Context<'_>) {
        if let Ok(network) = self.network_get(Empty::default(), context) {
            context.broadcast("hub.network.changed", &Network { sync_notification: true.into(), ..network });
        }
    }

    /// Returns a locally administered address that depends only on the hub and the interface.
    fn hardware_address(&self, interface: &str) -> String {
        let digest = self.digest(&format!("hwaddr {interface}"));
        format!("02:{:02X}:{:02X}:{:02X}:{:02X}:{:02X}", digest[0], digest[1], digest[2], digest[3], digest[4])
    }
}
