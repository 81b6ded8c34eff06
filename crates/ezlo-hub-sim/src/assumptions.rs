//! Behaviour of hubs that the vendor never published.

use ezlo_protocol::evidence::Evidence;

/// Assumed behaviour of a hub. The values are chosen because clients can live with them, and all can be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubAssumptions {
    /// Time from the request to join a network to the outcome, in milliseconds (default: 150).
    pub wifi_join_ms: u64,
    /// Time from joining a network to the connection with the relay, in milliseconds (default: 50).
    pub relay_attach_ms: u64,
    /// Duration of a restart, in milliseconds (default: 100).
    pub restart_ms: u64,
    /// Time between the steps of a Z-Wave inclusion or exclusion, in milliseconds (default: 40).
    pub zwave_step_ms: u64,
    /// Time that a Z-Wave inclusion or exclusion waits for a device, in milliseconds (default: 60,000).
    pub zwave_timeout_ms: u64,
    /// A device presses its button by itself when an inclusion or exclusion starts (default: true).
    pub zwave_auto_press: bool,
    /// The access point of a hub that is online already is open (default: true).
    pub access_point_always_open: bool,
    /// The behaviours of the house run (default: false).
    pub simulate_behaviours: bool,
    /// RTOS hubs write the id of a device as `id`, as one public client has seen (default: false).
    pub rtos_device_id: bool,
    /// Methods with less evidence are refused (default: none).
    pub min_evidence: Option<Evidence>,
}

impl Default for HubAssumptions {
    fn default() -> Self {
        Self {
            wifi_join_ms: 150,
            relay_attach_ms: 50,
            restart_ms: 100,
            zwave_step_ms: 40,
            zwave_timeout_ms: 60_000,
            zwave_auto_press: true,
            access_point_always_open: true,
            simulate_behaviours: false,
            rtos_device_id: false,
            min_evidence: None,
        }
    }
}
