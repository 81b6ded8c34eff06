//! Z-Wave inclusion and exclusion, in the order of the vendor's transcripts (guide20:p7-10). Buttons are pressed automatically
//! with `zwave_auto_press`, otherwise by [`Hub::press_include`] and [`Hub::press_exclude`].

use ezlo_protocol::error::code;
use ezlo_protocol::hub::catalogue;
use ezlo_protocol::hub::gateway::{
    Gateway, PluginEvent, PluginProgress, PluginRun, START_EXCLUDE, START_INCLUDE, STOP_EXCLUDE, STOP_INCLUDE,
    ZwaveEvent,
};
use ezlo_protocol::hub::{DeviceId, Empty, RoomId};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::{Extra, Field, Loose};
use serde_json::{Value, json};

use crate::answer::{Answer, done};
use crate::context::{Context, Timer};
use crate::hub::{Hub, MAX_DEVICES};
use crate::state::zwave::Action;
use crate::state::zwave::Bootstrap;
use crate::templates::{self, Template};

/// Template of the device that is included automatically; the vendor's example has the same six items.
const DEFAULT_TEMPLATE: &str = "metered_plug";

/// A script of the Z-Wave plugin. The guide shows the scripts with a constant in the protocol crate; the paths of the others
/// follow their pattern (inferred from names in the Lua module).
type Script = fn(&mut Hub, &Extra, &mut Context<'_>) -> Report;

const SCRIPTS: &[(&str, Script)] = &[
    (START_INCLUDE, |hub, _, context| hub.begin(Action::IncludeWaiting, ZwaveEvent::IncludeInvoked, context)),
    (START_EXCLUDE, |hub, _, context| hub.begin(Action::ExcludeWaiting, ZwaveEvent::ExcludeInvoked, context)),
    (STOP_INCLUDE, |hub, _, context| hub.stop_include(context)),
    (STOP_EXCLUDE, |hub, _, context| hub.stop_exclude(context)),
    ("HUB:zwave/scripts/stop_security_include", |hub, _, context| hub.stop_include(context)),
    ("HUB:zwave/scripts/set_authentication_mode", Hub::set_authentication_mode),
    ("HUB:zwave/scripts/set_device_specific_key", Hub::set_device_specific_key),
    ("HUB:zwave/scripts/reset", |hub, _, context| hub.reset_module(context)),
    ("HUB:test_plugin/scripts/add_device", Hub::add_virtual_device),
];

impl Hub {
    pub(crate) fn plugin_run(&mut self, request: PluginRun, context: &mut Context<'_>) -> Answer<Empty> {
        let params = request.script_params.into_option().unwrap_or_default();
        match SCRIPTS.iter().find(|(name, _)| *name == request.script) {
            Some((_, run)) => match run(self, &params, context) {
                Report::Later => {}
                Report::Done => broadcast_progress(context.operation(), Field::Null, context),
                Report::Failed(reason) => report_script_error(reason, context),
            },
            None => report_unknown_script(&request.script, context),
        }
        done()
    }

    const fn is_including(&self) -> bool {
        matches!(
            self.zwave.action,
            Action::IncludeWaiting | Action::Securing(_) | Action::Including(..) | Action::Included
        )
    }

    fn stop_include(&mut self, context: &mut Context<'_>) -> Report {
        if self.is_including() {
            self.end(ZwaveEvent::IncludeFinishedTimeout, context);
        }
        Report::Done
    }

    fn stop_exclude(&mut self, context: &mut Context<'_>) -> Report {
        if matches!(self.zwave.action, Action::ExcludeWaiting | Action::Excluding(_) | Action::Excluded(_)) {
            self.end(ZwaveEvent::ExcludeFinishedTimeout, context);
        }
        Report::Done
    }

    /// Starts an inclusion or exclusion, unless the radio is busy.
    fn begin(&mut self, action: Action, event: ZwaveEvent, context: &mut Context<'_>) -> Report {
        if self.zwave.action != Action::Idle {
            return busy(context);
        }
        self.zwave.operation = context.operation();
        self.enter(action);
        broadcast_event(event, &[], context);
        let assumptions = context.assumptions;
        let presses = assumptions.zwave_auto_press && self.next_presser();
        self.wait(if presses { assumptions.zwave_step_ms } else { assumptions.zwave_timeout_ms }, context);
        Report::Later
    }

    /// Returns whether a device can press its button: an inclusion adds a new device, an exclusion needs an existing one.
    fn next_presser(&self) -> bool {
        match self.zwave.action {
            Action::IncludeWaiting => self.devices.len() < MAX_DEVICES,
            _ => self.newest().is_some(),
        }
    }

    /// Returns the newest device that is not a child device.
    fn newest(&self) -> Option<DeviceId> {
        let whole = self
            .devices
            .iter()
            .rev()
            .find(|(_, device)| device.parent_device_id.get().is_none_or(|parent| parent.as_str().is_empty()));
        whole.map(|(id, _)| id.clone())
    }

    /// Sets the state of the radio and invalidates its older timers.
    pub(crate) fn enter(&mut self, action: Action) {
        self.zwave.action = action;
        self.zwave.generation += 1;
    }

    /// Sets a timer for the current state of the radio.
    pub(crate) fn wait(&self, ms: u64, context: &mut Context<'_>) {
        context.later(ms, Timer::Zwave(self.zwave.generation));
    }

    /// Handles the timer of the current state: the next step, or the timeout if no button was pressed.
    pub(crate) fn zwave_step(&mut self, generation: u64, context: &mut Context<'_>) {
        if generation != self.zwave.generation {
            return;
        }
        let auto = context.assumptions.zwave_auto_press && self.next_presser();
        match self.zwave.action.clone() {
            Action::Idle => {}
            Action::IncludeWaiting if auto => {
                let scripted = self.zwave.presses.pop_front().or_else(|| templates::find(DEFAULT_TEMPLATE));
                if let Some(template) = scripted {
                    self.press_include(template, context);
                }
            }
            Action::IncludeWaiting | Action::Securing(_) => self.end(ZwaveEvent::IncludeFinishedTimeout, context),
            Action::Including(name, security) => self.include(&name, &security, context),
            Action::Included => self.end(ZwaveEvent::IncludeFinished, context),
            Action::ExcludeWaiting => match self.newest().filter(|_| auto) {
                Some(device) => {
                    self.press_exclude(&device, context);
                }
                None => self.end(ZwaveEvent::ExcludeFinishedTimeout, context),
            },
            Action::Excluding(device) => {
                self.remove_device(&device, context);
                self.next(Action::Excluded(device), context);
            }
            Action::Excluded(_) => self.end(ZwaveEvent::ExcludeFinished, context),
            Action::Resetting => {
                for device in self.devices.keys().cloned().collect::<Vec<_>>() {
                    self.remove_device(&device, context);
                }
                broadcast_event(ZwaveEvent::ModuleReset, &[("status", json!("finished"))], context);
                self.broadcast_gateway(true, context);
                self.enter(Action::Idle);
            }
        }
    }

    /// Sets the state of the radio and the timer of the next step.
    pub(crate) fn next(&mut self, action: Action, context: &mut Context<'_>) {
        self.enter(action);
        self.wait(context.assumptions.zwave_step_ms, context);
    }

    /// Presses the button of a new device of a template, to include it. Returns false, without effect, unless an inclusion
    /// waits for a device.
    ///
    /// No network traffic. Leaves a `hub.extensions.plugin.ui_broadcast` with the event `include_started` in the context, and
    /// the timer of the next step. A device with Security 2 also causes `s2_select_authentication_modes`; the key agreement
    /// times out after [`zwave_timeout_ms`](crate::HubAssumptions::zwave_timeout_ms) (default: 60 s).
    pub fn press_include(&mut self, template: &'static Template, context: &mut Context<'_>) -> bool {
        let waits = self.zwave.action == Action::IncludeWaiting;
        if waits {
            broadcast_event(ZwaveEvent::IncludeStarted, &[], context);
            match Bootstrap::of(template) {
                Some(bootstrap) => self.begin_securing(bootstrap, context),
                None => self.next(Action::Including(template.name.into(), "no".into()), context),
            }
        }
        waits
    }

    /// Presses the button of a device to exclude it. Returns false, without effect, unless an exclusion waits and the device
    /// exists.
    ///
    /// No network traffic. Leaves a `hub.extensions.plugin.ui_broadcast` with the event `exclude_started` in the context, and
    /// the timer of the step that removes the device.
    pub fn press_exclude(&mut self, device: &DeviceId, context: &mut Context<'_>) -> bool {
        let waits = self.zwave.action == Action::ExcludeWaiting && self.devices.contains_key(device);
        if waits {
            broadcast_event(ZwaveEvent::ExcludeStarted, &[], context);
            self.next(Action::Excluding(device.clone()), context);
        }
        waits
    }

    /// Adds and broadcasts the device that is being included.
    fn include(&mut self, kind: &str, security: &str, context: &mut Context<'_>) {
        let template = templates::find(kind).filter(|_| self.devices.len() < MAX_DEVICES);
        let Some(template) = template else {
            self.end(ZwaveEvent::IncludeFinishedError, context);
            return;
        };
        let number = self.devices.len() + 1;
        let id = self.add_device(template, &format!("New device {number}"), RoomId::default());
        if let Some(device) = self.devices.get_mut(&id) {
            device.security = security.into();
        }
        self.begin_with_defaults(&id);
        self.announce_device(&id, context);
        self.next(Action::Included, context);
    }

    /// Sets the items of an included device and its child devices to the guide's defaults, as it has reported nothing yet.
    fn begin_with_defaults(&mut self, device: &DeviceId) {
        let parts = self.devices.values().filter(|part| part.parent_device_id.get() == Some(device));
        let all = parts.filter_map(|part| part.id().cloned()).chain([device.clone()]);
        let items: Vec<_> = all.flat_map(|id| self.by_device.get(&id).cloned().unwrap_or_default()).collect();
        for id in items {
            let Some(item) = self.items.get_mut(&id) else { continue };
            let spec = item.name.as_deref().and_then(catalogue::item);
            let default = spec.and_then(|spec| serde_json::from_str::<Value>(spec.default).ok());
            // A default that the item cannot have, such as 0 below its minimum, is ignored; the value of the template remains.
            if let Some(default) = default.filter(|default| item.holds(default).is_ok()) {
                if self.family.formatted_values {
                    item.value_formatted =
                        item.value_type.get().map(|kind| kind.format(&default)).unwrap_or_default().into();
                }
                item.value = default.into();
            }
        }
    }

    /// Ends an action: broadcasts its event and the progress of the script that started it.
    pub(crate) fn end(&mut self, event: ZwaveEvent, context: &mut Context<'_>) {
        let good = matches!(event, ZwaveEvent::IncludeFinished | ZwaveEvent::ExcludeFinished);
        let reason = event.to_string();
        broadcast_event(event, &[], context);
        self.enter(Action::Idle);
        let operation = std::mem::take(&mut self.zwave.operation);
        let error = if good {
            Field::Null
        } else {
            let mut error = RpcError::new(code::INTERNAL, "ezlo.lua.script.error", "Script error");
            error.reason = reason.into();
            error.into()
        };
        broadcast_progress(operation, error, context);
    }

    /// Resets the Z-Wave module (event: vendor; removal of all devices: inferred).
    fn reset_module(&mut self, context: &mut Context<'_>) -> Report {
        if self.zwave.action != Action::Idle {
            return busy(context);
        }
        broadcast_event(ZwaveEvent::ModuleReset, &[("status", json!("started"))], context);
        self.broadcast_gateway(false, context);
        self.next(Action::Resetting, context);
        Report::Done
    }

    fn broadcast_gateway(&self, ready: bool, context: &mut Context<'_>) {
        let Gateway { id, ready, status, .. } = self.gateway_record(ready);
        context.broadcast("hub.gateway.updated", &Gateway { id, ready, status, ..Gateway::default() });
    }

    /// Adds a virtual device (users). Its items are those of the template of its category and subcategory, except the items of
    /// a battery that it does not have. It belongs to the gateway of the plugin.
    fn add_virtual_device(&mut self, params: &Extra, context: &mut Context<'_>) -> Report {
        let text = |name: &str| {
            params.get(name).and_then(Value::as_str).map(|text| text.chars().take(128).collect::<String>())
        };
        let subcategory = text("subcategory").unwrap_or_default();
        let template = text("category").and_then(|category| templates::of_category(&category, &subcategory));
        let Some(template) = template.filter(|_| self.devices.len() < MAX_DEVICES) else {
            return Report::Failed("category is not known");
        };
        let gateway = self.virtual_gateway(context);
        let id = self.add_device(template, &text("name").unwrap_or_else(|| "Virtual device".into()), RoomId::default());
        let has_battery = params.get("battery_powered").and_then(Value::as_bool).unwrap_or(false);
        if let Some(device) = self.devices.get_mut(&id) {
            device.info = Field::Absent;
            device.gateway_id = gateway.into();
            device.battery_powered = has_battery.into();
            for (stored, said) in [
                (&mut device.subcategory, "subcategory"),
                (&mut device.kind, "type"),
                (&mut device.device_type_id, "device_type_id"),
            ] {
                if let Some(said) = text(said) {
                    *stored = said.into();
                }
            }
        }
        self.forget_settings(&id);
        if let Some(battery) = self.item_named(&id, "battery").filter(|_| !has_battery).map(|item| item.id.clone()) {
            self.items.shift_remove(&battery);
            self.by_device.entry(id.clone()).or_default().retain(|item| *item != battery);
        }
        self.announce_device(&id, context);
        Report::Done
    }
}

/// Time and outcome of the single `hub.extensions.plugin.run.progress` of a script (guide20:p87-89).
pub(crate) enum Report {
    /// Sent at the end of the action that the script started.
    Later,
    /// Sent at once, as `finished`.
    Done,
    /// Sent at once, as `failed` with this reason.
    Failed(&'static str),
}

/// Broadcasts that the radio is busy. The script itself succeeds.
pub(crate) fn busy(context: &mut Context<'_>) -> Report {
    broadcast_event(ZwaveEvent::ActionBusy, &[], context);
    Report::Done
}

pub(crate) fn broadcast_event(event: ZwaveEvent, members: &[(&str, Value)], context: &mut Context<'_>) {
    let mut content = PluginEvent { plugin: "zwave".into(), event: event.into(), ..PluginEvent::default() };
    for (name, value) in members {
        content.extra.insert(*name, value.clone());
    }
    context.broadcast("hub.extensions.plugin.ui_broadcast", &content);
}

fn report_unknown_script(script: &str, context: &mut Context<'_>) {
    let mut error = RpcError::new(code::INTERNAL, "ezlo.lua.script.open", "Script open error");
    error.reason = format!("no such script: {}", script.chars().take(128).collect::<String>()).into();
    broadcast_progress(context.operation(), error.into(), context);
}

fn report_script_error(reason: &str, context: &mut Context<'_>) {
    let mut error = RpcError::new(code::INTERNAL, "ezlo.lua.script.error", "Script error");
    error.reason = reason.into();
    broadcast_progress(context.operation(), error.into(), context);
}

fn broadcast_progress(operation: Value, error: Field<RpcError>, context: &mut Context<'_>) {
    let good = error.is_null();
    let progress = PluginProgress {
        operation_id: operation.into(),
        completed: Loose::number(if good { 100 } else { 0 }).into(),
        error,
        status: if good { "finished" } else { "failed" }.into(),
        ..PluginProgress::default()
    };
    context.broadcast("hub.extensions.plugin.run.progress", &progress);
}
