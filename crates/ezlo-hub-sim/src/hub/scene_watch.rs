//! Decoded conditions of scenes and the timers of their time conditions.

use ezlo_protocol::hub::SceneId;
use ezlo_protocol::hub::scene::Condition;

use crate::context::{Context, Timer};
use crate::hub::Hub;
use crate::state::scene_events::Event;
use crate::state::watched_scene::Watched;

/// Longest delay of a timer after which the times in between are still due, in milliseconds: an hour. After a longer pause, for
/// example without power, only the next time is due.
const LATE_MS: i64 = 3_600_000;

impl Hub {
    /// Decodes the conditions of a scene and sets the timers of its time conditions. Required after every change.
    pub(crate) fn watch_scene(&mut self, id: &SceneId, context: &mut Context<'_>) {
        self.decode_scene(id, context);
        context.effects.scene_bytes = Some(self.scene_bytes());
    }

    fn decode_scene(&mut self, id: &SceneId, context: &mut Context<'_>) {
        let Some(scene) = self.scenes.get(id) else {
            self.conditions.shift_remove(id);
            self.signals.remove(id);
            self.scene_generations.remove(id);
            return;
        };
        let watched = Watched::new(scene);
        self.counter += 1;
        self.scene_generations.insert(id.clone(), self.counter);
        let due: Vec<Option<i64>> =
            watched.times().into_iter().map(|condition| self.next_time(condition, context.now_ms)).collect();
        self.conditions.insert(id.clone(), watched);
        for (tick, due) in due.into_iter().enumerate() {
            self.set_tick(id, tick, due, context);
        }
        self.begin_signals(id, context);
    }

    /// Decodes the conditions of every watched scene.
    pub(crate) fn read_conditions(&mut self) {
        let watched = self.scenes.iter().filter(|(id, _)| self.scene_generations.contains_key(*id));
        self.conditions = watched.map(|(id, scene)| (id.clone(), Watched::new(scene))).collect();
    }

    pub(crate) fn watch_scenes(&mut self, context: &mut Context<'_>) {
        for id in self.scenes.keys().cloned().collect::<Vec<_>>() {
            self.watch_scene(&id, context);
        }
    }

    /// Resets the timers of scenes that start at a time of day, sunrise or sunset. Call it after the clock was changed.
    ///
    /// No network traffic and no broadcasts. Leaves the new timers in the context. The older timers of these scenes have no
    /// effect from then on.
    pub fn watch_times_of_day(&mut self, context: &mut Context<'_>) {
        let by_day = |condition: &&Condition| !matches!(condition, Condition::Every(_));
        let scenes = self.conditions.iter().filter(|(_, watched)| watched.times().iter().any(by_day));
        for id in scenes.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.watch_scene(&id, context);
        }
    }

    /// Returns the next due time of a time condition after `last_ms`, the due time that has passed.
    pub(crate) fn next_tick(&self, id: &SceneId, tick: usize, last_ms: Option<i64>, now_ms: i64) -> Option<i64> {
        let condition = self.conditions.get(id)?.times().get(tick).copied()?;
        // A timer can fire late, for example on a fast clock. The times in between are due, too, except after a long pause.
        let from = match last_ms {
            Some(last) if !matches!(condition, Condition::Every(_)) && now_ms - last <= LATE_MS => last,
            _ => now_ms,
        };
        self.next_time(condition, from)
    }

    /// Sets the timer of a time condition of an enabled scene.
    pub(crate) fn set_tick(&mut self, id: &SceneId, tick: usize, due: Option<i64>, context: &mut Context<'_>) {
        let is_enabled = self.scenes.get(id).is_some_and(|scene| scene.enabled.get() != Some(&false));
        let Some(watched) = self.conditions.get_mut(id) else { return };
        let Some(due) = due.filter(|_| is_enabled) else {
            watched.due.remove(&tick);
            return;
        };
        watched.due.insert(tick, due);
        let generation = self.scene_generations.get(id).copied().unwrap_or_default();
        let wait = u64::try_from(due - context.now_ms).unwrap_or_default();
        context.later(wait, Timer::SceneTick { scene: id.clone(), generation, tick, due_ms: Some(due) });
    }

    /// Returns whether a timer may still have an effect, so that others can be removed.
    ///
    /// Only time conditions of changed or deleted scenes are recognised; the result for every other timer is true. Reads the
    /// local state.
    pub fn waits_for(&self, timer: &Timer) -> bool {
        match timer {
            Timer::SceneTick { scene, generation, .. } => self.scene_generations.get(scene) == Some(generation),
            Timer::SceneSignal { scene, signal, generation } => self.signal_waits(scene, signal, *generation),
            _ => true,
        }
    }

    pub(crate) fn scene_tick(&mut self, scene: &SceneId, generation: u64, tick: usize, due_ms: Option<i64>) {
        if self.scene_generations.get(scene) == Some(&generation) {
            self.events.push_back(Event::Tick { scene: scene.clone(), tick, due_ms });
        }
    }
}
