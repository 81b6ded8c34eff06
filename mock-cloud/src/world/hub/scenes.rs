//! Scenes: kept, and run on demand with their delays.

use std::collections::BTreeMap;

use ezlo_protocol::hub::scene::{
    Block, BlockField, BlockMethod, BlockOptions, Delay, RunStatus, Scene, SceneEdit, SceneList, SceneProgress,
    SceneRef, SceneRun,
};
use ezlo_protocol::hub::{Empty, ItemId, RoomId, SceneId};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Field;
use serde_json::{Value, json};

use super::dispatch::{Answer, done, missing, not_found};
use super::{Context, Hub, MAX_SCENES, Timer};
use crate::world::file::SceneFile;

/// Scenes that run at the same time; one that is started beyond them is refused.
const MAX_RUNS: usize = 100;

/// Longest name of a scene, in characters (guide20:p37).
const SCENE_NAME: usize = 25;

/// Scenes that are running.
#[derive(Debug, Default)]
pub(super) struct Runs {
    next: u64,
    running: BTreeMap<u64, Run>,
}

/// A scene that is running: its actions as they were when it started.
#[derive(Debug)]
struct Run {
    scene: SceneId,
    name: String,
    actions: Vec<Block>,
    at: usize,
    failed: bool,
}

impl Hub {
    pub(super) fn scenes_list(&self, _: Empty, _: &Context<'_>) -> Answer<SceneList> {
        Ok(SceneList { scenes: self.scenes.values().cloned().collect(), ..SceneList::default() })
    }

    pub(super) fn scene_get(&self, wish: SceneRef, _: &Context<'_>) -> Answer<Scene> {
        self.scenes.get(&scene_id(wish)?).cloned().ok_or_else(|| not_found("ezlo.scenes.not.exist"))
    }

    /// The answer is empty; the new id travels only in the broadcast (guide20:p41).
    pub(super) fn scene_create(&mut self, wish: Scene, context: &mut Context<'_>) -> Answer<Empty> {
        check(&wish)?;
        if self.scenes.len() >= MAX_SCENES {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        let id = SceneId::from(self.new_id());
        let mut scene = wish;
        scene.id = id.clone().into();
        fill(&mut scene);
        tell_scene("hub.scene.added", &scene, context);
        self.scenes.insert(id, scene);
        done()
    }

    pub(super) fn scene_edit(&mut self, wish: SceneEdit, context: &mut Context<'_>) -> Answer<Empty> {
        let mut scene = wish.scene.into_option().ok_or_else(|| missing("eo"))?;
        // Older builds read the outer id, newer ones the inner.
        let id = scene.id.get().or_else(|| wish.id.get()).cloned().ok_or_else(|| missing("_id"))?;
        check(&scene)?;
        scene.id = id.clone().into();
        fill(&mut scene);
        let stored = self.scenes.get_mut(&id).ok_or_else(|| not_found("ezlo.scenes.not.exist"))?;
        tell_scene("hub.scene.changed", &scene, context);
        *stored = scene;
        done()
    }

    pub(super) fn scene_delete(&mut self, wish: SceneRef, context: &mut Context<'_>) -> Answer<Empty> {
        let id = scene_id(wish)?;
        self.scenes.shift_remove(&id).ok_or_else(|| not_found("ezlo.scenes.not.exist"))?;
        context.broadcast("hub.scene.deleted", &SceneRef { id: id.into(), ..SceneRef::default() });
        done()
    }

    pub(super) fn scene_run(&mut self, wish: SceneRun, context: &mut Context<'_>) -> Answer<Empty> {
        let scene = self.scenes.get(&wish.scene_id).ok_or_else(|| not_found("ezlo.scenes.not.exist"))?;
        if self.runs.running.len() >= MAX_RUNS {
            return Err(RpcError::known("ezlo.rpc.call.queue.overflow"));
        }
        let run = Run {
            scene: wish.scene_id.clone(),
            name: scene.name.as_deref().unwrap_or_default().to_owned(),
            actions: scene.then.get().cloned().unwrap_or_default(),
            at: 0,
            failed: false,
        };
        tell_run(&run, RunStatus::Started, context);
        self.runs.next += 1;
        let number = self.runs.next;
        let wait = run.actions.first().map_or(0, wait_ms);
        self.runs.running.insert(number, run);
        self.next_action(number, wait, context);
        done()
    }

    fn next_action(&mut self, number: u64, wait_ms: u64, context: &mut Context<'_>) {
        if wait_ms == 0 { self.scene_step(number, context) } else { context.later(wait_ms, Timer::SceneAction(number)) }
    }

    /// Does the actions that are due, up to the next delay or the end.
    pub(super) fn scene_step(&mut self, number: u64, context: &mut Context<'_>) {
        while let Some(mut run) = self.runs.running.remove(&number) {
            let Some(action) = run.actions.get(run.at).cloned() else {
                let status = if run.failed { RunStatus::Failed } else { RunStatus::Finished };
                tell_run(&run, status, context);
                return;
            };
            run.failed |= !self.act(&action, context);
            run.at += 1;
            let wait = run.actions.get(run.at).map_or(0, wait_ms);
            self.runs.running.insert(number, run);
            if wait > 0 {
                context.later(wait, Timer::SceneAction(number));
                return;
            }
        }
    }

    /// Does one action; false when it cannot be done.
    fn act(&mut self, action: &Block, context: &mut Context<'_>) -> bool {
        let item = action.argument("item").and_then(Value::as_str).map(ItemId::from);
        match (action.method(), item, action.argument("value")) {
            (Some("setItemValue"), Some(item), Some(value)) => {
                let good = self.items.get(&item).is_some_and(|item| item.check(value).is_ok());
                if good {
                    self.set_value(&item, value.clone(), context);
                }
                good
            }
            (Some("toggleValue"), Some(item), _) => match self.items.get(&item).and_then(|item| item.value.get()) {
                Some(Value::Bool(on)) => {
                    let value = json!(!on);
                    self.set_value(&item, value, context);
                    true
                }
                _ => false,
            },
            _ => false,
        }
    }

    pub(super) fn add_scene_from_file(&mut self, file: &SceneFile) {
        let then = file.then.iter().filter_map(|action| {
            let device = self.devices.values().find(|device| device.name.as_deref() == Some(&action.device))?.id()?;
            let item = self.items_of(device).find(|item| item.name.as_deref() == Some(&action.item))?;
            let kind = item.value_type.get().map(|kind| kind.as_str().to_owned()).unwrap_or_default();
            Some(set_item(item.id.as_str(), &kind, &action.value, action.delay_seconds))
        });
        let then: Vec<_> = then.collect();
        let id = SceneId::from(self.new_id());
        let mut scene =
            Scene { id: id.clone().into(), name: file.name.as_str().into(), then: then.into(), ..Scene::default() };
        fill(&mut scene);
        self.scenes.insert(id, scene);
    }
}

/// A `setItemValue` action.
fn set_item(item: &str, kind: &str, value: &Value, delay_seconds: u64) -> Block {
    let field = |name: &str, kind: &str, value: Value| BlockField {
        name: name.into(),
        kind: kind.into(),
        value: value.into(),
        ..BlockField::default()
    };
    let args = [("item", json!("item")), ("value", json!("value"))].into_iter().collect::<ezlo_protocol::wire::Extra>();
    let method = BlockMethod { args: args.into(), name: "setItemValue".into(), ..BlockMethod::default() };
    Block {
        options: BlockOptions { method: method.into(), ..BlockOptions::default() }.into(),
        kind: "then".into(),
        fields: vec![field("item", "item", item.into()), field("value", kind, value.clone())].into(),
        delay: match delay_seconds {
            0 => Field::Absent,
            seconds => Delay { seconds: seconds.into(), ..Delay::default() }.into(),
        },
        ..Block::default()
    }
}

fn wait_ms(action: &Block) -> u64 {
    action.delay.get().map_or(0, |delay| delay.total_seconds().saturating_mul(1000))
}

fn scene_id(wish: SceneRef) -> Answer<SceneId> {
    wish.id.into_option().or_else(|| wish.scene_id.into_option()).ok_or_else(|| missing("_id"))
}

/// The errors of create and edit (guide20:p38-39).
fn check(scene: &Scene) -> Answer<()> {
    match scene.name.as_deref() {
        None => return Err(missing("name")),
        Some("") => return Err(RpcError::known("rpc.params.empty.name")),
        Some(name) if name.chars().count() > SCENE_NAME => return Err(RpcError::known("rpc.params.invalid")),
        Some(_) => {}
    }
    let ill_formed = |blocks: &Field<Vec<Block>>| {
        blocks.get().is_none_or(|blocks| blocks.iter().any(|block| block.method().is_none()))
    };
    if ill_formed(&scene.when) {
        return Err(RpcError::known("ezlo.scenes.block.when.wrong"));
    }
    if ill_formed(&scene.then) {
        return Err(RpcError::known("ezlo.scenes.block.then.wrong"));
    }
    Ok(())
}

/// Members that every stored scene has.
fn fill(scene: &mut Scene) {
    let absent = |field: &Field<_>| matches!(field, Field::Absent);
    if absent(&scene.enabled) {
        scene.enabled = true.into();
    }
    if absent(&scene.is_group) {
        scene.is_group = false.into();
    }
    if scene.parent_id.is_absent() {
        scene.parent_id = RoomId::default().into();
    }
    if scene.group_id.is_absent() {
        scene.group_id = Field::Null;
    }
    for blocks in [&mut scene.when, &mut scene.then] {
        if blocks.get().is_none() {
            *blocks = Vec::new().into();
        }
    }
    if scene.user_notifications.is_absent() {
        scene.user_notifications = Vec::new().into();
    }
    if scene.house_modes.is_absent() {
        scene.house_modes = ["1", "2", "3", "4"].map(Into::into).to_vec().into();
    }
}

fn tell_scene(name: &'static str, scene: &Scene, context: &mut Context<'_>) {
    context.broadcast(name, &Scene { sync_notification: true.into(), ..scene.clone() });
}

fn tell_run(run: &Run, status: RunStatus, context: &mut Context<'_>) {
    let progress = SceneProgress {
        scene_id: run.scene.clone().into(),
        scene_name: run.name.as_str().into(),
        user_notification: (status != RunStatus::Started).into(),
        status: status.into(),
        notifications: Vec::new().into(),
        ..SceneProgress::default()
    };
    context.broadcast("hub.scene.run.progress", &progress);
}
