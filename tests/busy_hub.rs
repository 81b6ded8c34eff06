//! Hubs with scenes that cause excessive work: the calls end, and the rest of the process stays responsive.

use std::time::Duration;

use ezlo_protocol::hub::scene::{Block, SceneBuilder, item_is, run_scene, set_item};
use ezlo_protocol::wire;
use ezlo_testkit::{Socket, address, http as request, within};
use serde_json::{Value, json};

use crate::seed::Program;
use crate::support::{HUB, demo, http, login_text, register_text, registered};

fn call_text(id: &str, method: &str, params: &Value) -> String {
    json!({"id": id, "method": method, "params": params}).to_string()
}

/// Sends a call and returns its reply; broadcasts are dropped.
async fn call(socket: &mut Socket, method: &str, params: Value) -> Value {
    socket.text(call_text("call", method, &params)).await;
    loop {
        let frame = socket.json().await;
        if frame["id"] == "call" {
            return frame;
        }
    }
}

async fn scene_id(socket: &mut Socket, name: &str) -> String {
    let list = call(socket, "hub.scenes.list", json!({})).await["result"]["scenes"].clone();
    let scene = list.as_array().unwrap().iter().find(|scene| scene["name"] == name).unwrap();
    scene["_id"].as_str().unwrap().to_owned()
}

/// Creates an empty scene and edits it, so that its actions can refer to its own id.
async fn define(socket: &mut Socket, name: &str, actions: impl Fn(&str) -> Vec<Block>) -> String {
    let empty = wire::to_value(&SceneBuilder::new(name).build().unwrap());
    assert_eq!(call(socket, "hub.scenes.create", empty).await["error"], Value::Null);
    let id = scene_id(socket, name).await;
    let scene = actions(&id).into_iter().fold(SceneBuilder::new(name), SceneBuilder::then).build().unwrap();
    let edited = call(socket, "hub.scenes.edit", json!({"_id": id, "eo": wire::to_value(&scene)})).await;
    assert_eq!(edited["error"], Value::Null, "{edited}");
    id
}

#[tokio::test]
async fn scene_that_runs_itself_twice_ends() {
    let cloud = crate::support::frozen().await;
    let mut socket = registered(&cloud).await;
    let id = define(&mut socket, "Bomb", |own| vec![run_scene(own), run_scene(own)]).await;
    assert_eq!(call(&mut socket, "hub.scenes.run", json!({"sceneId": id})).await["error"], Value::Null);
    let mut broadcasts = 0;
    socket.text(call_text("end", "hub.modes.current.get", &json!({}))).await;
    while socket.json().await["id"] != "end" {
        broadcasts += 1;
    }
    assert!((10..9_000).contains(&broadcasts), "{broadcasts}");
}

#[tokio::test]
async fn nested_scenes_with_ten_runs_each_end() {
    let cloud = crate::support::frozen().await;
    let mut socket = registered(&cloud).await;
    let mut next = define(&mut socket, "Level 0", |_| Vec::new()).await;
    for level in 1..8 {
        next = define(&mut socket, &format!("Level {level}"), |_| vec![run_scene(next.as_str()); 10]).await;
    }
    assert_eq!(call(&mut socket, "hub.scenes.run", json!({"sceneId": next})).await["error"], Value::Null);
    assert_eq!(call(&mut socket, "hub.modes.current.get", json!({})).await["error"], Value::Null);
}

#[tokio::test]
async fn scenes_of_a_hub_are_bounded_in_bytes() {
    let cloud = crate::support::frozen().await;
    let mut socket = registered(&cloud).await;
    let items = call(&mut socket, "hub.items.list", json!({})).await["result"]["items"].clone();
    let switch = items.as_array().unwrap().iter().find(|item| item["name"] == "switch").unwrap()["_id"].clone();
    let large =
        (0..2_000).fold(SceneBuilder::new("Large"), |scene, _| scene.when(item_is(switch.as_str().unwrap(), true)));
    let large = wire::to_value(&large.build().unwrap());
    let mut created = 0;
    let refused = loop {
        let reply = call(&mut socket, "hub.scenes.create", large.clone()).await;
        if reply["error"] != Value::Null {
            break reply;
        }
        created += 1;
        assert!(created < 100, "the size of all scenes is not bounded");
    };
    assert_eq!(refused["error"]["data"], "rpc.params.invalid");
    assert!(refused["error"]["reason"].as_str().unwrap().contains("4194304 bytes"), "{refused}");
    assert!(created >= 4, "{created}");
}

async fn app(program: &Program, user: &str, hub: &str) -> Socket {
    let url = program.ready["http"].as_str().unwrap();
    let environment = ezlo::Environment::from_base_url(url).unwrap();
    let credentials = if user == "demo.user" { demo() } else { ezlo::Credentials::new(user, "tenant-password") };
    let account = within(ezlo::Account::log_in(environment, &credentials)).await.unwrap();
    let pair = account.session().await.unwrap().pair().clone();
    let mut socket = Socket::connect(address(url)).await;
    assert_eq!(socket.ask(login_text(&pair)).await["error"], Value::Null);
    assert_eq!(socket.ask(register_text(&json!(hub))).await["method"], "registered");
    socket
}

/// Eight connections run a thousand scenes that start each other. Another hub and the control API must stay responsive.
#[tokio::test(flavor = "multi_thread")]
async fn thousand_hostile_scenes_leave_the_rest_responsive() {
    let program = tokio::task::spawn_blocking(|| Program::start(&["--world", "block"])).await.unwrap();
    let mut hostile = app(&program, "tenant1", HUB).await;
    let items = call(&mut hostile, "hub.items.list", json!({})).await["result"]["items"].clone();
    let switch = items.as_array().unwrap().iter().find(|item| item["name"] == "switch").unwrap()["_id"].clone();
    let switch = switch.as_str().unwrap();
    let bomb = define(&mut hostile, "Bomb", |own| vec![run_scene(own), run_scene(own)]).await;
    for number in 0..997 {
        let value = number % 2 == 0;
        let scene = SceneBuilder::new(&format!("S{number}"))
            .when(item_is(switch, value))
            .then(set_item(switch, !value))
            .then(run_scene(bomb.as_str()));
        let created = call(&mut hostile, "hub.scenes.create", wire::to_value(&scene.build().unwrap())).await;
        assert_eq!(created["error"], Value::Null, "{created}");
    }
    let mut runners = Vec::new();
    for _ in 0..8 {
        let mut socket = app(&program, "tenant1", HUB).await;
        for round in 0..10 {
            let params = json!({"_id": switch, "value": round % 2 == 0});
            socket.text(call_text("set", "hub.item.value.set", &params)).await;
            socket.text(call_text("run", "hub.scenes.run", &json!({"sceneId": bomb}))).await;
        }
        // The connection stays open, so that the hub broadcasts to it.
        runners.push(socket);
    }
    let control = address(program.ready["control"].as_str().unwrap());
    let mut calm = app(&program, "tenant2", "90000002").await;
    for _ in 0..10 {
        let healthy = within(request(control, "GET /healthz", &[], b"")).await;
        assert_eq!(healthy.status, 200);
        assert_eq!(within(call(&mut calm, "hub.modes.current.get", json!({}))).await["error"], Value::Null);
    }
    let stopped = tokio::task::spawn_blocking(move || program.stop("-TERM"));
    let code = tokio::time::timeout(Duration::from_secs(60), stopped).await.expect("SIGTERM ends the process").unwrap();
    assert_eq!(code, Some(0));
    drop(runners);
}

/// The most likely accident of a user, a scene that runs itself, ends too.
#[tokio::test]
async fn hub_works_after_an_endless_scene_was_cut() {
    let cloud = crate::support::frozen().await;
    let mut socket = Socket::connect(http(&cloud)).await;
    drop(std::mem::replace(&mut socket, registered(&cloud).await));
    let id = define(&mut socket, "Loop", |own| vec![run_scene(own)]).await;
    for _ in 0..3 {
        assert_eq!(call(&mut socket, "hub.scenes.run", json!({"sceneId": id})).await["error"], Value::Null);
    }
    assert_eq!(call(&mut socket, "hub.modes.switch", json!({"modeId": "2"})).await["error"], Value::Null);
}
