//! World files made from the replies of a hub: they contain no personal data and describe the same house.

use ezlo_mock_cloud::{Clock, Config, MockCloud, worlds};
use serde_json::{Value, json};

use crate::support::{START, frozen, http, mock_cloud, pair, registered, started};

const METHODS: [&str; 6] =
    ["hub.info.get", "hub.devices.list", "hub.items.list", "hub.room.list", "hub.scenes.list", "hub.modes.get"];

/// Returns the comparable members of all items, without ids and user-defined texts.
fn kinds(items: &Value) -> Vec<String> {
    let kind = |item: &Value| {
        let plain = |member: &str| item.get(member).cloned().unwrap_or(Value::Null);
        // TOML tables are unordered.
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
async fn world_from_a_dump_has_the_same_items_without_names() {
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
    let text = worlds::from_dump(&folder).unwrap().world;
    assert_eq!(worlds::from_dump(&folder).unwrap().world, text, "two conversions of one dump differ");
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
    // The new world also contains the demo user.
    assert!(!pair(&copy).await.identity.expose().is_empty() && http(&copy).port() > 0);
}

/// Converts a dump with personal data in unusual members and with nulls, which TOML cannot represent.
#[test]
fn world_from_a_dump_omits_personal_data_in_unusual_members() {
    let folder = std::env::temp_dir().join(format!("ezlo-test-odd-dump-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, value: Value| std::fs::write(folder.join(name), value.to_string()).unwrap();
    let device = json!({"_id": "d1", "category": "secretcategory", "subcategory": "secretsub", "type": "secret.type", "deviceTypeId": "secret-id", "name": "Secret name",
        "info": {"model": "Secret cam", "manufacturer": "00:11:22:33:44:55", "zwave.node": "secret", "zwave.smartstart": "12345-secret", "secret": "x"}});
    write("hub.devices.list.json", json!({"devices": [device]}));
    let item = |id: &str, more: Value| {
        let mut item = json!({"_id": id, "deviceId": "d1", "name": "switch", "valueType": "bool", "value": false});
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        item
    };
    write(
        "hub.items.list.json",
        json!({"items": [
            item("i1", json!({})),
            item("i2", json!({"name": "secretitem", "valueType": "string", "value": "Secret text"})),
            item("i3", json!({"name": "master_code", "valueType": "int", "value": 4711})),
            item("i7", json!({"name": "user_codes", "valueType": "dictionary", "elementType": "secret.kind", "userCodeRestriction": "secret-4711", "value": {}})),
            item("i9", json!({"name": "user_codes_copy", "valueType": "dictionary", "elementType": "userCode",
                "value": {"1": {"code": "4711", "name": "Secret", "mode": "secret days"}, "00491234567": {"code": "4712", "name": "Secret"}}})),
            item("i10", json!({"name": "user_lock_operation", "valueType": "user_lock_operation",
                "value": {"action": "lock", "userId": 1, "secretMember": "Secret"}})),
            item("i11", json!({"name": "camera_stream", "valueType": "cameraStream", "value": {"Secret room": "Secret"}})),
            item("i8", json!({"name": "user_lock_codes", "valueType": "dictionary", "elementType": "user_code", "userCodeRestriction": "\\d{4,8}", "value": {}})),
            item("i4", json!({"name": "position", "valueType": "token", "value": "secrettoken", "enum": ["secrettoken", "lying_on_bed"]})),
            item("i5", json!({"name": "program_failures", "valueType": "dictionary", "elementType": "token", "value": {"secretkey": "ok", "washing": null}})),
            item("i6", json!({"name": "weekly_user_code_intervals", "valueType": "dictionary", "elementType": "weekly_interval_array",
                "value": {"1": [{"weekDays": ["monday"], "startTime": "08:00:00", "stopTime": "09:00:00"}]}})),
        ]}),
    );
    write("hub.modes.get.json", json!({"current": "2", "modes": [], "devices": [], "alarms": []}));
    let block = |kind: &str, method: &str, fields: Value| json!({"blockType": kind, "secret": "Secret", "blockOptions": {"secret": "Secret", "method": {"name": method, "args": {"a": "a"}, "secret": "Secret"}}, "fields": fields});
    let place = json!([{"name": "a", "type": "float", "value": 52.5163, "secret": "Secret"}]);
    let run = json!({"blockType": "then", "blockOptions": {"method": {"name": "runScene", "args": {"sceneId": "sceneId"}}},
        "fields": [{"name": "sceneId", "type": "sceneId", "value": "s1"}]});
    let action = |method: &str, args: Value, fields: Value| json!({"blockType": "secret", "blockOptions": {"method": {"name": method, "args": args}}, "fields": fields});
    // A scene that sets lock codes and has user-defined names beside the vendor's names.
    let code = action(
        "setItemValue",
        json!({"item": "secret_item", "value": "secret_value", "secret": "secret"}),
        json!([
            {"name": "secret_item", "type": "item", "value": "i3"}, {"name": "secret_value", "type": "int", "value": 4711},
            {"name": "secret", "type": "secret", "value": "secret"},
        ]),
    );
    let mode = action(
        "switchHouseMode",
        json!({"houseMode": "m"}),
        json!([{"name": "m", "type": "houseModeId", "value": "secret"}]),
    );
    let odd = action("secretMethod", json!({}), json!([]));
    let scene = json!({"_id": "s1", "name": "Secret scene", "when": [block("when", "isDetectedInHotzone", place)], "then": [run.clone(), code, mode, odd], "else": [run]});
    write("hub.scenes.list.json", json!({"scenes": [scene]}));
    let conversion = worlds::from_dump(&folder).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let text = conversion.world;
    let paths: Vec<&str> = conversion.differences.iter().map(|one| one.path.as_str()).collect();
    for secret in ["ecret", "4711", "52.5", "00491234567", "00:11:22"] {
        assert!(!text.contains(secret), "{secret} is in the world: {text}");
        // Names of members that only this dump has are words of a firmware, not of a user.
        let mut below = paths.iter().filter(|path| path.contains(".value") || path.contains(".info"));
        assert!(!below.any(|path| path.contains(secret)), "{secret} is in the report: {paths:?}");
    }
    for expected in [
        "lying_on_bed",
        "monday",
        "08:00:00",
        "isDetectedInHotzone",
        "@scene Scene 1",
        "mode = \"2\"",
        "else",
        "setItemValue",
        "{4,8}",
    ] {
        assert!(text.contains(expected), "{expected} is missing: {text}");
    }
}

#[test]
fn invalid_dump_is_refused_with_the_reason() {
    let folder = std::env::temp_dir().join(format!("ezlo-test-no-dump-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let error = |folder: &std::path::Path| ezlo_protocol::error::with_causes(&worlds::from_dump(folder).unwrap_err());
    assert!(error(&folder).contains("hub.devices.list.json"));
    std::fs::write(folder.join("hub.devices.list.json"), "{").unwrap();
    assert!(error(&folder).contains("not JSON"));
    std::fs::write(folder.join("hub.devices.list.json"), r#"{"devices":[{"category":7}]}"#).unwrap();
    assert!(error(&folder).contains("hub.devices.list.json"));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(error(&folder).contains("cannot read"));
}

#[test]
fn invalid_world_file_is_refused_with_the_reason() {
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
        ("location = { latitude = 91.0, longitude = 0.0, timezone = \"UTC\" }", "latitude must be from -90 to 90"),
        ("location = { latitude = 9.0, longitude = 0.0, timezone = \"Mars/Olympus\" }", "location"),
        ("mode = \"5\"", "house modes are"),
        ("zwave = [\"toaster\"]", "no template \"toaster\""),
        ("copies = 0", "copies = 0"),
        ("copies = 20000000", "copies = 20000000 is not between"),
        ("rooms = [\"A\", \"A\"]", "room \"A\" is defined twice"),
        ("[[hubs.scenes]]\nname = \"x\"\nmodes = [\"9\"]", "house modes are"),
        ("[[hubs.scenes]]\nname = \"x\"\nroom = \"Attic\"", "line 9: hub 90000001: scene \"x\": no room \"Attic\""),
        (
            "[[hubs.scenes]]\nname = \"x\"\nthen = [{ device = \"Door\", item = \"battery\", value = 5 }]",
            "has no setter",
        ),
        ("[[hubs.scenes]]\nname = \"x\"\nwhen = [{ evry = \"5m\" }]", "expected one of the keys"),
        ("[[hubs.scenes]]\nname = \"x\"\nwhen = [{ every = \"5m\", device = \"Door\" }]", "unknown field `device`"),
        (
            "[[hubs.scenes]]\nname = \"x\"\nwhen = [{ device = \"Door\", item = \"nothing\", value = true }]",
            "scene \"x\": when[0]",
        ),
        ("[[hubs.scenes]]\nname = \"x\"\nwhen = [{ every = \"soon\" }]", "scene \"x\": when[0]"),
        ("[[hubs.scenes]]\nname = \"a name that is far too long for it\"", "longer than 25"),
        ("colour = \"red\"", "line 7"),
    ];
    let users = "[[users]]\nusername = \"a{n}\"\npassword = \"p\"\nemail = \"e\"\naccount = 18446744073709551615\nuser = 1\ncopies = 2\n";
    let error = worlds::check(std::path::Path::new("w.toml"), users).unwrap_err().to_string();
    assert!(error.contains("line "), "{error}");
    let longer = format!("{}copies = 2\n", hub.replace("90000001", "99999999"));
    let error = worlds::check(std::path::Path::new("w.toml"), &longer).unwrap_err().to_string();
    assert!(error.contains("100000000, which has more digits"), "{error}");
    for (rest, wanted) in cases {
        let text = wrong(rest);
        assert!(text.starts_with("w.toml: ") && text.contains(wanted), "{rest}: {text}");
    }
}

#[test]
fn world_commands_list_show_convert_and_check_worlds() {
    let (code, text, _) = mock_cloud(&["world", "list", "--json"]);
    assert_eq!((code, text.trim()), (Some(0), r#"["demo","bare","villa","block","hostile"]"#));
    for (world, member, number) in
        [("villa", "devices", 200), ("villa", "items", 1003), ("block", "hubs", 200), ("bare", "hubs", 1)]
    {
        let (code, text, _) = mock_cloud(&["world", "show", world, "--json"]);
        let summary: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code, &summary[member]), (Some(0), &json!(number)), "{world}: {member}");
    }
    let (code, text, _) = mock_cloud(&["world", "show", "bare"]);
    assert!(code == Some(0) && text.contains("owned by no user"), "{text}");
    let folder = std::env::temp_dir().join(format!("ezlo-test-commands-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let devices = json!({"devices": [{"_id": "d1", "category": "switch", "name": "Secret"}]});
    std::fs::write(folder.join("hub.devices.list.json"), devices.to_string()).unwrap();
    let (folder_name, file) = (folder.to_str().unwrap(), folder.join("world.toml"));
    let (code, text, _) = mock_cloud(&["world", "from-dump", folder_name]);
    assert!(code == Some(0) && text.contains("[[hubs") && !text.contains("Secret"), "{text}");
    let written = mock_cloud(&["world", "from-dump", folder_name, "--output", file.to_str().unwrap()]);
    assert_eq!((written.0, written.1.as_str()), (Some(0), ""));
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), text.trim(), "two conversions of one dump differ");
    let (code, text, _) = mock_cloud(&["world", "check", file.to_str().unwrap()]);
    assert!(code == Some(0) && text.contains("1 devices"), "{text}");
    std::fs::write(&file, "[[hubs]]\nserial = 7\n").unwrap();
    let (code, _, text) = mock_cloud(&["world", "check", file.to_str().unwrap()]);
    assert!(code == Some(1) && text.contains("world.toml") && text.contains("line 2"), "{text}");
    std::fs::remove_dir_all(&folder).unwrap();
    let (code, _, text) = mock_cloud(&["world", "check", file.to_str().unwrap()]);
    assert!(code == Some(1) && text.contains("cannot read"), "{text}");
    let (code, _, text) = mock_cloud(&["world", "show", "nowhere"]);
    assert!(code == Some(1) && text.contains("demo, bare"), "{text}");
}
