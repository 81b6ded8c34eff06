//! Scenes that run: their actions one after another, with delays, and what is told of it.

use std::collections::BTreeMap;

use ezlo_protocol::hub::device::DeviceUpdate;
use ezlo_protocol::hub::scene::{Action, Block, BlockValue, RunStatus, SceneProgress, SceneRun};
use ezlo_protocol::hub::{Empty, ItemId, SceneId};
use ezlo_protocol::rpc::RpcError;
use serde_json::Value;

use super::dispatch::{Answer, done, not_found};
use super::{Context, HttpCall, Hub, Timer, modes};

/// Scenes that run at the same time; one that is started beyond them is refused.
const MAX_RUNS: usize = 100;
/// Actions that one call or timer may start, counted over all nested runs. Without it, a scene that runs itself twice starts
/// 2^32 runs. A house has scenes of a few dozen actions; each action costs a hub about 10 us and each listener a message.
const MAX_ACTIONS: usize = 500;
/// Bytes of the actions that one call or timer may start: every start copies them. One scene of the longest message fits.
const MAX_ACTION_BYTES: usize = 1 << 20;
/// A step of `decreaseDimmer`, in percent (inferred).
const DIMMER_STEP: i64 = 10;

/// Scenes that are running.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Runs {
    next: u64,
    running: BTreeMap<u64, Run>,
    /// Counts restarts: a run does not outlive the one that it asked for.
    restarts: u64,
}

/// A scene that is running: its actions as they were when it started.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Run {
    scene: SceneId,
    progress: SceneProgress,
    actions: Vec<Block>,
    at: usize,
    failed: bool,
}

impl Hub {
    pub(super) fn scene_run(&mut self, wish: SceneRun, context: &mut Context<'_>) -> Answer<Empty> {
        if !self.scenes.contains_key(&wish.scene_id) {
            return Err(not_found("ezlo.scenes.not.exist"));
        }
        if self.start_run(&wish.scene_id, false, context) {
            done()
        } else {
            Err(RpcError::known("ezlo.rpc.call.queue.overflow"))
        }
    }

    /// Starts a scene's actions, or those of its `else`; false when too many scenes run.
    pub(super) fn start_run(&mut self, id: &SceneId, otherwise: bool, context: &mut Context<'_>) -> bool {
        let Some(scene) = self.scenes.get(id) else { return true };
        // A run that executes its actions right now is not in the map.
        if self.runs.running.len() + context.nested >= MAX_RUNS {
            return false;
        }
        let blocks = if otherwise { &scene.otherwise } else { &scene.then };
        if !context.work.take_actions(blocks.get().map_or(&[], Vec::as_slice)) {
            return false;
        }
        let counts = |block: &&Block| block.enabled.get() != Some(&false);
        let actions: Vec<Block> = blocks.get().into_iter().flatten().filter(counts).cloned().collect();
        let room = scene.parent_id.get().filter(|room| !room.is_none());
        let progress = SceneProgress {
            scene_id: id.clone().into(),
            scene_name: scene.name.as_deref().unwrap_or_default().into(),
            notifications: scene.user_notifications.get().cloned().unwrap_or_default().into(),
            room_id: room.cloned().into(),
            room_name: room.map(|room| self.room_name(Some(room)).to_owned()).into(),
            ..SceneProgress::default()
        };
        let run = Run { scene: id.clone(), progress, actions, at: 0, failed: false };
        run.tell(RunStatus::Started, context);
        self.runs.next += 1;
        let number = self.runs.next;
        let wait = run.actions.first().map_or(0, wait_ms);
        self.runs.running.insert(number, run);
        if wait == 0 {
            self.scene_step(number, context);
        } else {
            context.later(wait, Timer::SceneAction(number));
        }
        true
    }

    /// Does the actions that are due, up to the next delay or the end.
    pub(super) fn scene_step(&mut self, number: u64, context: &mut Context<'_>) {
        while let Some(mut run) = self.runs.running.remove(&number) {
            let Some(action) = run.actions.get(run.at).cloned() else {
                run.tell(if run.failed { RunStatus::Failed } else { RunStatus::Finished }, context);
                return;
            };
            let restarts = self.runs.restarts;
            run.failed |= !self.act(&action, context);
            if self.runs.restarts != restarts {
                return;
            }
            run.at += 1;
            let wait = run.actions.get(run.at).map_or(0, wait_ms);
            self.runs.running.insert(number, run);
            if wait > 0 {
                context.later(wait, Timer::SceneAction(number));
                return;
            }
        }
    }

    /// Ends all runs of a scene; timers that still wait for them do nothing.
    pub(super) fn scene_stop(&mut self, wish: SceneRun, context: &mut Context<'_>) -> Answer<Empty> {
        if !self.scenes.contains_key(&wish.scene_id) {
            return Err(not_found("ezlo.scenes.not.exist"));
        }
        self.stop_runs(&wish.scene_id, context);
        done()
    }

    /// Forgets what runs, without a word: the hub restarts.
    pub(super) fn stop_everything(&mut self) {
        self.runs.running.clear();
        self.runs.restarts += 1;
        self.zwave.interrupt();
    }

    pub(super) fn stop_runs(&mut self, scene: &SceneId, context: &mut Context<'_>) {
        let numbers: Vec<u64> =
            self.runs.running.iter().filter(|(_, run)| run.scene == *scene).map(|(number, _)| *number).collect();
        for number in numbers {
            if let Some(run) = self.runs.running.remove(&number) {
                run.tell(RunStatus::Stopped, context);
            }
        }
    }

    /// Does one action; false when it cannot be done.
    fn act(&mut self, action: &Block, context: &mut Context<'_>) -> bool {
        match action.action() {
            Action::Set { item, value } => self.set_by_scene(&item, &value, context),
            Action::Toggle(item) => match self.items.get(&item).and_then(|item| item.value.get()) {
                Some(Value::Bool(on)) => {
                    let turned = BlockValue::from(!on);
                    self.set_by_scene(&item, &turned, context)
                }
                _ => false,
            },
            Action::DecreaseDimmer(item) => {
                match self.items.get(&item).and_then(|item| item.value.get()).and_then(Value::as_i64) {
                    Some(level) => self.set_by_scene(&item, &BlockValue::from((level - DIMMER_STEP).max(0)), context),
                    None => false,
                }
            }
            Action::SetArmed { device, armed } => {
                self.change_device(&device, DeviceUpdate { armed: armed.into(), ..DeviceUpdate::default() }, context)
            }
            Action::SwitchMode(mode) => match modes::position(&mode) {
                Some(to) => {
                    self.switch_mode(to, context);
                    true
                }
                None => false,
            },
            // A scene that runs itself would never end.
            Action::RunScene(scene) => {
                let known = self.scenes.contains_key(&scene) && context.nested < MAX_NESTED;
                context.nested += 1;
                let started = known && self.start_run(&scene, false, context);
                context.nested -= 1;
                started
            }
            Action::SetSceneEnabled { scene, enabled } => self.enable_scene(&scene, enabled, context),
            Action::HttpRequest { method, url, content_type, content } => {
                let known = HTTP_METHODS.contains(&method.as_str());
                let goes = known && context.effects.http.len() < MAX_RUNS;
                if goes {
                    context.effects.http.push(HttpCall { method, url, content_type, content });
                }
                goes
            }
            Action::Reboot => {
                self.restart(context);
                true
            }
            Action::Unknown(_) | _ => false,
        }
    }

    fn set_by_scene(&mut self, id: &ItemId, wanted: &BlockValue, context: &mut Context<'_>) -> bool {
        match self.accepted(id, wanted.value.clone(), wanted.scale.as_ref()) {
            Ok(value) => {
                self.set_value(id, value, context);
                true
            }
            Err(_) => false,
        }
    }
}

/// Work of scenes that one call or timer has caused, so that none holds its hub without bound.
#[derive(Debug, Default, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(super) struct SceneWork {
    actions: usize,
    action_bytes: usize,
    /// Runs that events have started.
    pub(super) triggered: usize,
    /// A refused run was logged.
    warned: bool,
}

impl SceneWork {
    /// Counts the actions of a run that is about to start; false when they exceed a bound.
    fn take_actions(&mut self, actions: &[Block]) -> bool {
        self.actions = self.actions.saturating_add(actions.len().max(1));
        if self.actions <= MAX_ACTIONS {
            self.action_bytes = self.action_bytes.saturating_add(encoded_len(&actions));
        }
        self.actions <= MAX_ACTIONS && self.action_bytes <= MAX_ACTION_BYTES
    }

    /// Logs the first run that is refused: a hostile call causes hundreds.
    pub(super) fn warn_once(&mut self, hub: &str, scene: &SceneId) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(%hub, %scene, "too many scene actions at once; this scene and further ones do not start");
        }
    }

    /// The larger count of both, for work that is continued beside other work.
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            actions: self.actions.max(other.actions),
            action_bytes: self.action_bytes.max(other.action_bytes),
            triggered: self.triggered.max(other.triggered),
            warned: self.warned || other.warned,
        }
    }
}

/// Length of a value as JSON, without building the text.
pub(super) fn encoded_len(value: &impl serde::Serialize) -> usize {
    struct Counter(usize);

    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(0);
    // A value that cannot be written counts as too long.
    serde_json::to_writer(&mut counter, value).map_or(usize::MAX, |()| counter.0)
}

/// Runs inside runs.
const MAX_NESTED: usize = 32;

/// Methods of HTTP that an action may use.
const HTTP_METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"];

fn wait_ms(action: &Block) -> u64 {
    action.delay.get().map_or(0, |delay| delay.total_seconds().saturating_mul(1000))
}

impl Run {
    /// `userNotification` is false for the start only (captures).
    fn tell(&self, status: RunStatus, context: &mut Context<'_>) {
        let progress = SceneProgress {
            user_notification: (status != RunStatus::Started).into(),
            status: status.into(),
            ..self.progress.clone()
        };
        context.broadcast("hub.scene.run.progress", &progress);
    }
}
