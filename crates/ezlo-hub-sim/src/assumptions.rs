//! Assumptions about behaviour that the vendor has not published.

use ezlo_protocol::evidence::Evidence;

/// Assumed behaviour of a hub.
///
/// The defaults are plausible values that clients cope with. None of them is backed by evidence, and all can be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubAssumptions {
    /// Time from a request to join a Wi-Fi network to its outcome, in milliseconds (default: 150).
    pub wifi_join_ms: u64,
    /// Time from joining a network to connecting to the relay, in milliseconds (default: 50).
    pub relay_attach_ms: u64,
    /// Duration of a restart and of each step of a firmware update, in milliseconds (default: 100).
    pub restart_ms: u64,
    /// Time between the steps of a Z-Wave inclusion or exclusion, in milliseconds (default: 40).
    pub zwave_step_ms: u64,
    /// Timeout of a Z-Wave inclusion or exclusion that no device answers, in milliseconds (default: 60,000).
    pub zwave_timeout_ms: u64,
    /// Time from a change of a lock code until the lock confirms or refuses it, in milliseconds (default: 100).
    pub lock_code_ms: u64,
    /// Time after which the relay counts a hub that lost its power as disconnected, in milliseconds (default: 60,000).
    pub relay_timeout_ms: u64,
    /// A mode switch that waits for its delay survives a restart of the hub (default: true).
    pub mode_switch_survives_restart: bool,
    /// The color item of templates is `rgb_color` instead of `rgbcolor` (default: false). Sources have both names.
    pub rgb_color_name: bool,
    /// The item `barrier` of templates can be read (default: false). Sources have both forms.
    pub barrier_has_getter: bool,
    /// A device answers automatically when an inclusion or exclusion starts (default: true).
    pub zwave_auto_press: bool,
    /// The access point is also open on a hub that is already online (default: true).
    pub access_point_always_open: bool,
    /// The behaviours of the world file run (default: false).
    pub simulate_behaviours: bool,
    /// RTOS hubs send the id of a device as `id` instead of `_id`, as one public client expects (default: false).
    pub rtos_device_id: bool,
    /// Scenes with conditions or actions that the simulator does not execute are refused (default: false; they are stored).
    pub refuse_unsupported_scenes: bool,
    /// Scenes that run each other in a circle are refused with `scenes.cycle.detected` (default: false; they are stored). The
    /// error is the vendor's, when it is sent is inferred.
    pub refuse_scene_cycles: bool,
    /// `hub.scene.changed` has the member `changed_by`, as vendor documents and firmware say (default: true). A capture of 2021
    /// lacks it.
    pub scene_changed_by: bool,
    /// Lowest evidence level of methods that are answered; others are refused (default: `None`, all are answered).
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
            lock_code_ms: 100,
            relay_timeout_ms: 60_000,
            mode_switch_survives_restart: true,
            rgb_color_name: false,
            barrier_has_getter: false,
            zwave_auto_press: true,
            access_point_always_open: true,
            simulate_behaviours: false,
            rtos_device_id: false,
            refuse_unsupported_scenes: false,
            refuse_scene_cycles: false,
            scene_changed_by: true,
            min_evidence: None,
        }
    }
}
