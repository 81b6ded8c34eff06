//! Persisted state: a killed program loses no acknowledged change, and no change appears that was not requested.

use std::collections::BTreeSet;
use std::path::Path;

use ezlo::{Account, Credentials, Environment, NewAccount};
use ezlo_testkit::{Came, Control, Socket, address, within};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::seed::Program;
use crate::support::{HUB, login_text, register_text, serial};

mod refusals;
mod restarts;

fn start(folder: &Path) -> Program {
    Program::start(&["--state-dir", folder.to_str().unwrap()])
}

fn url(program: &Program) -> &str {
    program.ready["http"].as_str().unwrap()
}

async fn logged_in(program: &Program, user: &str, password: &str) -> Account {
    let environment = Environment::from_base_url(url(program)).unwrap();
    within(Account::log_in(environment, &Credentials::new(user, password))).await.unwrap()
}

/// Opens an independent client that is registered with the demo hub.
async fn connected(program: &Program) -> Socket {
    let account = logged_in(program, "demo.user", "demo-password").await;
    let pair = account.session().await.unwrap().pair().clone();
    let mut socket = Socket::connect(address(url(program))).await;
    assert_eq!(socket.ask(login_text(&pair)).await["error"], Value::Null);
    assert_eq!(socket.ask(register_text(&json!(HUB))).await["method"], "registered");
    socket
}

async fn result(socket: &mut Socket, method: &str) -> Value {
    socket.text(json!({"id": "read", "method": method, "params": {}}).to_string()).await;
    loop {
        let frame = socket.json().await;
        if frame["id"] == "read" {
            return frame["result"].clone();
        }
    }
}

#[tokio::test]
async fn a_killed_program_resumes_from_its_persisted_state() {
    let folder = std::env::temp_dir().join(format!("ezlo-state-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let before = start(&folder);
    let environment = Environment::from_base_url(url(&before)).unwrap();
    let new_account =
        NewAccount { credentials: Credentials::new("new.user", "new-password"), email: "new@example.com".into() };
    let created = Account::create(environment, &new_account);
    let new = within(created).await.unwrap();
    within(new.claim(&serial("90000002"), "AA:BB:CC:00:00:02".parse().unwrap())).await.unwrap();
    let hub = within(logged_in(&before, "demo.user", "demo-password").await.connect(&serial(HUB))).await.unwrap();
    let lamp = within(hub.device("Ceiling light")).await.unwrap();
    let switch = lamp.item("switch").unwrap();
    let was_on = switch.value.get().and_then(Value::as_bool).unwrap();
    within(switch.set(!was_on).send_and_confirm()).await.unwrap();
    within(Control::at(before.ready["control"].as_str().unwrap()).advance(86_400.0)).await.unwrap();
    let pair = new.session().await.unwrap().pair().clone();
    let authority = std::fs::read(folder.join("ca.pem")).unwrap();
    before.stop("-KILL");

    let after = start(&folder);
    assert_eq!(authority, std::fs::read(folder.join("ca.pem")).unwrap(), "the certificate authority stays the same");
    let new = logged_in(&after, "NEW.user", "new-password").await;
    let hubs: Vec<String> = within(new.hubs()).await.unwrap().iter().map(|hub| hub.serial.get().to_string()).collect();
    assert_eq!(hubs, ["90000002"]);
    let owner = after.ready["hubs"].as_array().unwrap().iter().find(|hub| hub["serial"] == "90000002").unwrap();
    assert_eq!(owner["owner"], "new.user");
    let hub = within(logged_in(&after, "demo.user", "demo-password").await.connect(&serial(HUB))).await.unwrap();
    let lamp = within(hub.device("Ceiling light")).await.unwrap();
    assert_eq!(lamp.item("switch").unwrap().value.get().and_then(Value::as_bool), Some(!was_on));
    // The signing key is the same, so the old identity is recognised. The clock did not go back, so it has expired.
    let mut socket = Socket::connect(address(url(&after))).await;
    let refused = socket.ask(login_text(&pair)).await;
    assert_eq!(refused["error"]["data"], "cloud.error.mms_autha_token_expired", "{refused}");
    after.stop("-TERM");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Pipelined calls of one connection to a program that is killed after a number of replies.
struct Load {
    folder: std::path::PathBuf,
    /// Names of the rooms whose creation was requested.
    asked: BTreeSet<String>,
    /// Names of the rooms whose creation was acknowledged.
    told: BTreeSet<String>,
    /// Number of calls so far.
    number: usize,
    /// Last value requested for one item. The values count up from 1 and are sent modulo 100.
    level: usize,
    /// Last value acknowledged for that item.
    confirmed: usize,
}

/// Calls in flight.
const AT_ONCE: usize = 16;

impl Load {
    /// Sends calls to the program and kills it after a number of replies.
    async fn until_killed(&mut self, answers: usize) {
        let program = start(&self.folder);
        let mut socket = connected(&program).await;
        self.check_state(&mut socket).await;
        let items = result(&mut socket, "hub.items.list").await;
        let is_dimmer = |item: &&Value| item["name"] == "dimmer";
        let dimmer = items["items"].as_array().unwrap().iter().find(is_dimmer).unwrap().clone();
        for _ in 0..AT_ONCE {
            self.ask(&mut socket, &dimmer).await;
        }
        let mut left = answers;
        while left > 0 {
            let frame = socket.json().await;
            let Some(id) = frame["id"].as_str().filter(|_| frame.get("result").is_some()) else { continue };
            match id.split_once(' ') {
                Some(("room", name)) => drop(self.told.insert(name.to_owned())),
                Some(("level", at)) => self.confirmed = at.parse().unwrap(),
                _ => continue,
            }
            left -= 1;
            self.ask(&mut socket, &dimmer).await;
        }
        program.stop("-KILL");
        // Replies that the program sent before it ended count as acknowledgements too.
        while let Came::Json(frame) = socket.next().await {
            match frame["id"].as_str().and_then(|id| id.split_once(' ')) {
                Some(("room", name)) if frame.get("result").is_some() => drop(self.told.insert(name.to_owned())),
                Some(("level", at)) => self.confirmed = at.parse().unwrap(),
                _ => {}
            }
        }
    }

    async fn ask(&mut self, socket: &mut Socket, dimmer: &Value) {
        self.number += 1;
        let call = if self.number.is_multiple_of(2) {
            let name = format!("Room {}", self.number);
            self.asked.insert(name.clone());
            json!({"id": format!("room {name}"), "method": "hub.room.create", "params": {"name": name}})
        } else {
            self.level += 1;
            let params = json!({"_id": dimmer["_id"], "value": self.level % 100});
            json!({"id": format!("level {}", self.level), "method": "hub.item.value.set", "params": params})
        };
        socket.text(call.to_string()).await;
    }

    /// Checks that every acknowledged change is present and that every present change was requested.
    async fn check_state(&mut self, socket: &mut Socket) {
        let rooms = result(socket, "hub.room.list").await;
        let names = rooms.as_array().unwrap().iter().map(|room| room["name"].as_str().unwrap().to_owned());
        let present: BTreeSet<String> = names.filter(|name| name.starts_with("Room ")).collect();
        assert!(self.told.is_subset(&present), "lost: {:?}", self.told.difference(&present));
        assert!(present.is_subset(&self.asked), "invented: {:?}", present.difference(&self.asked));
        let items = result(socket, "hub.items.list").await;
        let item = items["items"].as_array().unwrap().iter().find(|item| item["name"] == "dimmer").unwrap();
        if self.level > 0 {
            let value = item["value"].as_u64().unwrap() as usize;
            let possible = (self.confirmed..=self.level).any(|at| at % 100 == value);
            assert!(possible, "{value} is not a value of {}..={} modulo 100", self.confirmed, self.level);
        }
        self.confirmed = self.level.min(self.confirmed);
    }
}

#[test]
fn no_acknowledged_change_is_lost_when_the_program_is_killed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = std::env::temp_dir().join(format!("ezlo-killed-{}", std::process::id()));
    let mut runner = TestRunner::new(Config { cases: 1, failure_persistence: None, ..Config::default() });
    let kills = proptest::collection::vec(0..40_usize, 8);
    let outcome = runner.run(&kills, |kills| {
        let _ = std::fs::remove_dir_all(&folder);
        let mut load = Load {
            folder: folder.clone(),
            asked: BTreeSet::new(),
            told: BTreeSet::new(),
            number: 0,
            level: 0,
            confirmed: 0,
        };
        runtime.block_on(async {
            for answers in kills {
                load.until_killed(answers).await;
            }
            let program = start(&load.folder);
            let mut socket = connected(&program).await;
            load.check_state(&mut socket).await;
            assert!(load.told.len() > 8, "too few acknowledged changes: {}", load.told.len());
        });
        Ok(())
    });
    let _ = std::fs::remove_dir_all(&folder);
    outcome.unwrap();
}
