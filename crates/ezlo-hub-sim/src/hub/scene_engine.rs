//! Triggers of scenes: an event starts a scene if a condition holds after the event and did not hold before it.
//!
//! Every condition is evaluated against the state before and after the event. Comparisons therefore fire once each time they
//! begin to hold (guide20:p25-27), in every nesting of `and`, `or` and `not`, without stored results. Events are evaluated one
//! by one: for each, those still in the queue have not happened yet. Scenes that do not read what has changed are skipped.

use ezlo_protocol::hub::item::Item;
use ezlo_protocol::hub::scene::{Scene, ScenePart};
use ezlo_protocol::hub::{DeviceId, SceneId};

use crate::context::{Context, Timer};
use crate::hub::Hub;
use crate::hub::scene_moment::{Moment, Pending};
use crate::state::scene_events::Event;

/// Maximum number of runs that the events of one call or timer start, so that scenes that trigger each other end.
const MAX_CHAIN: usize = 128;

/// Maximum number of conditions that one call or timer evaluates before the hub is released: about 10 ms. The remaining events
/// are left to a timer that is due at once.
const MAX_EVALUATIONS: usize = 100_000;

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
        let mut evaluations = 0;
        loop {
            self.note_states();
            let Some(event) = self.events.pop_front() else { break };
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
            self.update_signals(&event, context);
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

    /// Queues events if the connection to the cloud, the alarm or the pending mode switch has changed.
    fn note_states(&mut self) {
        let connected = self.wifi.is_connected();
        let known = self.cloud_known.replace(connected);
        if known.is_some_and(|known| known != connected) {
            self.events.push_back(Event::Cloud { connected });
        }
        let is_on_network = self.wifi.on_network();
        let known = self.network_known.replace(is_on_network);
        if known.is_some_and(|known| known != is_on_network) {
            self.events.push_back(Event::Network { connected: is_on_network });
        }
        if self.alarm_known != self.alarm_phase() {
            let now = self.alarm_phase().to_owned();
            let before = std::mem::replace(&mut self.alarm_known, now);
            self.events.push_back(Event::Alarm { before });
        }
        let is_switching = self.modes.pending.is_some();
        let before = std::mem::replace(&mut self.switching_known, is_switching);
        if before != is_switching {
            self.events.push_back(Event::Switching { before });
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
                        functions: 0,
                    };
                    let results: Vec<bool> =
                        watched.conditions.iter().map(|condition| moment.holds(condition)).collect();
                    // Exceptions are evaluated after all conditions, whose time conditions are counted first.
                    let excepted = watched.exceptions.iter().filter(|condition| moment.holds(condition)).count();
                    (results, excepted > 0)
                };
                let ((before, _), (after, excepted)) = (look(false), look(true));
                let part = part_after(scene, &before, &after).filter(|_| !excepted)?;
                Some((id.clone(), part))
            })
            .collect()
    }

    /// Returns the item of a device with this name.
    pub(crate) fn item_named(&self, device: &DeviceId, name: &str) -> Option<&Item> {
        let name = self.variants.name(name);
        self.items_of(device).find(|item| item.name.as_deref() == Some(name))
    }
}
