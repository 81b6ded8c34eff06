//! Clusters: several processes that serve one cloud through a real NATS server.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use ezlo::{Account, Credentials, Environment, NewAccount};
use ezlo_testkit::{Came, Socket, address, within};
use serde_json::{Value, json};

use crate::seed::Program;
use crate::support::{Folder, HUB, login_text, register_text, serial};

mod moves;
mod views;

/// A NATS server for one test.
struct Nats {
    child: Child,
    url: String,
    folder: Folder,
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Nats {
    async fn start(name: &str) -> Self {
        Self::start_with(name, &[]).await
    }

    async fn start_with(name: &str, more: &[&str]) -> Self {
        let folder = Folder::new(name);
        std::fs::create_dir_all(&folder.0).unwrap();
        let child = Self::run_with(&folder, "-1", more);
        let ports: PathBuf = folder.0.join(format!("nats-server_{}.ports", child.id()));
        let url = within(async {
            loop {
                let written = std::fs::read(&ports).unwrap_or_default();
                if let Ok(ports) = serde_json::from_slice::<Value>(&written)
                    && let Some(url) = ports["nats"][0].as_str()
                {
                    return url.to_owned();
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        Self { child, url, folder }
    }

    fn run(folder: &Folder, port: &str) -> Child {
        Self::run_with(folder, port, &[])
    }

    fn run_with(folder: &Folder, port: &str, more: &[&str]) -> Child {
        Command::new("nats-server")
            .args(["--addr", "127.0.0.1", "--port", port, "--jetstream", "--store_dir", folder.text()])
            .args(["--ports_file_dir", folder.text()])
            .args(more)
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Kills the server without a clean shutdown.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts the server again on the same port and store directory.
    fn start_again(&mut self) {
        let port = self.url.rsplit(':').next().unwrap().to_owned();
        self.child = Self::run(&self.folder, &port);
    }

    /// Sends a signal to the server.
    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Returns whether a process has created the bucket of the rows.
    fn has_streams(&self) -> bool {
        let streams = self.folder.0.join("jetstream/$G/streams");
        let names = std::fs::read_dir(streams).into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.into_iter().any(|name| name.to_string_lossy().ends_with("-rows"))
    }

    fn node(&self) -> Program {
        Program::start(&["--cluster", &self.url])
    }
}

fn url(program: &Program) -> &str {
    program.ready["http"].as_str().unwrap()
}

async fn logged_in(program: &Program, user: &str, password: &str) -> Account {
    let environment = Environment::from_base_url(url(program)).unwrap();
    within(Account::log_in(environment, &Credentials::new(user, password))).await.unwrap()
}

/// Connects an app to a process and registers it for a hub of the demo user.
async fn app(program: &Program, hub: &str) -> Socket {
    let pair = logged_in(program, "demo.user", "demo-password").await.session().await.unwrap().pair().clone();
    let mut socket = Socket::connect(address(url(program))).await;
    assert_eq!(socket.ask(login_text(&pair)).await["error"], Value::Null);
    let registered = within(socket.ask(register_text(&json!(hub)))).await;
    assert_eq!(registered["method"], "registered", "{registered}");
    socket
}

/// Sends a call and returns its reply. Other messages are dropped.
async fn answer(socket: &mut Socket, id: &str, method: &str, params: Value) -> Value {
    socket.text(json!({"id": id, "method": method, "params": params}).to_string()).await;
    loop {
        let frame = within(socket.json()).await;
        if frame["id"] == id {
            return frame;
        }
    }
}

async fn rooms(socket: &mut Socket) -> Vec<String> {
    let list = answer(socket, "rooms", "hub.room.list", json!({})).await;
    list["result"].as_array().unwrap().iter().map(|room| room["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn accounts_and_claims_are_visible_in_every_process() {
    let nats = Nats::start("cluster-accounts").await;
    let (first, second, third) = (nats.node(), nats.node(), nats.node());
    let credentials = Credentials::new("new.user", "new-password");
    let request = NewAccount { credentials: credentials.clone(), email: "new@example.com".into() };
    let created = within(Account::create(Environment::from_base_url(url(&first)).unwrap(), &request)).await.unwrap();
    let claimant = logged_in(&second, "new.user", "new-password").await;
    within(claimant.claim(&serial("90000002"), "AA:BB:CC:00:00:02".parse().unwrap())).await.unwrap();
    let hubs = within(logged_in(&third, "new.user", "new-password").await.hubs()).await.unwrap();
    assert_eq!(hubs.iter().map(|hub| hub.serial.get().to_string()).collect::<Vec<_>>(), ["90000002"]);
    assert_eq!(within(created.hubs()).await.unwrap().len(), 1);
    // Account numbers are unique across processes.
    let mut numbers = BTreeSet::new();
    for (program, name) in [(&first, "a.user"), (&second, "b.user"), (&third, "c.user")] {
        let request =
            NewAccount { credentials: Credentials::new(name, "password-1"), email: format!("{name}@example.com") };
        let account =
            within(Account::create(Environment::from_base_url(url(program)).unwrap(), &request)).await.unwrap();
        numbers.insert(account.session().await.unwrap().pair().decode().unwrap().account);
    }
    assert_eq!(numbers.len(), 3);
    let duplicate = Account::create(Environment::from_base_url(url(&third)).unwrap(), &request);
    assert!(within(duplicate).await.is_err(), "the user name was accepted twice");
    for program in [first, second, third] {
        program.stop("-TERM");
    }
}

#[tokio::test]
async fn hub_of_one_process_is_controlled_from_another() {
    let nats = Nats::start("cluster-control").await;
    let (first, second, third) = (nats.node(), nats.node(), nats.node());
    let mut near = app(&first, HUB).await;
    let mut far = app(&second, HUB).await;
    let created = answer(&mut far, "1", "hub.room.create", json!({"name": "Attic"})).await;
    assert_eq!(created["error"], Value::Null, "{created}");
    assert!(rooms(&mut near).await.contains(&"Attic".to_owned()));
    let wait_for_room = async |socket: &mut Socket, name: &str| loop {
        let frame = within(socket.json()).await;
        if frame["msg_subclass"] == "hub.room.created" && frame["result"]["name"] == name {
            return;
        }
    };
    let cellar = json!({"id": "2", "method": "hub.room.create", "params": {"name": "Cellar"}}).to_string();
    near.text(cellar).await;
    wait_for_room(&mut near, "Cellar").await;
    wait_for_room(&mut far, "Cellar").await;

    // A hub outside the simulator, connected to the third process.
    let mut hub = Socket::connect(address(url(&third))).await;
    let register = json!({"id": "_", "method": "register", "params": {"serial": "92000001", "firmware": "3.x",
        "timeOffset": 0, "media": "radio", "hubType": "32.1", "mac_address": "AA:BB:CC:00:00:03",
        "controller_uuid": "00000000-0000-4000-8000-000000000001", "maxFrameSize": 20480}});
    assert_eq!(within(hub.ask(register.to_string())).await["method"], "registered");
    let mut user = app(&first, "92000001").await;
    user.text(r#"{"id":"a","method":"hub.info.get","params":{}}"#).await;
    let call = within(hub.json()).await;
    let reply =
        json!({"id": "a", "method": "hub.info.get", "error": null, "result": {"x": 1}, "sender": call["sender"]});
    hub.text(reply.to_string()).await;
    assert_eq!(within(user.json()).await, reply);
    hub.text(r#"{"id":"ui_broadcast","msg_subclass":"hub.item.updated","result":{"_id":"x"}}"#).await;
    assert_eq!(within(user.json()).await["result"]["_id"], "x");
    for program in [first, second, third] {
        program.stop("-TERM");
    }
}

/// A user name or a hub that is requested in several processes at once is granted in one of them.
#[tokio::test]
async fn concurrent_registrations_and_claims_succeed_once() {
    let nats = Nats::start("cluster-once").await;
    let nodes = [nats.node(), nats.node(), nats.node()];
    for round in 0..5 {
        let name = format!("user.{round}");
        let create = async |program: &Program| {
            let request = NewAccount {
                credentials: Credentials::new(&name, "password-1"),
                email: format!("{round}.{}@example.com", program.port("/http")),
            };
            within(Account::create(Environment::from_base_url(url(program)).unwrap(), &request)).await.is_ok()
        };
        let (a, b, c) = tokio::join!(create(&nodes[0]), create(&nodes[1]), create(&nodes[2]));
        assert_eq!([a, b, c].into_iter().filter(|made| *made).count(), 1, "{a} {b} {c}");
        logged_in(&nodes[round % 3], &name, "password-1").await;
    }
    let claim = async |program: &Program, user: &str| {
        let account = logged_in(program, user, "password-1").await;
        within(account.claim(&serial("90000002"), "AA:BB:CC:00:00:02".parse().unwrap())).await.is_ok()
    };
    let (a, b) = tokio::join!(claim(&nodes[0], "user.0"), claim(&nodes[1], "user.1"));
    assert!(a != b, "{a} {b}");
    for program in nodes {
        program.stop("-TERM");
    }
}

/// More pipelined calls than any queue can hold are answered, both by the hub's own process and through another one.
#[tokio::test]
async fn thousands_of_pipelined_calls_are_answered_in_order() {
    let nats = Nats::start("cluster-many").await;
    let (first, second) = (nats.node(), nats.node());
    let (mut near, mut far) = (app(&first, HUB).await, app(&second, HUB).await);
    for socket in [&mut near, &mut far] {
        for id in 0..5000 {
            let call = json!({"id": id, "method": "hub.modes.current.get", "params": {}}).to_string();
            socket.text(call).await;
        }
        for id in 0..5000 {
            let answer = within(socket.json()).await;
            assert!(answer["id"] == id && answer["error"].is_null(), "{id}: {answer}");
        }
    }
    for program in [first, second] {
        program.stop("-TERM");
    }
}

/// Changes acknowledged before a kill are present exactly once in the process that takes over the hub.
#[tokio::test]
async fn hubs_of_a_killed_process_continue_in_another() {
    let nats = Nats::start("cluster-kill").await;
    let mut acknowledged = BTreeSet::new();
    let mut number = 0_usize;
    let mut home = nats.node();
    drop(app(&home, HUB).await);
    for answers in [0, 7, 40] {
        let other = nats.node();
        let mut socket = app(&other, HUB).await;
        let create = |number: &mut usize| {
            *number += 1;
            let name = format!("Scene {number}");
            // Scene names need not be unique, so a scene that is created twice is listed twice.
            let scene = json!({"name": name, "enabled": true, "when": [], "then": []});
            json!({"id": name, "method": "hub.scenes.create", "params": scene}).to_string()
        };
        for _ in 0..8 {
            socket.text(create(&mut number)).await;
        }
        let mut left = answers;
        while left > 0 {
            let frame = within(socket.json()).await;
            if frame.get("error").is_some_and(Value::is_null) {
                acknowledged.insert(frame["id"].as_str().unwrap().to_owned());
                left -= 1;
                socket.text(create(&mut number)).await;
            }
        }
        home.stop("-KILL");
        // Apps in other processes are closed with 1012, so that they reconnect.
        loop {
            match within(socket.next()).await {
                Came::Json(frame) if frame.get("error").is_some_and(Value::is_null) => {
                    acknowledged.insert(frame["id"].as_str().unwrap().to_owned());
                }
                Came::Json(_) => {}
                Came::Closed(code) => break assert_eq!(code, 1012),
                other => panic!("unexpected message: {other:?}"),
            }
        }
        let mut again = app(&other, HUB).await;
        let list = answer(&mut again, "scenes", "hub.scenes.list", json!({})).await;
        let list = list["result"]["scenes"].as_array().unwrap();
        let names: Vec<String> = list.iter().map(|scene| scene["name"].as_str().unwrap().to_owned()).collect();
        let unique: BTreeSet<String> = names.iter().cloned().collect();
        assert_eq!(unique.len(), names.len(), "scenes were created twice: {names:?}");
        assert!(
            acknowledged.is_subset(&unique),
            "acknowledged scenes were lost: {:?}",
            acknowledged.difference(&unique)
        );
        assert!(unique.iter().all(|name| !name.starts_with("Scene ") || name[6..].parse::<usize>().unwrap() <= number));
        home = other;
    }
    assert!(acknowledged.len() >= 47, "{}", acknowledged.len());
    home.stop("-TERM");
}

/// A process that was paused while another process took over its hubs acknowledges no more changes of them.
#[tokio::test]
async fn paused_process_loses_its_hubs() {
    let nats = Nats::start("cluster-pause").await;
    let (first, second) = (nats.node(), nats.node());
    let mut before = app(&first, HUB).await;
    first.signal("-STOP");
    // The process reads this call after the pause and must not acknowledge it.
    before.text(json!({"id": "late", "method": "hub.room.create", "params": {"name": "Late"}}).to_string()).await;
    let mut after = loop {
        // Repeats until the first process is considered unreachable.
        let pair = logged_in(&second, "demo.user", "demo-password").await.session().await.unwrap().pair().clone();
        let mut socket = Socket::connect(address(url(&second))).await;
        assert_eq!(socket.ask(login_text(&pair)).await["error"], Value::Null);
        if within(socket.ask(register_text(&json!(HUB)))).await["method"] == "registered" {
            break socket;
        }
    };
    let created = answer(&mut after, "1", "hub.room.create", json!({"name": "Attic"})).await;
    assert_eq!(created["error"], Value::Null, "{created}");
    first.signal("-CONT");
    loop {
        match within(before.next()).await {
            Came::Json(frame) => assert!(frame["id"] != "late" || !frame["error"].is_null(), "{frame}"),
            Came::Closed(_) | Came::Gone => break,
            other => panic!("unexpected message: {other:?}"),
        }
    }
    let names = rooms(&mut after).await;
    assert!(names.contains(&"Attic".to_owned()) && !names.contains(&"Late".to_owned()), "{names:?}");
    let mut again = app(&first, HUB).await;
    assert!(rooms(&mut again).await.contains(&"Attic".to_owned()));
    for program in [first, second] {
        program.stop("-TERM");
    }
}

/// Processes that share a port serve the same cloud, whichever of them accepts a connection.
#[tokio::test]
async fn processes_share_a_port() {
    let nats = Nats::start("cluster-port").await;
    let first = nats.node();
    let port = address(url(&first)).port().to_string();
    let more: Vec<Program> = (0..2).map(|_| Program::start(&["--cluster", &nats.url, "--http-port", &port])).collect();
    assert!(more.iter().all(|program| url(program) == url(&first)));
    let mut sockets = Vec::new();
    for n in 0..12 {
        let mut socket = app(&first, HUB).await;
        let created = answer(&mut socket, "created", "hub.room.create", json!({"name": format!("Room {n}")})).await;
        assert_eq!(created["error"], Value::Null, "{created}");
        sockets.push(socket);
    }
    for socket in &mut sockets {
        let names = rooms(socket).await;
        assert_eq!(names.iter().filter(|name| name.starts_with("Room ")).count(), 12, "{names:?}");
    }
    // With twelve apps and their logins, it is almost certain that more than one process accepts connections.
    let mut serving = 0;
    for program in more.iter().chain([&first]) {
        let control = ezlo_testkit::Control::at(program.ready["control"].as_str().unwrap());
        serving += usize::from(!within(control.journal("kind=request")).await.unwrap().is_empty());
    }
    assert!(serving > 1, "{serving}");
    for program in more.into_iter().chain([first]) {
        program.stop("-TERM");
    }
}
