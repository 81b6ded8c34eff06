//! Global scenes: scenes whose ids the cloud assigns (d22). They run like other scenes, and lists of scenes omit them (inferred).

use ezlo_protocol::hub::Empty;
use ezlo_protocol::hub::scene::{GlobalScene, GlobalSceneList, Scene, SceneRef, SceneRun};
use ezlo_protocol::rpc::RpcError;
use ezlo_protocol::wire::Field;

use crate::answer::{Answer, done, missing, not_found};
use crate::context::Context;
use crate::hub::{Hub, MAX_SCENES};
use crate::state::newer::check_size;
use ezlo_protocol::wire::encoded_len;

impl Hub {
    pub(crate) fn global_scene_create(&mut self, request: GlobalScene, context: &mut Context<'_>) -> Answer<Empty> {
        let id = request.id.get().cloned().ok_or_else(|| missing("_id"))?;
        if self.scenes.contains_key(&id) || self.scenes.len() >= MAX_SCENES {
            return Err(RpcError::known("rpc.params.invalid"));
        }
        self.put_global_scene(request, context)
    }

    pub(crate) fn global_scene_edit(&mut self, request: GlobalScene, context: &mut Context<'_>) -> Answer<Empty> {
        let id = request.id.get().ok_or_else(|| missing("_id"))?;
        if !self.newer.global_scenes.contains_key(id) {
            return Err(not_found("ezlo.scenes.not.exist"));
        }
        self.put_global_scene(request, context)
    }

    fn put_global_scene(&mut self, request: GlobalScene, context: &mut Context<'_>) -> Answer<Empty> {
        let id = request.id.get().cloned().ok_or_else(|| missing("_id"))?;
        check_size(&(&request.tag, &request.name, &request.extra))?;
        let name = request.name.as_deref().or(request.tag.as_deref()).unwrap_or("Global scene");
        let scene = Scene {
            id: id.clone().into(),
            name: name.chars().take(ezlo_protocol::hub::scene::MAX_NAME).collect::<String>().into(),
            enabled: request.enabled,
            when: request.when.clone(),
            then: request.then.clone(),
            exec_policy: request.exec_policy.clone(),
            ..Scene::default()
        };
        let known = self.scenes.contains_key(&id).then_some(&id);
        self.check_scene(&scene, known, context)?;
        self.check_scene_bytes(known, encoded_len(&scene), context)?;
        context.broadcast("hub.scene.global.added", &request);
        self.newer.global_scenes.insert(id.clone(), request);
        self.store_scene(&id, scene, context);
        done()
    }

    pub(crate) fn global_scenes_list(&self, _: Empty, _: &Context<'_>) -> Answer<GlobalSceneList> {
        let scenes = self.newer.global_scenes.values().cloned().collect();
        Ok(GlobalSceneList { scenes, ..GlobalSceneList::default() })
    }

    pub(crate) fn global_scene_delete(&mut self, request: SceneRef, context: &mut Context<'_>) -> Answer<Empty> {
        let id = request.id.into_option().or_else(|| request.scene_id.into_option()).ok_or_else(|| missing("_id"))?;
        if self.newer.global_scenes.shift_remove(&id).is_none() {
            return Err(not_found("ezlo.scenes.not.exist"));
        }
        self.scenes.shift_remove(&id);
        self.stop_runs(&id, context);
        self.watch_scene(&id, context);
        done()
    }

    pub(crate) fn global_scene_run(&mut self, request: SceneRun, context: &mut Context<'_>) -> Answer<Empty> {
        if self.newer.global_scenes.contains_key(&request.scene_id) {
            self.scene_run(request, context)
        } else {
            Err(not_found("ezlo.scenes.not.exist"))
        }
    }
}

/// Returns the content of the progress of a global scene, whose members have other names than that of a scene of the hub.
pub(crate) fn progress(of_scene: &ezlo_protocol::hub::scene::SceneProgress) -> serde_json::Value {
    let status = of_scene.status.get().map(|status| status.as_str().to_owned());
    let id: &Field<_> = &of_scene.scene_id;
    serde_json::json!({
        "sceneId": id.get(),
        "sceneName": of_scene.scene_name.as_deref(),
        "status": status,
        "error": null,
    })
}
