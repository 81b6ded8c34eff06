//! A world from a hub's own answers: nothing personal comes out, and the house is the same.

use ezlo_mock_cloud::{Clock, Config, MockCloud, worlds};
use serde_json::{Value, json};

use crate::support::{START, frozen, http, pair, registered, started};

const METHODS: [&str; 6] =
    ["hub.info.get", "hub.devices.list", "hub.items.list", "hub.room.list", "hub.scenes.list", "hub.modes.get"];

/// What must be the same of an item: everything but ids and what somebody wrote.
fn kinds(items: &Value) -> Vec<String> {
    let kind = |item: &Value| {
        let plain = |member: &str| item.get(member).cloned().unwrap_or(Value::Null);
        // Members of a TOML table have no order.
        let value = match plain("value") {
            _ if item["valueType"] == "dictionary" => json!("…"),
            Value::Object(members) => json!(members.into_iter().collect::<std::collections::BTreeMap<_, _>>()),
            value => value,
        };
        json!([plain("name"), plain("valueType"), plain("scale"), plain("enum"), plain("hasSetter"), value]).to_string()
    };
    let mut kinds: Vec<String> = items.as_array().unwrap().iter().map(kind).collect();
    kinds.sort();
    kinds
}

#[tokio::test]
async fn a_dump_becomes_a_world_without_names() {
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    let mut ask = async |method: &str, params: Value| {
        socket.ask(json!({"id": 1, "method": method, "params": params}).to_string()).await
    };
    let items = ask("hub.items.list", json!({})).await;
    let codes = items["result"]["items"].as_array().unwrap().iter().find(|item| item["name"] == "user_codes").unwrap();
    let element = json!({"type": "userCode", "value": {"code": "483726", "name": "Grandmother"}});
    let added = ask("hub.item.dictionary.value.add", json!({"_id": codes["_id"], "element": element})).await;
    assert_eq!(added["error"], Value::Null);
    let folder = std::env::temp_dir().join(format!("ezlo-test-dump-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut socket = registered(&cloud).await;
    let mut before = Vec::new();
    for method in METHODS {
        let answer = socket.ask(json!({"id": 1, "method": method, "params": {}}).to_string()).await;
        std::fs::write(folder.join(format!("{method}.json")), answer.to_string()).unwrap();
        before.push(answer["result"].clone());
    }
    let text = worlds::from_dump(&folder).unwrap();
    assert_eq!(worlds::from_dump(&folder).unwrap(), text, "the same every time");
    for secret in ["483726", "Grandmother", "Front door", "Living room", "Good night", "Ceiling"] {
        assert!(!text.contains(secret), "{secret} is in the world");
    }
    for id in before[1]["devices"].as_array().unwrap().iter().chain(before[2]["items"].as_array().unwrap()) {
        assert!(!text.contains(id["_id"].as_str().unwrap()), "an id is in the world");
    }

    let file = folder.join("world.toml");
    std::fs::write(&file, &text).unwrap();
    let config = Config { world: file.display().to_string(), ..Config::default() };
    let copy = started(MockCloud::builder().config(config).clock(Clock::frozen(START))).await;
    let mut socket = registered(&copy).await;
    let mut after = Vec::new();
    for method in METHODS {
        after.push(socket.ask(json!({"id": 1, "method": method, "params": {}}).to_string()).await["result"].clone());
    }
    assert_eq!(kinds(&after[2]["items"]), kinds(&before[2]["items"]));
    let count = |result: &Value, member: &str| result[member].as_array().unwrap().len();
    assert_eq!(
        (count(&after[1], "devices"), count(&after[4], "scenes")),
        (count(&before[1], "devices"), count(&before[4], "scenes"))
    );
    let blocks = |result: &Value| result["scenes"][1]["then"].as_array().unwrap().len();
    assert_eq!(blocks(&after[4]), blocks(&before[4]));
    std::fs::remove_dir_all(folder).unwrap();
    // The pair of the demo user opens the copy too: the world that comes out has that user.
    assert!(!pair(&copy).await.identity.expose().is_empty() && http(&copy).port() > 0);
}

#[test]
fn what_is_no_dump_is_said() {
    let folder = std::env::temp_dir().join(format!("ezlo-test-no-dump-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let error = |folder: &std::path::Path| worlds::from_dump(folder).unwrap_err().to_string();
    assert!(error(&folder).contains("hub.devices.list.json"));
    std::fs::write(folder.join("hub.devices.list.json"), "{").unwrap();
    assert!(error(&folder).contains("not JSON"));
    std::fs::write(folder.join("hub.devices.list.json"), r#"{"devices":[{"category":7}]}"#).unwrap();
    assert!(error(&folder).contains("hub.devices.list.json"));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(error(&folder).contains("cannot read"));
}

#[test]
fn world_files_are_told_what_is_wrong_with_them() {
    let hub = "[[hubs]]\nserial = \"90000001\"\nmac = \"AA:BB:CC:00:00:01\"\nkind = \"linux\"\nmodel = \"h2.1\"\n";
    let door = "devices = [{ template = \"door_sensor\", name = \"Door\" }]\n";
    let wrong = |rest: &str| {
        let text = format!("{hub}{door}{rest}");
        worlds::check(std::path::Path::new("w.toml"), &text).unwrap_err().to_string()
    };
    let cases = [
        (
            "behaviours = [{ kind = \"motion\", device = \"Door\", per_hour = 1.0 }]",
            "behaviour of \"Door\": no device of that name has the item \"motion\"",
        ),
        ("behaviours = [{ kind = \"door\", device = \"Door\", hours = [24], per_hour = 1.0 }]", "hour 24"),
        ("behaviours = [{ kind = \"dance\", device = \"Door\" }]", "dance"),
        ("location = { latitude = 91.0, longitude = 0.0, timezone = \"UTC\" }", "latitude is within 90"),
        ("location = { latitude = 9.0, longitude = 0.0, timezone = \"Mars/Olympus\" }", "location"),
        ("mode = \"5\"", "house modes are"),
        ("zwave = [\"toaster\"]", "no template \"toaster\""),
        ("copies = 0", "copies = 0"),
        (
            "[[hubs.scenes]]\nname = \"x\"\nwhen = [{ device = \"Door\", item = \"nothing\", value = true }]",
            "scene \"x\": when[0]",
        ),
        ("[[hubs.scenes]]\nname = \"x\"\nwhen = [{ every = \"soon\" }]", "scene \"x\": when[0]"),
        ("[[hubs.scenes]]\nname = \"a name that is far too long for it\"", "longer than 25"),
        ("colour = \"red\"", "line 7"),
    ];
    for (rest, wanted) in cases {
        let text = wrong(rest);
        assert!(text.starts_with("w.toml: ") && text.contains(wanted), "{rest}: {text}");
    }
}
