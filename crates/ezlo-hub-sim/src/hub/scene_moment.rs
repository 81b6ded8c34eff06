//! The state of a house before or after an event, against which the conditions of scenes are evaluated.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};

use ezlo_protocol::hub::scene::{BlockValue, Comparator, Compared, Condition, Operand, SceneState, Test};
use ezlo_protocol::hub::value::ValueType;
use ezlo_protocol::hub::{DeviceId, ItemId, SceneId};
use serde_json::Value;

use crate::hub::Hub;
use crate::hub::comparison::{matches_dictionary_change, same};
use crate::hub::scene_time::is_window;
use crate::state::scene_events::Event;
use crate::state::signals::{block_key, count_functions, function_key};
use crate::state::time_conditions::times;

/// Values before the events that are still queued, which have not happened yet for the evaluated event.
#[derive(Default)]
pub(crate) struct Pending<'a> {
    items: HashMap<&'a ItemId, &'a Value>,
    devices: HashMap<&'a DeviceId, (Option<bool>, Option<bool>)>,
    /// Values of expressions; null if there was none.
    expressions: HashMap<&'a str, &'a Value>,
    signals: HashMap<(&'a SceneId, &'a str), bool>,
    alarm: Option<&'a str>,
    switching: Option<bool>,
}

impl<'a> Pending<'a> {
    pub(crate) fn new(events: &'a VecDeque<Event>) -> Self {
        let mut pending = Self::default();
        for event in events {
            match event {
                Event::Item { item, before, .. } => {
                    pending.items.entry(item).or_insert(before);
                }
                Event::Device { device, armed, reachable } => {
                    pending.devices.entry(device).or_insert((*armed, *reachable));
                }
                Event::Expression { name, before } => {
                    pending.expressions.entry(name).or_insert(before);
                }
                Event::Signal { scene, signal, before } => {
                    pending.signals.entry((scene, signal)).or_insert(*before);
                }
                Event::Alarm { before } => {
                    pending.alarm.get_or_insert(before);
                }
                Event::Switching { before } => {
                    pending.switching.get_or_insert(*before);
                }
                Event::Mode { .. }
                | Event::Scene { .. }
                | Event::Cloud { .. }
                | Event::Network { .. }
                | Event::Firmware { .. }
                | Event::Tick { .. } => {}
            }
        }
        pending
    }
}

/// The state against which conditions are evaluated: before or after the event.
pub(crate) struct Moment<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) pending: &'a Pending<'a>,
    pub(crate) scene: &'a SceneId,
    pub(crate) event: &'a Event,
    pub(crate) after: bool,
    pub(crate) now_ms: i64,
    /// Due times of the timers of the scene.
    pub(crate) due: &'a BTreeMap<usize, i64>,
    /// Number of time conditions evaluated so far; their order identifies them.
    pub(crate) ticks: usize,
    /// Number of function blocks evaluated so far; their order identifies them.
    pub(crate) functions: usize,
}

impl Moment<'_> {
    /// Returns the value of an item before or after the event.
    fn value(&self, item: &ItemId) -> Option<&Value> {
        if let Event::Item { item: changed, before, after } = self.event
            && changed == item
        {
            return Some(if self.after { after } else { before });
        }
        self.pending.items.get(item).copied().or_else(|| self.hub.items.get(item)?.value.get())
    }

    /// Returns `armed` and `reachable` of a device before or after the event.
    fn device(&self, device: &DeviceId) -> Option<(Option<bool>, Option<bool>)> {
        let own = match self.event {
            Event::Device { device: changed, armed, reachable } if changed == device && !self.after => {
                Some((*armed, *reachable))
            }
            _ => None,
        };
        let now = || {
            let device = self.hub.devices.get(device)?;
            Some((device.armed.get().copied(), device.reachable.get().copied()))
        };
        own.or_else(|| self.pending.devices.get(device).copied()).or_else(now)
    }

    /// Evaluates the next time condition: a moment holds only at its own event, a window from its start to its end.
    ///
    /// A timer can fire late, so a due time counts and not the current one. Windows that change at the same time change one
    /// after another, in the order of their events; otherwise several of them would start the scene more than once.
    fn time(&mut self, condition: &Condition) -> bool {
        let at = self.ticks;
        self.ticks += 1;
        let own = match self.event {
            Event::Tick { scene, tick, due_ms } if scene == self.scene => Some((*tick, due_ms.unwrap_or(self.now_ms))),
            _ => None,
        };
        let is_own = own.is_some_and(|(tick, _)| tick == at);
        let at_ms = own.map_or(self.now_ms, |(_, due_ms)| due_ms);
        if is_window(condition) {
            // Until the timer of the window fires, the window is as it was before.
            let pending = self.due.get(&at).map_or(i64::MAX, |due_ms| due_ms - 1);
            let moment = if is_own && !self.after { at_ms - 1 } else { at_ms };
            return self.hub.is_within(condition, moment.min(pending));
        }
        self.after && is_own && self.hub.is_on_day(condition, at_ms)
    }

    fn is_event_item(&self, item: &ItemId) -> bool {
        matches!(self.event, Event::Item { item: changed, .. } if changed == item)
    }

    fn armed(&self, device: &DeviceId) -> Option<bool> {
        self.device(device)?.0
    }

    fn reachable(&self, device: &DeviceId) -> Option<bool> {
        self.device(device)?.1
    }

    /// Returns the number of conditions that hold. It evaluates all, because each time condition must be counted.
    fn count(&mut self, conditions: &[Condition]) -> usize {
        conditions.iter().map(|condition| usize::from(self.holds(condition))).sum()
    }

    pub(crate) fn holds(&mut self, condition: &Condition) -> bool {
        match condition {
            Condition::ItemIs { item, value, armed } => self.item_is(item, value, *armed),
            Condition::Compares { item, comparator, value } => self.compares(item, comparator, value),
            Condition::Tests { left, test } => self.passes(left, test),
            Condition::ItemChanged { item, from, to } => match self.event {
                Event::Item { item: changed, before, after } if self.after && changed == item => {
                    let fits = |wanted: &Option<BlockValue>, value: &Value| {
                        wanted.as_ref().is_none_or(|wanted| same(&wanted.value, value))
                    };
                    before != after && fits(from, before) && fits(to, after)
                }
                _ => false,
            },
            Condition::Button { item, number, state } => {
                let pressed = self.after && self.is_event_item(item);
                pressed
                    && self.value(item).is_some_and(|press| {
                        press["button_state"].as_str() == Some(state)
                            && number.is_none_or(|number| press["button_number"].as_i64() == Some(number))
                    })
            }
            Condition::DeviceIs { device, reachable, armed } => self.device_is(device, *reachable, *armed),
            Condition::DeviceOfGroupIs { group, reachable, armed } => match self.event {
                Event::Device { device, armed: was_armed, reachable: was_reachable } => {
                    let was = flags_match((*was_reachable, *reachable), (*was_armed, *armed));
                    self.after && !was && self.device_is(device, *reachable, *armed) && self.is_in_group(group, device)
                }
                _ => false,
            },
            Condition::Every(_)
            | Condition::At(_)
            | Condition::Once { .. }
            | Condition::During { .. }
            | Condition::Sun { .. } => self.time(condition),
            Condition::ModeChangedTo(modes) => {
                self.after && matches!(self.event, Event::Mode { to, .. } if modes.contains(to))
            }
            Condition::ModeChangedFrom(modes) => {
                self.after && matches!(self.event, Event::Mode { from, .. } if modes.contains(from))
            }
            Condition::SceneIs { scene, state } => {
                self.after
                    && matches!(self.event, Event::Scene { scene: changed, state: now }
                        if changed == scene && is_in_state(state, now))
            }
            Condition::CloudIs(connected) => match self.event {
                Event::Cloud { connected: now } if !self.after => now != connected,
                _ => self.hub.wifi.is_connected() == *connected,
            },
            Condition::NetworkIs(connected) => match self.event {
                Event::Network { connected: now } if !self.after => now != connected,
                _ => self.hub.wifi.on_network() == *connected,
            },
            Condition::FirmwareIs(state) => {
                self.after && matches!(self.event, Event::Firmware { state: now } if now == state)
            }
            Condition::All(all) => self.count(all) == all.len(),
            Condition::Any(any) => self.count(any) > 0,
            Condition::OneOf(one) => self.count(one) == 1,
            // The negation of an unknown condition is unknown, too.
            Condition::Not(inner) => !self.holds(inner) && !inner.has_unknown(),
            Condition::Function { inner, .. } => {
                let key = function_key(self.functions);
                // The conditions inside are evaluated apart, and counted here.
                self.functions += 1 + count_functions(inner);
                self.ticks += times(inner).len();
                self.signal(self.scene, &key)
            }
            Condition::GroupIs { .. } | Condition::AlarmPhaseIs(_) | Condition::ModeSwitchPending => {
                self.house_state(condition)
            }
            Condition::DictionaryHas { .. }
            | Condition::DictionaryHasValue { .. }
            | Condition::DictionaryChanged { .. }
            | Condition::LockOperated { .. } => self.dictionary(condition),
            Condition::GroupItemChanged { devices, items } => self.changed_item_of_groups(devices, items).is_some(),
            Condition::Unknown(_) | _ => false,
        }
    }

    fn compares(&self, item: &ItemId, comparator: &Comparator, value: &BlockValue) -> bool {
        let scale = self.hub.items.get(item).and_then(|item| item.scale.get());
        let wanted = value.value.as_f64().and_then(|number| match (&value.scale, scale) {
            (Some(from), Some(to)) => from.convert(number, to),
            _ => Some(number),
        });
        match (self.value(item).and_then(Value::as_f64), wanted) {
            (Some(number), Some(wanted)) => comparator.holds(number, wanted),
            _ => false,
        }
    }

    /// Returns the result of a block or a function before or after the event.
    fn signal(&self, scene: &SceneId, key: &str) -> bool {
        if let Event::Signal { scene: changed, signal, before } = self.event
            && !self.after
            && (changed, signal.as_str()) == (scene, key)
        {
            return *before;
        }
        self.pending.signals.get(&(scene, key)).copied().unwrap_or_else(|| self.hub.signal(scene, key))
    }

    /// Evaluates a condition on the result of a block, on an alarm or on a pending mode switch.
    fn house_state(&self, condition: &Condition) -> bool {
        match condition {
            Condition::GroupIs { scene, block, state } => {
                let key = block_key(block);
                let is_changed = || {
                    self.after
                        && matches!(self.event, Event::Signal { scene: changed, signal, .. }
                            if changed == scene && *signal == key)
                };
                let known = || self.hub.has_signal(scene, &key);
                state.map_or_else(is_changed, |wanted| known() && self.signal(scene, &key) == wanted)
            }
            Condition::AlarmPhaseIs(phase) => {
                let own = match self.event {
                    Event::Alarm { before } if !self.after => Some(before.as_str()),
                    _ => None,
                };
                own.or(self.pending.alarm).unwrap_or_else(|| self.hub.alarm_phase()) == phase
            }
            Condition::ModeSwitchPending => {
                let own = match self.event {
                    Event::Switching { before } if !self.after => Some(*before),
                    _ => None,
                };
                own.or(self.pending.switching).unwrap_or(self.hub.modes.pending.is_some())
            }
            _ => false,
        }
    }

    /// Evaluates a condition on the elements of a dictionary or on the operation of a lock.
    fn dictionary(&self, condition: &Condition) -> bool {
        match condition {
            Condition::DictionaryHas { item, token } => self
                .value(item)
                .and_then(Value::as_object)
                .is_some_and(|all| all.values().any(|element| element.as_str() == Some(token))),
            Condition::DictionaryHasValue { item, value } => self
                .value(item)
                .and_then(Value::as_object)
                .is_some_and(|all| all.values().any(|element| same(value, element))),
            Condition::DictionaryChanged { item, key, operation } => match self.event {
                Event::Item { item: changed, before, after } if self.after && changed == item => {
                    matches_dictionary_change(operation, before.get(key), after.get(key))
                }
                _ => false,
            },
            // A lock operation has no duration: it holds only for its own event.
            Condition::LockOperated { item, state, user } => {
                self.after
                    && self.is_event_item(item)
                    && self.value(item).is_some_and(|operation| {
                        operation["action"].as_str() == Some(state)
                            && operation["userId"].as_i64().is_some_and(|id| id.to_string() == *user)
                    })
            }
            _ => false,
        }
    }

    /// Returns the value of an operand before or after the event.
    fn operand(&self, operand: &Operand) -> Option<&Value> {
        match operand {
            Operand::Item(item) => self.value(item),
            Operand::Expression(name) => self.expression(name),
            Operand::Group { .. } => self.value(self.changed_item_of(operand)?),
        }
    }

    fn device_is(&self, device: &DeviceId, reachable: Option<bool>, armed: Option<bool>) -> bool {
        flags_match((self.reachable(device), reachable), (self.armed(device), armed))
    }

    fn is_in_group(&self, group: &str, device: &DeviceId) -> bool {
        self.hub.newer.device_groups.get(group).is_some_and(|group| self.hub.in_group(group, device))
    }

    /// Returns the item whose value an operand has. Groups have no state: they have the item that the event has changed.
    fn changed_item_of<'b>(&'b self, operand: &'b Operand) -> Option<&'b ItemId> {
        match operand {
            Operand::Item(item) => Some(item),
            Operand::Expression(_) => None,
            Operand::Group { devices, items } => self.changed_item_of_groups(devices, items),
        }
    }

    /// Returns the item that the event has changed, if it belongs to the groups.
    fn changed_item_of_groups(&self, devices: &str, items: &str) -> Option<&ItemId> {
        let Event::Item { item, before, after } = self.event else { return None };
        let known = self.hub.items.get(item)?;
        // A press of a button is an event also if the one before was equal.
        if before == after && known.value_type.get() != Some(&ValueType::ButtonState) {
            return None;
        }
        let names = self.hub.newer.item_groups.get(items)?.item_names.get()?;
        let is_named = names.iter().any(|name| Some(&**name) == known.name.as_deref());
        (self.after && is_named && self.is_in_group(devices, known.device_id.get()?)).then_some(item)
    }

    fn expression(&self, name: &str) -> Option<&Value> {
        let own = match self.event {
            Event::Expression { name: changed, before } if changed == name && !self.after => Some(before),
            _ => None,
        };
        match own.or_else(|| self.pending.expressions.get(name).copied()) {
            Some(earlier) => Some(earlier).filter(|value| !value.is_null()),
            None => self.hub.newer.expressions.get(name)?.value.get(),
        }
    }

    fn passes<'b>(&'b self, left: &Operand, test: &'b Test) -> bool {
        let Some(value) = self.operand(left) else { return false };
        let scale = self.changed_item_of(left).and_then(|item| self.hub.items.get(item)?.scale.get());
        // A number with a unit is compared in the unit of the item.
        let number = |value: &BlockValue| {
            let number = value.value.as_f64()?;
            match (&value.scale, scale) {
                (Some(from), Some(to)) => from.convert(number, to),
                _ => Some(number),
            }
        };
        let other = |compared: &'b Compared| -> Option<Cow<'b, Value>> {
            match compared {
                Compared::Value(value) if value.scale.is_some() && value.value.is_number() => {
                    number(value).map(|number| Cow::Owned(number.into()))
                }
                Compared::Value(value) => Some(Cow::Borrowed(&value.value)),
                Compared::Operand(operand) => self.operand(operand).map(Cow::Borrowed),
            }
        };
        let plain = crate::hub::comparison::plain(value);
        crate::hub::comparison::passes(plain, test, &number, &other)
    }

    fn item_is(&self, id: &ItemId, wanted: &BlockValue, armed: Option<bool>) -> bool {
        let Some(item) = self.hub.items.get(id) else { return false };
        // A button press has no duration: it holds only for its own event.
        let is_event = item.value_type.get() == Some(&ValueType::ButtonState);
        let there = !is_event || self.after && self.is_event_item(id);
        let device_armed = || item.device_id.get().and_then(|device| self.armed(device)).unwrap_or(false);
        there
            && self.value(id).is_some_and(|value| same(&wanted.value, value))
            && armed.is_none_or(|armed| device_armed() == armed)
    }
}

/// Returns whether the flags `reachable` and `armed` of a device have the wanted values, each given as present and wanted one.
fn flags_match(reachable: (Option<bool>, Option<bool>), armed: (Option<bool>, Option<bool>)) -> bool {
    [reachable, armed].iter().all(|(now, wanted)| wanted.is_none() || now == wanted)
}

/// Returns whether a scene that has reached `now` is in the wanted state.
fn is_in_state(wanted: &SceneState, now: &SceneState) -> bool {
    let is_result = !matches!(now, SceneState::Enabled | SceneState::Disabled);
    wanted == now || *wanted == SceneState::AnyResult && is_result
}
