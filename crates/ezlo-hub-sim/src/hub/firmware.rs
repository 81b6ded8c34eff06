//! Updates of firmware and packages, and the switch to Vera firmware.

use ezlo_protocol::hub::Empty;
use ezlo_protocol::hub::maintenance::{FirmwareUpdate, UpdateProgress};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::{Field, Loose};
use serde_json::json;

use crate::answer::{Answer, done, missing};
use crate::context::{Context, Timer};
use crate::hub::Hub;
use crate::state::firmware::{Update, UpdateOf};
use crate::state::scene_events::Event;

/// Maximum length of a version name, in bytes.
const MAX_VERSION: usize = 64;
/// Progress of an update by step, in percent. Linux hubs broadcast only start and end of a firmware update (mios).
const STEPS: [i64; 4] = [0, 25, 50, 75];

/// Prefixes of the serials of reflashed Vera hubs (vendor note; 46: example in the guide).
const REFLASHED: &[&str] = &["40", "45", "46", "50", "55"];

impl Hub {
    pub(crate) fn firmware_update(&mut self, request: FirmwareUpdate, context: &mut Context<'_>) -> Answer<Empty> {
        let version = request.version.into_option().ok_or_else(|| missing("version"))?;
        if version.is_empty() || version.len() > MAX_VERSION {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        self.begin_update(UpdateOf::Firmware, Some(version), context)
    }

    pub(crate) fn software_update(&mut self, _: Empty, context: &mut Context<'_>) -> Answer<Empty> {
        self.begin_update(UpdateOf::Software, None, context)
    }

    fn begin_update(&mut self, of: UpdateOf, version: Option<String>, context: &mut Context<'_>) -> Answer<Empty> {
        if self.firmware.update.is_some() {
            return Err(RpcError::known("ezlo.update.unexpected"));
        }
        let operation = context.operation();
        self.firmware.update = Some(Update { of, version, operation, step: 0 });
        self.firmware.generation += 1;
        self.broadcast_update(0, "started", context);
        context.later(context.assumptions.restart_ms, Timer::Firmware(self.firmware.generation));
        done()
    }

    /// Executes the next step of an update. A finished firmware update restarts the hub.
    pub(crate) fn firmware_step(&mut self, generation: u64, context: &mut Context<'_>) {
        if generation != self.firmware.generation {
            return;
        }
        let Some(update) = &mut self.firmware.update else { return };
        update.step += 1;
        let step = STEPS.get(update.step).copied();
        let in_steps = self.family.updates_in_steps || update.version.is_none();
        if let Some(percent) = step.filter(|_| in_steps) {
            self.broadcast_update(percent, "process", context);
            context.later(context.assumptions.restart_ms, Timer::Firmware(generation));
            return;
        }
        self.broadcast_update(100, "finished", context);
        if let Some(version) = self.firmware.update.take().and_then(|update| update.version) {
            self.firmware.version = version;
            self.restart(context);
        }
    }

    fn broadcast_update(&mut self, percent: i64, status: &str, context: &mut Context<'_>) {
        let Some(update) = &self.firmware.update else { return };
        let progress = UpdateProgress {
            completed: Loose::number(percent).into(),
            error: Field::Null,
            operation_id: update.operation.clone().into(),
            serial: json!(self.serial).into(),
            status: status.into(),
            ..UpdateProgress::default()
        };
        context.broadcast(update.of.broadcast(), &progress);
        if update.version.is_some() {
            // The tokens of the condition isFirmwareUpdateState (pi).
            let state = match status {
                "process" => "updating",
                "finished" => "done",
                status => status,
            };
            self.events.push_back(Event::Firmware { state: state.to_owned() });
        }
    }

    /// Returns the hub to native Vera firmware. It disconnects and does not return to this protocol (guide20:p60).
    pub(crate) fn luup_switch(&mut self, _: Empty, context: &mut Context<'_>) -> Answer<Empty> {
        if !REFLASHED.iter().any(|prefix| self.serial.starts_with(prefix)) {
            return Err(RpcError::known("ezlo.update.unavailable.firmware"));
        }
        self.wifi.leave(context);
        done()
    }
}
