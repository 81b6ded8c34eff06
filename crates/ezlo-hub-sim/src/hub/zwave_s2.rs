//! Key agreement of Z-Wave Security 2 during an inclusion. Events and scripts are the vendor's; the reactions to a wrong key
//! and to a script at the wrong time are inferred.

use ezlo_protocol::hub::gateway::ZwaveEvent;
use ezlo_protocol::wire::Extra;
use serde_json::{Value, json};

use super::zwave::{Report, broadcast_event, busy};
use crate::context::Context;
use crate::hub::Hub;
use crate::state::zwave::{Action, Bootstrap, Step};
use crate::templates::Secure;

/// Number of five-digit groups of a device-specific key. The first group is the secret on the label of the device.
const KEY_GROUPS: usize = 8;

impl Hub {
    /// Starts the key agreement: broadcasts the authentication modes of the device.
    pub(crate) fn begin_securing(&mut self, bootstrap: Bootstrap, context: &mut Context<'_>) {
        let modes = json!(bootstrap.secure.modes());
        self.enter(Action::Securing(bootstrap));
        broadcast_event(ZwaveEvent::SelectAuthenticationModes, &[("modes", modes)], context);
        self.wait(context.assumptions.zwave_timeout_ms, context);
    }

    /// Applies the authentication modes that the user chose. An empty choice includes the device without a key.
    pub(crate) fn set_authentication_mode(&mut self, params: &Extra, context: &mut Context<'_>) -> Report {
        let Action::Securing(bootstrap @ Bootstrap { step: Step::Modes, .. }) = self.zwave.action.clone() else {
            return busy(context);
        };
        let offered = bootstrap.secure.modes();
        let chosen: Option<Vec<&str>> =
            params.get("modes").and_then(Value::as_array).map(|modes| modes.iter().filter_map(Value::as_str).collect());
        let Some(chosen) = chosen.filter(|chosen| chosen.iter().all(|mode| offered.contains(mode))) else {
            return Report::Failed("modes must be some of those that were offered");
        };
        let proves_itself = chosen.iter().any(|mode| matches!(*mode, "accessControl" | "authenticated"));
        let (step, event, key) = match (proves_itself, bootstrap.secure) {
            (true, Secure::WithKeypad) => {
                (Step::Typing, ZwaveEvent::ShowDeviceSideKey, json!(self.key_group(&bootstrap.template, 0)))
            }
            (true, _) => {
                let groups = (1..KEY_GROUPS).map(|group| json!(self.key_group(&bootstrap.template, group))).collect();
                (Step::Key, ZwaveEvent::RequestDeviceSpecificKey, groups)
            }
            (false, _) => {
                let security = if chosen.is_empty() { "no" } else { "middle" };
                self.next(Action::Including(bootstrap.template, security.into()), context);
                return Report::Done;
            }
        };
        let types_itself = step == Step::Typing;
        self.enter(Action::Securing(Bootstrap { step, ..bootstrap.clone() }));
        broadcast_event(event, &[("key", key)], context);
        if types_itself {
            self.next(Action::Including(bootstrap.template, "high".into()), context);
        } else {
            self.wait(context.assumptions.zwave_timeout_ms, context);
        }
        Report::Done
    }

    /// Checks the first group of the key, which the user read from the label. It is a number without leading zeros.
    pub(crate) fn set_device_specific_key(&mut self, params: &Extra, context: &mut Context<'_>) -> Report {
        let Action::Securing(bootstrap @ Bootstrap { step: Step::Key, .. }) = self.zwave.action.clone() else {
            return busy(context);
        };
        let right = self.key_group(&bootstrap.template, 0).parse::<u64>().ok();
        if params.get("key").and_then(Value::as_u64) == right {
            self.next(Action::Including(bootstrap.template, "high".into()), context);
        } else {
            self.end(ZwaveEvent::IncludeFinishedError, context);
        }
        Report::Done
    }

    /// Returns the key on the label of the device that is being included: eight groups of five digits, separated by hyphens.
    ///
    /// `None` unless the hub and the device are agreeing on keys. Reads the local state.
    pub fn device_specific_key(&self) -> Option<String> {
        let Action::Securing(bootstrap) = &self.zwave.action else { return None };
        let groups: Vec<String> = (0..KEY_GROUPS).map(|group| self.key_group(&bootstrap.template, group)).collect();
        Some(groups.join("-"))
    }

    /// Returns the state of the Z-Wave radio as text, such as `idle` or `agreeing on keys`. Reads the local state.
    pub const fn radio_state(&self) -> &'static str {
        self.zwave.state()
    }

    /// Returns a group of the key: 16 bits as five decimal digits.
    fn key_group(&self, template: &str, group: usize) -> String {
        let digest = self.digest(&format!("dsk {template}"));
        format!("{:05}", u16::from_be_bytes([digest[group * 2], digest[group * 2 + 1]]))
    }
}
