//! Signals of scenes: the results of function blocks, and of blocks that other conditions read (d22, pi).
//!
//! A result changes after the event that causes it, as an event of its own. Inferred: all conditions inside of a function must
//! hold; a condition without duration, such as a press of a button, ends at once; a latch and a follower begin with the
//! conditions that hold when the scene is stored.

use std::collections::HashSet;

use ezlo_protocol::hub::SceneId;
use ezlo_protocol::hub::scene::Function;

use crate::context::{Context, Timer};
use crate::hub::Hub;
use crate::hub::scene_moment::{Moment, Pending};
use crate::state::scene_events::Event;
use crate::state::signals::{SignalSource, SignalState, block_key};
use crate::state::watched_scene::Watched;

/// A change of the conditions inside of a function or of a block.
#[derive(Debug, Clone, Copy)]
struct Edge {
    /// They began to hold.
    rose: bool,
    /// They have ended to hold. A condition without duration begins and ends at once.
    fell: bool,
    /// They hold after the event.
    level: bool,
}

impl Hub {
    /// Returns the result of a block or function.
    pub(crate) fn signal(&self, scene: &SceneId, key: &str) -> bool {
        self.signals.get(scene).and_then(|of_scene| of_scene.get(key)).is_some_and(|state| state.output)
    }

    /// Returns whether the result of a block or function is known.
    pub(crate) fn has_signal(&self, scene: &SceneId, key: &str) -> bool {
        self.signals.get(scene).is_some_and(|of_scene| of_scene.contains_key(key))
    }

    /// Returns the phase of the present alarm.
    pub(crate) fn alarm_phase(&self) -> &str {
        self.modes.alarm.as_ref().map_or("idle", |alarm| alarm.phase.as_str())
    }

    /// Returns whether a timer of a function may still have an effect.
    pub(crate) fn signal_waits(&self, scene: &SceneId, key: &str, generation: u64) -> bool {
        self.signals
            .get(scene)
            .and_then(|of_scene| of_scene.get(key))
            .is_some_and(|state| state.generation == generation)
    }

    /// Returns the blocks that conditions of any scene read, by scene and id.
    fn read_blocks(&self) -> HashSet<(&SceneId, &str)> {
        let references = self.conditions.values().flat_map(|watched| &watched.references);
        references.map(|(scene, block)| (scene, block.as_str())).collect()
    }

    /// Sets the results of all scenes after a restart. Results that refer to those of other scenes need a second round.
    pub(crate) fn begin_all_signals(&mut self, context: &mut Context<'_>) {
        let scenes: Vec<SceneId> = self.conditions.keys().cloned().collect();
        for id in scenes.iter().chain(&scenes) {
            self.begin_signals(id, context);
        }
    }

    /// Sets the results of a scene as they are without an event. Also those of blocks that its conditions read.
    pub(crate) fn begin_signals(&mut self, id: &SceneId, context: &mut Context<'_>) {
        self.signals.remove(id);
        let Some(watched) = self.conditions.get(id) else { return };
        let read = self.read_blocks();
        // Inner results before outer ones, which read them: the collector lists an outer one first.
        let own = watched.signals.iter().rev().filter(|source| is_needed(&read, id, source));
        let own = own.map(|source| (id.clone(), source.key.clone(), source.function));
        let referenced = watched.references.iter().map(|(scene, block)| (scene.clone(), block_key(block), None));
        let begun: Vec<(SceneId, String, Option<Function>)> = referenced.chain(own).collect();
        for (scene, key, function) in begun {
            let Some(level) = self.level(&scene, &key, context.now_ms) else { continue };
            // The other functions need an edge or time.
            let output =
                level && matches!(function, None | Some(Function::Follow { .. } | Function::Latch { enabled: true }));
            let state = SignalState { output, inner: level, since_ms: context.now_ms, ..SignalState::default() };
            self.signals.entry(scene.clone()).or_default().insert(key.clone(), state);
            if let (true, Some(Function::HeldFor { seconds })) = (level, function) {
                self.set_signal_timer(&scene, &key, seconds, context);
            }
        }
    }

    /// Returns whether the conditions of a source hold without an event; `None` if the scene has no such source.
    fn level(&self, scene: &SceneId, key: &str, now_ms: i64) -> Option<bool> {
        let watched = self.conditions.get(scene)?;
        let source = watched.signals.iter().find(|source| source.key == key)?;
        let pending = Pending::new(&self.events);
        Some(self.source_holds(scene, watched, source, &neutral(), &pending, (true, now_ms)))
    }

    fn source_holds(
        &self,
        scene: &SceneId,
        watched: &Watched,
        source: &SignalSource,
        event: &Event,
        pending: &Pending<'_>,
        (after, now_ms): (bool, i64),
    ) -> bool {
        let mut moment = Moment {
            hub: self,
            pending,
            scene,
            event,
            after,
            now_ms,
            due: &watched.due,
            ticks: source.ticks,
            functions: source.functions,
        };
        // All conditions are evaluated, because each time condition must be counted.
        source.conditions.iter().filter(|condition| !moment.holds(condition)).count() == 0
    }

    /// Updates the results that an event changes. Each change is an event of its own.
    pub(crate) fn update_signals(&mut self, event: &Event, context: &mut Context<'_>) {
        let pending = Pending::new(&self.events);
        let neutral = neutral();
        let mut edges = Vec::new();
        let read = self.read_blocks();
        let concerned = self.conditions.iter().filter(|(id, watched)| watched.sources.include(id, event));
        for (id, watched) in concerned {
            for source in watched.signals.iter().filter(|source| is_needed(&read, id, source)) {
                let holds = |event: &Event, after: bool| {
                    self.source_holds(id, watched, source, event, &pending, (after, context.now_ms))
                };
                let (before, after, level) = (holds(event, false), holds(event, true), holds(&neutral, true));
                let rose = !before && after;
                let edge = Edge { rose, fell: (before || rose) && !level, level };
                edges.push((id.clone(), source.key.clone(), source.function, edge));
            }
        }
        for (scene, key, function, edge) in edges {
            self.advance_signal(&scene, &key, function, edge, context);
        }
    }

    /// Applies a change of the conditions inside to a result.
    fn advance_signal(
        &mut self,
        scene: &SceneId,
        key: &str,
        function: Option<Function>,
        edge: Edge,
        context: &mut Context<'_>,
    ) {
        let state = self.signals.entry(scene.clone()).or_default().entry(key.to_owned()).or_default();
        state.inner = edge.level;
        if edge.rose {
            state.since_ms = context.now_ms;
        }
        let held_ms = context.now_ms.saturating_sub(state.since_ms);
        let mut outputs: Vec<bool> = Vec::new();
        let mut timer = None;
        match function {
            None => {
                outputs.extend(edge.rose.then_some(true));
                outputs.push(edge.level);
            }
            Some(Function::HeldFor { seconds }) => {
                if edge.rose {
                    outputs.extend((seconds == 0).then_some(true));
                    timer = (seconds > 0 && edge.level).then_some(seconds);
                }
                if edge.fell {
                    state.generation += 1;
                    outputs.push(false);
                }
            }
            Some(Function::EndedWithin { seconds }) => {
                let is_short = edge.fell && held_ms < millis(seconds);
                outputs.extend(is_short.then_some([true, false]).into_iter().flatten());
            }
            Some(Function::Repeated { times, seconds }) => {
                if edge.rose && state.counts(times, seconds, context.now_ms) {
                    outputs.extend([true, false]);
                }
            }
            Some(Function::Follow { delay_s }) => {
                if edge.rose {
                    state.generation += 1;
                    outputs.push(true);
                }
                if edge.fell {
                    outputs.extend((delay_s == 0).then_some(false));
                    timer = (delay_s > 0).then_some(delay_s);
                }
            }
            Some(Function::Pulse { true_s, .. }) => {
                if edge.rose {
                    state.pulses = 1;
                    outputs.push(true);
                    timer = Some(true_s);
                } else if edge.fell {
                    state.generation += 1;
                    outputs.push(false);
                }
            }
            Some(Function::Latch { enabled }) => outputs.extend((edge.rose && enabled).then_some(true)),
            Some(_) => {}
        }
        for output in outputs {
            self.set_signal(scene, key, output, context);
        }
        if let Some(seconds) = timer {
            self.set_signal_timer(scene, key, seconds, context);
        }
    }

    /// Sets a result, with an event if it changes.
    fn set_signal(&mut self, scene: &SceneId, key: &str, output: bool, context: &mut Context<'_>) {
        let Some(state) = self.signals.get_mut(scene).and_then(|of_scene| of_scene.get_mut(key)) else { return };
        // Conditions on each other's results could change for ever.
        if state.output == output || !context.work.take_signal() {
            return;
        }
        let before = std::mem::replace(&mut state.output, output);
        self.events.push_back(Event::Signal { scene: scene.clone(), signal: key.to_owned(), before });
    }

    fn set_signal_timer(&mut self, scene: &SceneId, key: &str, seconds: u64, context: &mut Context<'_>) {
        let Some(state) = self.signals.get_mut(scene).and_then(|of_scene| of_scene.get_mut(key)) else { return };
        // A number that no earlier timer had, also not that of an earlier version of the scene.
        self.counter += 1;
        state.generation = self.counter;
        let timer = Timer::SceneSignal { scene: scene.clone(), signal: key.to_owned(), generation: state.generation };
        context.later(seconds.saturating_mul(1000), timer);
    }

    /// Handles the timer of a function.
    pub(crate) fn signal_due(&mut self, scene: &SceneId, key: &str, generation: u64, context: &mut Context<'_>) {
        if !self.signal_waits(scene, key, generation) {
            return;
        }
        let source = self.conditions.get(scene).and_then(|watched| watched.signals.iter().find(|one| one.key == key));
        let function = source.and_then(|source| source.function);
        let Some(state) = self.signals.get_mut(scene).and_then(|of_scene| of_scene.get_mut(key)) else { return };
        match function {
            Some(Function::HeldFor { .. }) => self.set_signal(scene, key, true, context),
            Some(Function::Follow { .. }) => self.set_signal(scene, key, false, context),
            Some(Function::Pulse { false_s, times, .. }) if state.output => {
                let goes_on = state.inner && false_s > 0 && times.is_none_or(|times| state.pulses < times);
                self.set_signal(scene, key, false, context);
                if goes_on {
                    self.set_signal_timer(scene, key, false_s, context);
                }
            }
            Some(Function::Pulse { true_s, .. }) => {
                state.pulses += 1;
                self.set_signal(scene, key, true, context);
                self.set_signal_timer(scene, key, true_s, context);
            }
            _ => {}
        }
    }

    /// Resets the latch of a block, or all latches of a scene. Returns false if there is none.
    pub(crate) fn reset_latches(&mut self, scene: &SceneId, block: Option<&str>, context: &mut Context<'_>) -> bool {
        let Some(watched) = self.conditions.get(scene) else { return false };
        let is_latch = |source: &&SignalSource| {
            matches!(source.function, Some(Function::Latch { .. }))
                && block.is_none_or(|block| source.block.as_deref() == Some(block))
        };
        let keys: Vec<String> = watched.signals.iter().filter(is_latch).map(|source| source.key.clone()).collect();
        for key in &keys {
            self.set_signal(scene, key, false, context);
        }
        !keys.is_empty()
    }
}

impl SignalState {
    /// Counts a start. Returns whether there were enough within the time, and forgets them then.
    fn counts(&mut self, times: u64, seconds: u64, now_ms: i64) -> bool {
        self.starts.push_back(now_ms);
        while self.starts.front().is_some_and(|start| now_ms.saturating_sub(*start) > millis(seconds)) {
            self.starts.pop_front();
        }
        let is_enough = self.starts.len() as u64 >= times;
        if is_enough {
            self.starts.clear();
        }
        is_enough
    }
}

/// Returns whether the result of a source is used: that of a function always is, that of a block if a condition reads it.
fn is_needed(read: &HashSet<(&SceneId, &str)>, scene: &SceneId, source: &SignalSource) -> bool {
    source.function.is_some() || source.block.as_deref().is_some_and(|block| read.contains(&(scene, block)))
}

fn millis(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX)
}

/// Returns an event that concerns no scene.
fn neutral() -> Event {
    Event::Tick { scene: SceneId::default(), tick: usize::MAX, due_ms: None }
}
