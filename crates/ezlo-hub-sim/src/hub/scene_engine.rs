//! Triggers of scenes: an event starts a scene if a condition holds after the event and did not hold before it.
//!
//! Every condition is evaluated against the state before and after the event. Comparisons therefore fire once each time they
//! begin to hold (guide20:p25-27), in every nesting of `and`, `or` and `not`, without stored results. Events are evaluated one
//! by one: for each, those still in the queue have not happened yet. Scenes that do not read what has changed are skipped.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};

use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::scene::{BlockValue, Compared, Condition, Operand, Scene, ScenePart, SceneState, Test};
use ezlo_protocol::hub::value::ValueType;
use ezlo_protocol::hub::{DeviceId, ItemId, SceneId};
use serde_json::Value;

use crate::context::{Context, Timer};
use crate::hub::Hub;
use crate::hub::comparison::same;
use crate::hub::scene_time::is_window;
use crate::state::scene_events::Event;

/// Maximum number of runs that the events of one call or timer start, so that scenes that trigger each other end.
const MAX_CHAIN: usize = 128;

/// Maximum number of conditions that one call or timer evaluates before the hub is released: about 10 ms. The remaining events
/// are left to a timer that is due at once.
const MAX_EVALUATIONS: usize = 100_000;

/// Values before the events that are still queued, which have not happened yet for the evaluated event.
struct Pending<'a> {
    items: HashMap<&'a ItemId, &'a Value>,
    devices: HashMap<&'a DeviceId, (Option<bool>, Option<bool>)>,
    /// Values of expressions; null if there was none.
    expressions: HashMap<&'a str, &'a Value>,
}

impl<'a> Pending<'a> {
    fn new(events: &'a VecDeque<Event>) -> Self {
        let mut pending = Self { items: HashMap::new(), devices: HashMap::new(), expressions: HashMap::new() };
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
                Event::Mode { .. }
                | Event::Scene { .. }
                | Event::Cloud { .. }
                | Event::Firmware { .. }
                | Event::Tick { .. } => {}
            }
        }
        pending
    }
}

/// The state against which conditions are evaluated: before or after the event.
struct Moment<'a> {
    hub: &'a Hub,
    pending: &'a Pending<'a>,
    scene: &'a SceneId,
    event: &'a Event,
    after: bool,
    now_ms: i64,
    /// Due times of the timers of the scene.
    due: &'a BTreeMap<usize, i64>,
    /// Number of time conditions evaluated so far; their order identifies them.
    ticks: usize,
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

    fn holds(&mut self, condition: &Condition) -> bool {
        match condition {
            Condition::ItemIs { item, value, armed } => self.item_is(item, value, *armed),
            Condition::DictionaryHas { item, token } => self
                .value(item)
                .and_then(Value::as_object)
                .is_some_and(|all| all.values().any(|element| element.as_str() == Some(token))),
            Condition::Compares { item, comparator, value } => {
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
                _ => self.hub.wifi.at_relay() == *connected,
            },
            Condition::FirmwareIs(state) => {
                self.after && matches!(self.event, Event::Firmware { state: now } if now == state)
            }
            Condition::All(all) => self.count(all) == all.len(),
            Condition::Any(any) => self.count(any) > 0,
            Condition::OneOf(one) => self.count(one) == 1,
            // The negation of an unknown condition is unknown, too.
            Condition::Not(inner) => !self.holds(inner) && !inner.has_unknown(),
            Condition::Unknown(_) | _ => false,
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
        let (devices, items) = match operand {
            Operand::Item(item) => return Some(item),
            Operand::Expression(_) => return None,
            Operand::Group { devices, items } => (devices, items),
        };
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

/// Returns the part of a scene that starts, from the results of its conditions before and after an event.
fn part_after(scene: &Scene, before: &[bool], after: &[bool]) -> Option<ScenePart> {
    if before.iter().zip(after).any(|(before, after)| !before && *after) {
        return Some(ScenePart::Then);
    }
    let ended = before.contains(&true) && !after.contains(&true);
    (ended && scene.otherwise.get().is_some_and(|blocks| !blocks.is_empty())).then_some(ScenePart::Else)
}

impl Hub {
    /// Evaluates the queued events and starts scenes, which may queue further events.
    ///
    /// Events that remain at the bound are left to a timer, so that other calls and hubs need not wait for them.
    pub(crate) fn settle(&mut self, context: &mut Context<'_>) {
        self.note_cloud_state();
        let mut evaluations = 0;
        while let Some(event) = self.events.pop_front() {
            evaluations += self.cost_of(&event) + self.events.len() + 1;
            // The next tick is set first, so that a time condition continues even if its runs fail.
            if let Event::Tick { scene, tick, due_ms } = &event {
                let next = self.next_tick(scene, *tick, *due_ms, context.now_ms);
                self.set_tick(scene, *tick, next, context);
            }
            for (scene, part) in self.triggered(&event, context.now_ms) {
                context.work.triggered += 1;
                if context.work.triggered > MAX_CHAIN {
                    if context.work.triggered == MAX_CHAIN + 1 {
                        tracing::warn!(hub = %self.serial, "scenes trigger each other endlessly; further runs are dropped");
                    }
                } else if !self.start_run(&scene, &part, context) {
                    context.work.warn_once(&self.serial, &scene);
                }
            }
            if evaluations > MAX_EVALUATIONS && !self.events.is_empty() {
                self.defer_events(context);
                return;
            }
        }
    }

    /// Returns the cost of an event, in conditions. Most scenes only find out that the event does not concern them.
    fn cost_of(&self, event: &Event) -> usize {
        let concerned = self.conditions.iter().filter(|(id, watched)| watched.sources.include(id, event));
        self.conditions.len() / 8 + concerned.map(|(_, watched)| 2 * watched.size).sum::<usize>()
    }

    /// Queues an event if the connection to the cloud has changed since the last call or timer.
    fn note_cloud_state(&mut self) {
        let connected = self.wifi.at_relay();
        let known = self.cloud_known.replace(connected);
        if known.is_some_and(|known| known != connected) {
            self.events.push_back(Event::Cloud { connected });
        }
    }

    /// Leaves the queued events to a timer, with the work so far: their consequences count for the bounds of the call.
    fn defer_events(&mut self, context: &mut Context<'_>) {
        match &mut self.deferred {
            Some(work) => *work = work.max(context.work),
            None => {
                self.deferred = Some(context.work);
                context.later(0, Timer::Settle);
            }
        }
    }

    /// Returns the size of all scenes as JSON, in bytes.
    pub(crate) fn scene_bytes(&self) -> usize {
        self.conditions.values().map(|watched| watched.bytes).sum()
    }

    /// Returns the size of one scene as JSON, in bytes; 0 if it does not exist.
    pub(crate) fn bytes_of_scene(&self, id: &SceneId) -> usize {
        self.conditions.get(id).map_or(0, |watched| watched.bytes)
    }

    /// Returns the scenes that the event starts, and the part of them that runs.
    fn triggered(&self, event: &Event, now_ms: i64) -> Vec<(SceneId, ScenePart)> {
        let mode = self.modes.current_id();
        let active = |scene: &&Scene| {
            let modes = scene.house_modes.get();
            scene.enabled.get() != Some(&false) && modes.is_none_or(|modes| modes.is_empty() || modes.contains(&mode))
        };
        let pending = Pending::new(&self.events);
        let concerned = self.conditions.iter().filter(|(id, watched)| watched.sources.include(id, event));
        concerned
            .filter_map(|(id, watched)| {
                let scene = self.scenes.get(id).filter(active)?;
                let look = |after| {
                    let mut moment = Moment {
                        hub: self,
                        pending: &pending,
                        scene: id,
                        event,
                        after,
                        now_ms,
                        due: &watched.due,
                        ticks: 0,
                    };
                    watched.conditions.iter().map(|condition| moment.holds(condition)).collect::<Vec<_>>()
                };
                Some((id.clone(), part_after(scene, &look(false), &look(true))?))
            })
            .collect()
    }

    /// Returns the item of a device with this name.
    pub(crate) fn item_named(&self, device: &DeviceId, name: &str) -> Option<&Item> {
        self.items_of(device).find(|item| item.name.as_deref() == Some(name))
    }
}
