//! Z-Wave inclusion and exclusion, in the order of the vendor's transcripts (guide20:p7-10). Whose button is pressed is
//! decided outside: by itself after a step in the calm world, else by [`Hub::press_include`] and [`Hub::press_exclude`].

use ezlo_protocol::error::code;
use ezlo_protocol::hub::gateway::{
    PluginEvent, PluginProgress, PluginRun, START_EXCLUDE, START_INCLUDE, STOP_EXCLUDE, STOP_INCLUDE, ZwaveEvent,
};
use ezlo_protocol::hub::{DeviceId, Empty, RoomId};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::{Field, Loose};
use serde_json::Value;

use super::dispatch::{Answer, done};
use super::{Context, Hub, MAX_DEVICES, Timer};
use crate::world::template;

/// The kind of device that a calm world brings to an inclusion: the vendor's own example has these six items.
const DEFAULT_TEMPLATE: &str = "metered_plug";

/// What the radio is doing.
#[derive(Debug, Default)]
pub(super) struct Zwave {
    action: Action,
    /// Tells timers of an action that is over from those that count.
    generation: u64,
    operation: Value,
}

#[derive(Debug, Default, Clone, PartialEq)]
enum Action {
    #[default]
    Idle,
    /// Waits for a device to be put into inclusion.
    IncludeWaiting,
    /// A device answered.
    Including(&'static str),
    /// All its items are there.
    Included,
    ExcludeWaiting,
    Excluding(DeviceId),
    Excluded(DeviceId),
}

impl Hub {
    pub(super) fn plugin_run(&mut self, wish: PluginRun, context: &mut Context<'_>) -> Answer<Empty> {
        match wish.script.as_str() {
            START_INCLUDE => self.start(Action::IncludeWaiting, ZwaveEvent::IncludeInvoked, context),
            START_EXCLUDE => self.start(Action::ExcludeWaiting, ZwaveEvent::ExcludeInvoked, context),
            STOP_INCLUDE if self.is_including() => self.end(ZwaveEvent::IncludeFinishedTimeout, context),
            STOP_EXCLUDE if self.is_excluding() => self.end(ZwaveEvent::ExcludeFinishedTimeout, context),
            STOP_INCLUDE | STOP_EXCLUDE => {}
            script => tell_unknown_script(script, context),
        }
        done()
    }

    const fn is_including(&self) -> bool {
        matches!(self.zwave.action, Action::IncludeWaiting | Action::Including(_) | Action::Included)
    }

    const fn is_excluding(&self) -> bool {
        matches!(self.zwave.action, Action::ExcludeWaiting | Action::Excluding(_) | Action::Excluded(_))
    }

    fn start(&mut self, action: Action, event: ZwaveEvent, context: &mut Context<'_>) {
        if self.zwave.action != Action::Idle {
            tell(ZwaveEvent::ActionBusy, context);
            return;
        }
        self.zwave.operation = context.request_id.clone();
        self.enter(action);
        tell(event, context);
        let guesses = context.guesses;
        let wait = if guesses.zwave_auto_press && self.somebody_to_press() {
            guesses.zwave_step_ms
        } else {
            guesses.zwave_timeout_ms
        };
        context.later(wait, Timer::Zwave(self.zwave.generation));
    }

    /// An inclusion always finds a new device; an exclusion needs one that is there.
    fn somebody_to_press(&self) -> bool {
        match self.zwave.action {
            Action::IncludeWaiting => self.devices.len() < MAX_DEVICES,
            _ => self.newest().is_some(),
        }
    }

    fn newest(&self) -> Option<DeviceId> {
        self.devices.keys().next_back().cloned()
    }

    fn enter(&mut self, action: Action) {
        self.zwave.action = action;
        self.zwave.generation += 1;
    }

    /// A timer of the current step: in a calm world the next step, else the end of patience.
    pub(super) fn zwave_step(&mut self, generation: u64, context: &mut Context<'_>) {
        if generation != self.zwave.generation {
            return;
        }
        let auto = context.guesses.zwave_auto_press && self.somebody_to_press();
        match self.zwave.action.clone() {
            Action::Idle => {}
            Action::IncludeWaiting if auto => {
                self.press_include(DEFAULT_TEMPLATE, context);
            }
            Action::IncludeWaiting => self.end(ZwaveEvent::IncludeFinishedTimeout, context),
            Action::Including(name) => self.include(name, context),
            Action::Included => self.end(ZwaveEvent::IncludeFinished, context),
            Action::ExcludeWaiting => match self.newest().filter(|_| auto) {
                Some(device) => {
                    self.press_exclude(device, context);
                }
                None => self.end(ZwaveEvent::ExcludeFinishedTimeout, context),
            },
            Action::Excluding(device) => {
                self.remove_device(&device, context);
                self.next(Action::Excluded(device), context);
            }
            Action::Excluded(_) => self.end(ZwaveEvent::ExcludeFinished, context),
        }
    }

    fn next(&mut self, action: Action, context: &mut Context<'_>) {
        self.enter(action);
        context.later(context.guesses.zwave_step_ms, Timer::Zwave(self.zwave.generation));
    }

    /// Somebody puts a device of that kind into inclusion; false when the radio does not wait for one.
    pub(crate) fn press_include(&mut self, kind: &'static str, context: &mut Context<'_>) -> bool {
        let waits = self.zwave.action == Action::IncludeWaiting;
        if waits {
            tell(ZwaveEvent::IncludeStarted, context);
            self.next(Action::Including(kind), context);
        }
        waits
    }

    /// Somebody puts a device into exclusion; false when the radio does not wait for it or does not know it.
    pub(crate) fn press_exclude(&mut self, device: DeviceId, context: &mut Context<'_>) -> bool {
        let waits = self.zwave.action == Action::ExcludeWaiting && self.devices.contains_key(&device);
        if waits {
            tell(ZwaveEvent::ExcludeStarted, context);
            self.next(Action::Excluding(device), context);
        }
        waits
    }

    fn include(&mut self, kind: &'static str, context: &mut Context<'_>) {
        let template = template::find(kind).filter(|_| self.devices.len() < MAX_DEVICES);
        let Some(template) = template else {
            self.end(ZwaveEvent::IncludeFinishedError, context);
            return;
        };
        let number = self.devices.len() + 1;
        let id = self.add_device(template, &format!("New device {number}"), RoomId::default());
        self.announce_device(&id, context);
        self.next(Action::Included, context);
    }

    fn end(&mut self, event: ZwaveEvent, context: &mut Context<'_>) {
        let good = matches!(event, ZwaveEvent::IncludeFinished | ZwaveEvent::ExcludeFinished);
        tell(event, context);
        self.enter(Action::Idle);
        if good {
            let operation = std::mem::take(&mut self.zwave.operation);
            tell_progress(operation, Field::Null, context);
        }
    }
}

fn tell(event: ZwaveEvent, context: &mut Context<'_>) {
    let event = PluginEvent { plugin: "zwave".into(), event: event.into(), ..PluginEvent::default() };
    context.broadcast("hub.extensions.plugin.ui_broadcast", &event);
}

fn tell_unknown_script(script: &str, context: &mut Context<'_>) {
    let mut error = RpcError::new(code::INTERNAL, "ezlo.lua.script.open", "Script open error");
    error.reason = format!("no such script: {}", script.chars().take(128).collect::<String>()).into();
    let operation = context.request_id.clone();
    tell_progress(operation, error.into(), context);
}

/// The run of a script reports once, beside its events (guide20:p87-89).
fn tell_progress(operation: Value, error: Field<RpcError>, context: &mut Context<'_>) {
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
