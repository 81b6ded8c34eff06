//! Execution of scenes: their actions in order, with delays, and the broadcasts of their progress.

use ezlo_protocol::hub::device::DeviceUpdate;
use ezlo_protocol::hub::gateway::PluginRun;
use ezlo_protocol::hub::scene::{Action, Block, BlockValue, Expression, RunStatus, ScenePart, SceneProgress, SceneRun};
use ezlo_protocol::hub::{DeviceId, Empty, ItemId, SceneId};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Field;
use serde_json::Value;

use crate::answer::{Answer, done, not_found};
use crate::context::{Context, HttpCall, Timer};
use crate::hub::{Hub, global_scenes};
use crate::state::modes;
use crate::state::scene_events::Event;
use crate::state::scene_runs::Run;

/// Maximum number of scenes that run at the same time; further starts are refused.
const MAX_RUNS: usize = 100;
/// Step of `decreaseDimmer`, in percent (inferred).
const DIMMER_STEP: i64 = 10;

impl Hub {
    pub(crate) fn scene_run(&mut self, request: SceneRun, context: &mut Context<'_>) -> Answer<Empty> {
        if !self.scenes.contains_key(&request.scene_id) {
            return Err(not_found("ezlo.scenes.not.exist"));
        }
        if self.start_run(&request.scene_id, &ScenePart::Then, context) {
            done()
        } else {
            Err(RpcError::known("ezlo.rpc.call.queue.overflow"))
        }
    }

    /// Starts the actions of a part of a scene. Returns false if the part does not exist or a bound is exceeded.
    pub(crate) fn start_run(&mut self, id: &SceneId, part: &ScenePart, context: &mut Context<'_>) -> bool {
        let Some(scene) = self.scenes.get(id) else { return true };
        // A run that is executing its actions is not in the map.
        if self.runs.running.len() + context.nested >= MAX_RUNS {
            return false;
        }
        let blocks = match (scene.actions(part), part) {
            (Some(blocks), _) => blocks,
            (None, ScenePart::Then | ScenePart::Else) => &[],
            (None, _) => return false,
        };
        if !context.work.take_actions(blocks) {
            return false;
        }
        let counts = |block: &&Block| block.enabled.get() != Some(&false);
        let actions: Vec<Block> = blocks.iter().filter(counts).cloned().collect();
        let room = scene.parent_id.get().filter(|room| !room.is_none());
        let progress = SceneProgress {
            scene_id: id.clone().into(),
            scene_name: scene.name.as_deref().unwrap_or_default().into(),
            notifications: scene.user_notifications.get().cloned().unwrap_or_default().into(),
            room_id: room.cloned().into(),
            room_name: room.map(|room| self.room_name(Some(room)).to_owned()).into(),
            ..SceneProgress::default()
        };
        let policy = scene.exec_policy.get().cloned();
        let is_global = self.newer.global_scenes.contains_key(id);
        let run = Run {
            scene: id.clone(),
            is_global,
            progress,
            actions,
            at: 0,
            failed: false,
            succeeded: false,
            policy,
            waits: false,
        };
        run.broadcast(RunStatus::Started, context);
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

    /// Executes the actions that are due, up to the next delay or the end.
    pub(crate) fn scene_step(&mut self, number: u64, context: &mut Context<'_>) {
        while let Some(mut run) = self.runs.running.remove(&number) {
            let Some(action) = run.actions.get(run.at).cloned() else {
                self.end_run(&run, run.result(), context);
                return;
            };
            if !run.waits && self.waits_for_cloud(&action) {
                run.waits = true;
                self.runs.running.insert(number, run);
                context.later(CLOUD_ANSWER_MS, Timer::SceneAction(number));
                return;
            }
            let restarts = self.runs.restarts;
            let is_done = !std::mem::take(&mut run.waits) && self.execute_action(&action, context);
            if self.runs.restarts != restarts {
                return;
            }
            run.succeeded |= is_done;
            run.failed |= !is_done;
            if !is_done && run.checks(&action) {
                self.end_run(&run, RunStatus::Failed, context);
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

    /// Returns whether an action waits for the cloud. The simulated cloud has no abstract devices and does not answer.
    fn waits_for_cloud(&self, action: &Block) -> bool {
        self.wifi.is_connected() && matches!(action.action(), Action::CloudCommand { .. })
    }

    /// Broadcasts the end of a run, which can start other scenes.
    fn end_run(&mut self, run: &Run, status: RunStatus, context: &mut Context<'_>) {
        // The tokens of the broadcast are those of the condition isSceneState.
        let state = status.as_str().into();
        run.broadcast(status, context);
        self.events.push_back(Event::Scene { scene: run.scene.clone(), state });
    }

    /// Stops all runs of a scene. Their timers have no effect from then on.
    pub(crate) fn scene_stop(&mut self, request: SceneRun, context: &mut Context<'_>) -> Answer<Empty> {
        if !self.scenes.contains_key(&request.scene_id) {
            return Err(not_found("ezlo.scenes.not.exist"));
        }
        self.stop_runs(&request.scene_id, context);
        done()
    }

    /// Drops all runs and Z-Wave actions without a broadcast, because the hub restarts.
    pub(crate) fn stop_everything(&mut self) {
        self.runs.running.clear();
        self.runs.restarts += 1;
        // The state of functions is lost at a restart (d22).
        self.signals.clear();
        self.zwave.interrupt();
    }

    pub(crate) fn stop_runs(&mut self, scene: &SceneId, context: &mut Context<'_>) {
        let numbers: Vec<u64> =
            self.runs.running.iter().filter(|(_, run)| run.scene == *scene).map(|(number, _)| *number).collect();
        for number in numbers {
            if let Some(run) = self.runs.running.remove(&number) {
                self.end_run(&run, RunStatus::Stopped, context);
            }
        }
    }

    /// Executes one action. Returns false if it failed.
    fn execute_action(&mut self, action: &Block, context: &mut Context<'_>) -> bool {
        match action.action() {
            Action::Set { item, value } => self.set_by_scene(&item, &value, context),
            Action::Toggle(item) => match self.items.get(&item).and_then(|item| item.value.get()) {
                Some(Value::Bool(on)) => {
                    let turned = BlockValue::from(!on);
                    self.set_by_scene(&item, &turned, context)
                }
                _ => false,
            },
            Action::ToggleVariable(name) => {
                let value = self.newer.expressions.get(&name).and_then(|variable| variable.value.get()?.as_bool());
                value.is_some_and(|on| self.set_variable(&name, Value::Bool(!on), None, context))
            }
            Action::SetVariable { name, value, value_type } => self.set_variable(&name, value, value_type, context),
            action @ (Action::GroupSet { .. } | Action::GroupToggle { .. } | Action::GroupSetArmed { .. }) => {
                self.execute_group_action(&action, context)
            }
            Action::StopScene(scene) => {
                let is_known = self.scenes.contains_key(&scene);
                self.stop_runs(&scene, context);
                is_known
            }
            Action::ResetHub(kind) => match kind.as_str() {
                "factory" => {
                    self.factory_reset(context);
                    true
                }
                // The difference of a hard restart is not known (inferred).
                "soft" | "hard" => {
                    self.restart(context);
                    true
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
            action => self.execute_scene_action(action, context),
        }
    }

    /// Executes an action on scenes, scripts, the cloud or the hub. Returns false if it failed.
    fn execute_scene_action(&mut self, action: Action, context: &mut Context<'_>) -> bool {
        match action {
            // The nesting is bounded, because a scene that runs itself would never end.
            Action::RunScene { scene, part } => {
                let known = self.scenes.contains_key(&scene) && context.nested < MAX_NESTED;
                context.nested += 1;
                let started = known && self.start_run(&scene, &part, context);
                context.nested -= 1;
                started
            }
            Action::SetSceneEnabled { scene, enabled } => {
                // The scene is copied for its broadcast.
                context.work.take_bytes(self.bytes_of_scene(&scene)) && self.enable_scene(&scene, enabled, context)
            }
            Action::HttpRequest { method, url, content_type, content, headers, credential } => {
                let known = HTTP_METHODS.contains(&method.as_str());
                let goes = known && context.effects.http.len() < MAX_RUNS;
                if goes {
                    context.effects.http.push(HttpCall { method, url, content_type, content, headers, credential });
                }
                goes
            }
            Action::Reboot => {
                self.restart(context);
                true
            }
            Action::SetExpression { name, code, value_type, metadata, params } => {
                let known = self.newer.expressions.get(&name).cloned().unwrap_or_default();
                let expression = Expression {
                    name: name.into(),
                    code: code.into(),
                    value_type: value_type.map_or(known.value_type, Field::from),
                    metadata: metadata.map_or(known.metadata, Field::from),
                    params: params.map_or(known.params, Field::from),
                    variable: Field::Absent,
                    value: Field::Absent,
                    ..Expression::default()
                };
                self.expression_set(expression, context).is_ok()
            }
            Action::RunPluginScript { script, params } => {
                let params = params.and_then(|params| ezlo_protocol::wire::from_value(&params).ok());
                let request = PluginRun { script, script_params: params.into(), ..PluginRun::default() };
                self.plugin_run(request, context).is_ok()
            }
            Action::ResetLatches { scene, block } => self.reset_latches(&scene, block.as_deref(), context),
            // There is no link to the cloud, no Lua, or no known action.
            Action::CloudCommand { .. } | Action::RunScript(_) | Action::Unknown(_) | _ => false,
        }
    }

    /// Executes an action on the devices of a group. Returns false if it changed none.
    fn execute_group_action(&mut self, action: &Action, context: &mut Context<'_>) -> bool {
        match action {
            Action::GroupSet { devices, items, value } => {
                let items = self.items_for_action(devices, items, context);
                let set: Vec<bool> = items.iter().map(|item| self.set_by_scene(item, value, context)).collect();
                set.contains(&true)
            }
            Action::GroupToggle { devices, items } => {
                let mut is_any_set = false;
                for item in self.items_for_action(devices, items, context) {
                    if let Some(Value::Bool(on)) = self.items.get(&item).and_then(|item| item.value.get()) {
                        let turned = BlockValue::from(!on);
                        is_any_set |= self.set_by_scene(&item, &turned, context);
                    }
                }
                is_any_set
            }
            Action::GroupSetArmed { devices, armed } => {
                let mut is_any_set = false;
                for device in self.devices_for_action(devices, context) {
                    let update = DeviceUpdate { armed: (*armed).into(), ..DeviceUpdate::default() };
                    is_any_set |= self.change_device(&device, update, context);
                }
                is_any_set
            }
            _ => false,
        }
    }

    /// Returns the devices of a group for an action, at most as many as the limit of actions leaves.
    fn devices_for_action(&self, group: &str, context: &mut Context<'_>) -> Vec<DeviceId> {
        if !context.work.take(self.scan_work(group)) {
            return Vec::new();
        }
        let mut devices = self.devices_of_group(group);
        devices.truncate(context.work.take_up_to(devices.len()));
        devices
    }

    /// Returns the items of a group of items on the devices of a group, like [`devices_for_action`](Self::devices_for_action).
    fn items_for_action(&self, devices: &str, items: &str, context: &mut Context<'_>) -> Vec<ItemId> {
        if !context.work.take(self.scan_work(devices)) {
            return Vec::new();
        }
        let mut items = self.items_of_groups(devices, items);
        items.truncate(context.work.take_up_to(items.len()));
        items
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

impl Run {
    /// Returns the end of a run whose actions have all been executed.
    ///
    /// With a policy that ignores results, a run is a failure only if all actions have failed (d22). Without a policy, one failed
    /// action suffices (firmware of 2020).
    fn result(&self) -> RunStatus {
        match (self.failed, self.succeeded, &self.policy) {
            (false, ..) => RunStatus::Finished,
            (true, true, Some(_)) => RunStatus::PartiallyFinished,
            (true, ..) => RunStatus::Failed,
        }
    }

    /// Returns whether a failed action ends the run. The policy of the action precedes that of the scene (d22).
    fn checks(&self, action: &Block) -> bool {
        action.exec_policy.as_deref().or(self.policy.as_deref()) == Some(CHECK_RESULT)
    }
}

/// The policy that ends a run at the first failed action (d22). The token that ignores results is not known.
const CHECK_RESULT: &str = "check_result";
/// Maximum time that a run waits for an answer of the cloud, in milliseconds (d22).
const CLOUD_ANSWER_MS: u64 = 60_000;

/// Maximum nesting depth of runs.
const MAX_NESTED: usize = 32;

/// HTTP methods that an action may use.
const HTTP_METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"];

/// Returns the delay before an action, in milliseconds.
fn wait_ms(action: &Block) -> u64 {
    action.delay.get().map_or(0, |delay| delay.total_seconds().saturating_mul(1000))
}

impl Run {
    /// Broadcasts the progress of the run. `userNotification` is false for the start only (captures).
    fn broadcast(&self, status: RunStatus, context: &mut Context<'_>) {
        let progress = SceneProgress {
            user_notification: (status != RunStatus::Started).into(),
            status: status.into(),
            ..self.progress.clone()
        };
        if self.is_global {
            context.broadcast("hub.scene.global.run.progress", &global_scenes::progress(&progress));
        } else {
            context.broadcast("hub.scene.run.progress", &progress);
        }
    }
}
