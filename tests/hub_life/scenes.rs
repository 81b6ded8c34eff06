//! Scenes that run by themselves and on demand.

use super::*;

#[tokio::test]
async fn scenes_start_by_themselves() {
    let mut house = House::new().await;
    let (light, temp) = (house.id("Kitchen light/switch").to_owned(), house.id("Bedroom temperature/temp").to_owned());
    let (lamp, door) = (house.id("Ceiling light/switch").to_owned(), house.id("Front door/dw_state").to_owned());
    let warm = SceneBuilder::new("Warm")
        .when(all([item_compares(temp.as_str(), Greater, 26.0), not(item_is(door.as_str(), "dw_is_opened"))]));
    house.create(warm.then(set_item(light.as_str(), true)).then(set_item(light.as_str(), false).after(MINUTE))).await;
    house.report("Bedroom temperature", "temp", json!(26.5));
    let mut told = house.heard(2 * MINUTE).await;
    house.report("Bedroom temperature", "temp", json!(27.0));
    told.push("-- still warm: nothing starts again".into());
    told.extend(house.heard(2 * MINUTE).await);
    snapshot("scene_by_comparison_with_delay", &told);

    house
        .create(
            SceneBuilder::new("Both")
                .when(item_changed(light.as_str()))
                .then(set_item(lamp.as_str(), true))
                .then(switch_mode("3")),
        )
        .await;
    house.create(SceneBuilder::new("At night").when(mode_changed_to("3")).then(set_item(lamp.as_str(), false))).await;
    let both = house.transcript("hub.item.value.set", json!({"_id": light, "value": true}), MINUTE).await;
    snapshot("scene_by_change_and_by_mode", &both);
}

#[tokio::test]
async fn scenes_start_on_time() {
    let config = Config { world: "villa".into(), ..Config::default() };
    let mut house = House::of(started(MockCloud::builder().config(config).clock(Clock::frozen(START))).await).await;
    let plug = house.id("Study plug/switch").to_owned();
    // START is 2023-11-14 22:13:20 UTC, 23:13 in Berlin; sunset was at 16:13, the next one is at 16:12.
    house
        .create(
            SceneBuilder::new("Each quarter").when(every("15m".parse().unwrap())).then(set_item(plug.as_str(), true)),
        )
        .await;
    let told = house.heard(Duration::from_secs(3600)).await;
    let runs = |told: &[String], name: &str| {
        told.iter().filter(|line| line.contains(name) && line.contains("started")).count()
    };
    assert_eq!(
        (runs(&told, "\"Each quarter\""), runs(&told, "\"Good night\"")),
        (4, 1),
        "23:30 in Berlin is in the hour"
    );
    let id = house.id("scene Each quarter").to_owned();
    house.good("hub.scenes.enabled.set", json!({"_id": id, "enabled": false})).await;
    let after = sun(SunEvent::Sunrise, SunTiming::After, "01:00:00".parse().unwrap());
    house
        .create(
            SceneBuilder::new("Day")
                .when(after)
                .when(daily_at("12:00".parse().unwrap()))
                .then(set_item(plug.as_str(), false)),
        )
        .await;
    let day = house.heard(Duration::from_secs(24 * 3600)).await;
    assert_eq!((runs(&day, "\"Each quarter\""), runs(&day, "\"Day\""), runs(&day, "\"Evening light\"")), (0, 2, 1));
}

#[tokio::test]
async fn scenes_that_set_off_each_other_come_to_an_end() {
    let mut house = House::new().await;
    let light = house.id("Kitchen light/switch").to_owned();
    for (name, value) in [("On", true), ("Off", false)] {
        house
            .create(SceneBuilder::new(name).when(item_is(light.as_str(), value)).then(set_item(light.as_str(), !value)))
            .await;
    }
    house.create(SceneBuilder::new("Self")).await;
    let own = house.id("scene Self").to_owned();
    let endless = SceneBuilder::new("Self").then(run_scene(own.as_str())).build().unwrap();
    house.good("hub.scenes.edit", json!({"_id": own, "eo": wire::to_value(&endless)})).await;
    let told = house.transcript("hub.item.value.set", json!({"_id": light, "value": true}), SECOND).await;
    assert!(told.len() > 10 && told.len() < 500, "{}", told.len());
    let told = house.transcript("hub.scenes.run", json!({"sceneId": own}), SECOND).await;
    assert!(told.len() < 100, "{}", told.len());
    // Scenes on time go on, also one that begins such a quarrel itself.
    let again = SceneBuilder::new("Again").when(every("1m".parse().unwrap())).then(set_item(light.as_str(), true));
    house.create(again).await;
    let told = house.heard(Duration::from_secs(185)).await;
    let runs = told.iter().filter(|line| line.contains("\"Again\"") && line.contains("started")).count();
    assert_eq!(runs, 3, "{told:#?}");
}

#[tokio::test]
async fn a_mode_may_start_many_scenes_at_once() {
    let mut house = House::new().await;
    for number in 0..90 {
        house.create(SceneBuilder::new(&format!("S{number}")).when(mode_changed_to("2"))).await;
    }
    let told = house.transcript("hub.modes.switch", json!({"modeId": "2"}), MINUTE).await;
    let runs = told.iter().filter(|line| line.contains("scene.run.progress") && line.contains("finished")).count();
    assert_eq!(runs, 90);
}

#[tokio::test]
async fn a_run_does_not_outlive_the_restart_it_asked_for() {
    let mut house = House::new().await;
    let light = house.id("Kitchen light/switch").to_owned();
    let scene =
        SceneBuilder::new("Restart").then(Block::new("then", "rebootHub", [])).then(set_item(light.as_str(), true));
    house.create(scene).await;
    let id = house.id("scene Restart").to_owned();
    let told = house.transcript("hub.scenes.run", json!({"sceneId": id}), MINUTE).await;
    assert!(told.iter().all(|line| !line.contains("Kitchen light/switch") && !line.contains("finished")), "{told:#?}");
}

#[tokio::test]
async fn a_scene_is_refused_where_it_is_wrong() {
    let mut house = House::new().await;
    let mut scene = wire::to_value(&SceneBuilder::new("x").when(not(item_is("a", true))).build().unwrap());
    scene["when"][0]["fields"][0]["value"]["blockOptions"]["method"]["name"] = json!("isNothing");
    let refused = house.call("hub.scenes.create", scene).await;
    assert_eq!(refused["error"]["data"], "ezlo.scenes.method.unknown");
    assert!(refused["error"]["reason"].as_str().unwrap().starts_with("when[0].block:"), "{refused}");
}

/// One request that came, by its first line and body.
async fn one_request(listener: tokio::net::TcpListener) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut text = String::new();
    while !text.contains("\r\n\r\n") {
        let mut buffer = [0; 1024];
        let read = stream.read(&mut buffer).await.unwrap();
        text += std::str::from_utf8(&buffer[..read]).unwrap();
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    text
}

#[tokio::test]
async fn requests_of_scenes_stay_on_this_machine() {
    let mut house = House::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?x=1", listener.local_addr().unwrap());
    // A name that is not this machine's is not even looked up.
    let elsewhere = ezlo_protocol::hub::scene::http_get("http://hooks.example.com/hook");
    house.create(SceneBuilder::new("Hook").then(elsewhere).then(ezlo_protocol::hub::scene::http_get(&url))).await;
    let id = house.id("scene Hook").to_owned();
    let told = house.transcript("hub.scenes.run", json!({"sceneId": id}), SECOND).await;
    assert!(told.last().unwrap().ends_with("\"finished\""), "{told:?}");
    let request = within(one_request(listener)).await;
    assert!(request.starts_with("GET /hook?x=1 HTTP/1.1\r\n"), "{request}");
}

#[tokio::test]
async fn conditions_that_come_true_in_one_call_start_a_scene_once() {
    let mut house = House::new().await;
    let (light, plug) = (house.id("Kitchen light/switch").to_owned(), house.id("Plug/switch").to_owned());
    let (dimmer, lamp) = (house.id("Ceiling light/dimmer").to_owned(), house.id("Ceiling light/switch").to_owned());
    let both = all([item_is(light.as_str(), true), item_is(plug.as_str(), true)]);
    house.create(SceneBuilder::new("Both on").when(both)).await;
    let bright = all([item_compares(dimmer.as_str(), Greater, 0_i64), item_is(lamp.as_str(), true)]);
    house.create(SceneBuilder::new("Bright").when(bright)).await;
    let started = |told: &[String]| told.iter().filter(|line| line.contains("started")).count();
    let told = house.transcript("hub.item.value.set", json!({"ids": [light, plug], "value": true}), SECOND).await;
    assert_eq!(started(&told), 1, "{told:?}");
    let told = house.transcript("hub.item.value.set", json!({"_id": dimmer, "value": 50}), SECOND).await;
    assert_eq!(started(&told), 1, "{told:?}");
    let codes = house.id("Front door lock/user_codes").to_owned();
    house.create(SceneBuilder::new("Codes").when(item_changed(codes.as_str()))).await;
    let element = json!({"type": "userCode", "value": {"code": "4711", "name": "Guest"}});
    let params = json!({"_id": codes, "element": element});
    assert_eq!(started(&house.transcript("hub.item.dictionary.value.add", params, SECOND).await), 1);
}

/// `or`, `xor`, `not`, `else`: each by what it starts when its parts begin and cease to hold.
#[tokio::test]
async fn conditions_are_joined_as_their_names_say() {
    let mut house = House::new().await;
    let (door, motion) = (house.id("Front door/dw_state").to_owned(), house.id("Hall motion/motion").to_owned());
    let open = || item_is(door.as_str(), "dw_is_opened");
    let moves = || item_is(motion.as_str(), true);
    let mut one_of = all([open(), moves()]);
    let name = "xor";
    one_of.options.get_mut().unwrap().method.get_mut().unwrap().name = name.into();
    for (name, condition) in
        [("Any", any([open(), moves()])), ("All", all([open(), moves()])), ("One", one_of), ("No", not(open()))]
    {
        let otherwise = SceneBuilder::new(name).when(condition).then(switch_mode("1")).otherwise(switch_mode("1"));
        house.create(otherwise).await;
    }
    let mut runs = async |device: &str, item: &str, value: Value| {
        house.report(device, item, value);
        let told = house.heard(SECOND).await;
        let started = |line: &String| line.contains("scene.run.progress") && line.contains("status=\"started\"");
        let names = ["Any", "All", "One", "No"];
        let ran =
            |name: &&str| told.iter().any(|line| started(line) && line.contains(&format!("scene_name=\"{name}\"")));
        names.into_iter().filter(ran).collect::<Vec<_>>()
    };
    assert_eq!(runs("Front door", "dw_state", json!("dw_is_opened")).await, ["Any", "One", "No"], "No: by its else");
    assert_eq!(runs("Hall motion", "motion", json!(true)).await, ["All", "One"], "One: by its else");
    assert_eq!(runs("Front door", "dw_state", json!("dw_is_closed")).await, ["All", "One", "No"], "All: by its else");
    assert_eq!(runs("Hall motion", "motion", json!(false)).await, ["Any", "One"], "both by their else");
}
