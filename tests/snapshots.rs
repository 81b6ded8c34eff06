//! Snapshots of the simulated replies, named after host role and call. Tokens are verified before they are masked.

use ezlo_mock_cloud::MockCloud;
use ezlo_protocol::identity::IdentityDocument;
use ezlo_protocol::password::sha1_password;
use ezlo_testkit::{Answer, address, http as ask};
use serde_json::{Value, json};

use crate::support::{START, frozen, http, pair, registered};

fn snapshot(name: &str, value: &Value) {
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_json_snapshot!(name, value);
    });
}

/// Verifies user, times and signature length of an identity pair, then masks it.
fn hide_pair(answer: &mut Value, username: &str) {
    for (identity, signature) in [("Identity", "IdentitySignature"), ("auth", "sig")] {
        if let Some(text) = answer[identity].as_str() {
            let document = IdentityDocument::decode(&text.into()).unwrap();
            assert_eq!(document.username.as_deref(), Some(username));
            assert_eq!((document.generated, document.expires), (START, START + 86_400));
            assert_eq!(answer[signature].as_str().unwrap().len(), 344);
            answer[identity] = json!("[identity]");
            answer[signature] = json!("[signature]");
        }
    }
}

/// Masks the address of this cloud, because its port differs from run to run.
fn hide_ports(cloud: &MockCloud, value: &Value) -> Value {
    let text = value.to_string().replace(&http(cloud).to_string(), "[authority]");
    serde_json::from_str(&text).unwrap()
}

async fn get(cloud: &MockCloud, head: &str, headers: &[(&str, &str)]) -> Answer {
    let answer = ask(http(cloud), head, headers, b"").await;
    assert_eq!(answer.status, 200, "{head}: {}", answer.body);
    answer
}

#[tokio::test]
async fn auth_server_replies_match_their_snapshots() {
    let cloud = frozen().await;
    let mut created = get(
        &cloud,
        "POST /autha/auth/username?Username=new.user&Email=n@example.com&Password=password-1&PK_Oem=1",
        &[],
    )
    .await
    .json();
    hide_pair(&mut created, "new.user");
    snapshot("auth__create_account", &hide_ports(&cloud, &created));
    let hash = sha1_password("demo.user", &"demo-password".into());
    for (name, version) in [("auth__login", ""), ("auth__login_token_version_2", "&TokenVersion=2")] {
        let head = format!("GET /autha/auth/username/demo.user?SHA1Password={}&PK_Oem=1{version}", hash.expose());
        let mut login = get(&cloud, &head, &[]).await.json();
        hide_pair(&mut login, "demo.user");
        snapshot(name, &hide_ports(&cloud, &login));
    }
}

#[tokio::test]
async fn account_and_device_server_replies_match_their_snapshots() {
    let cloud = frozen().await;
    let pair = pair(&cloud).await;
    let auth = [("MMSAuth", pair.identity.expose()), ("MMSAuthSig", pair.signature.expose())];
    let calls = [
        ("account__account", "GET /account/account/account/1200001"),
        ("account__users", "GET /account/account/account/1200001/users"),
        ("account__devices", "GET /account/account/account/1200001/devices"),
        (
            "account__change_account",
            "PUT /account/account/account/1200001?json={%22Billing%22:{%22FirstName%22:%22John%22}}",
        ),
        ("account__claim", "PUT /account/installation/installation/0/device/90000002?MacAddress=AA:BB:CC:00:00:02"),
        ("device__device_info_ezlo", "GET /device/device/device/90000001"),
        ("device__device_info_vera", "GET /device/device/device/50000001"),
        ("locator__locator", "GET /locator/locator/locator"),
    ];
    for (name, head) in calls {
        snapshot(name, &hide_ports(&cloud, &get(&cloud, head, &auth).await.json()));
    }
    let token = get(&cloud, "GET /info/session/token", &auth).await.body;
    assert!(token.len() == 38 && token.bytes().all(|digit| digit.is_ascii_hexdigit()), "{token}");
}

#[tokio::test]
async fn cloud_api_replies_match_their_snapshots() {
    let cloud = frozen().await;
    let pair = pair(&cloud).await;
    let auth = [("MMSAuth", pair.identity.expose()), ("MMSAuthSig", pair.signature.expose())];
    let exchanged = get(&cloud, "GET /mca-router/token/exchange/legacy-to-cloud/?pk_user=2800001", &auth).await.json();
    let token = exchanged["token"].as_str().unwrap();
    let payload = ezlo_protocol::jwt::JwtPayload::decode(&token.into()).unwrap();
    assert_eq!(payload.expires_at(), Some(START + 86_400));
    let bearer = format!("Bearer {token}");
    let body = br#"{"call":"access_keys_sync","version":"1","params":{"version":-1}}"#;
    let mut keys = ask(http(&cloud), "POST /v1/request", &[("authorization", &bearer)], body).await.json();
    for (_, key) in keys["data"]["keys"].as_object_mut().unwrap() {
        if key["data"].is_object() {
            assert_eq!(key["data"]["string"].as_str().unwrap().len(), 32);
            key["data"]["string"] = json!("[local token]");
        }
    }
    snapshot("cloud_api__access_keys_sync", &keys);
    let mut list =
        get(&cloud, "GET /api/v4/controller_list/3/controllers?local_key=1", &[("x-access-token", token)]).await.json();
    for hub in list["controllers"].as_array_mut().unwrap() {
        assert_eq!(hub["local_key"].as_str().unwrap().len(), 32);
        hub["local_key"] = json!("[local token]");
    }
    snapshot("cloud_api__controller_list", &hide_ports(&cloud, &list));
    let refused = ask(http(&cloud), "POST /v1/request", &[], body).await.json();
    snapshot("cloud_api__refused", &refused);
    let mut exchanged = exchanged;
    exchanged["token"] = json!("[cloud token]");
    snapshot("cloud_api__exchange", &exchanged);
    let body = br#"{"user_id":"demo.user","user_password":"demo-password"}"#;
    let by_gateway =
        br#"{"call":"login_with_id_and_password","params":{"user_id":"demo.user","user_password":"demo-password"}}"#;
    let calls: [(&str, &str, &[u8]); 3] = [
        ("cloud_api__login_v4_1", "POST /api/v4/login/1/sessions", body),
        ("cloud_api__login_v4_3", "POST /api/v4/login/3/sessions", body),
        ("cloud_api__login_with_id_and_password", "POST /v1/request", by_gateway),
    ];
    for (name, head, body) in calls {
        let mut answer = ask(http(&cloud), head, &[], body).await.json();
        let inner = if answer.get("data").is_some() { &mut answer["data"] } else { &mut answer };
        let token = inner["token"].as_str().unwrap().into();
        assert!(ezlo_protocol::jwt::JwtPayload::decode(&token).unwrap().expires_at().is_some());
        inner["token"] = json!("[cloud token]");
        if inner.get("legacy_token").is_some() {
            hide_pair(&mut inner["legacy_token"], "demo.user");
        }
        snapshot(name, &answer);
    }
}

#[tokio::test]
async fn access_point_replies_match_their_snapshots() {
    let cloud = frozen().await;
    let fresh = &cloud.ready().hubs[1];
    let (api, root) = (address(fresh.ap.as_deref().unwrap()), address(fresh.ap_root.as_deref().unwrap()));
    snapshot("access_point__networks", &ask(api, "GET /wifi/networks", &[], b"").await.json());
    snapshot("access_point__status_disconnected", &ask(api, "GET /wifi/status", &[], b"").await.json());
    let body = b"{\n\"ssid\": \"NETWORK_SSID\",\n\"passkey\": \"WIFIPASS\"\n}";
    let headers = [("content-type", "application/javascript")];
    snapshot("access_point__connect", &ask(api, "POST /wifi/network/connect", &headers, body).await.json());
    snapshot("access_point__status_connecting", &ask(api, "GET /wifi/status", &[], b"").await.json());
    cloud.advance(std::time::Duration::from_secs(1)).await;
    snapshot("access_point__status_connected", &ask(api, "GET /wifi/status", &[], b"").await.json());
    snapshot("access_point__close", &ask(api, "POST /wifi/network/close", &[], b"").await.json());
    assert_eq!(ask(api, "GET /wifi/status", &[], b"").await.status, 0, "the closed access point does not answer");
    snapshot("access_point__restart", &ask(root, "POST /restart", &[], b"").await.json());
}

#[tokio::test]
async fn hub_replies_and_transcripts_match_their_snapshots() {
    let cloud = frozen().await;
    let mut socket = registered(&cloud).await;
    for (method, list) in [("hub.devices.list", "devices"), ("hub.items.list", "items")] {
        let reply = socket.ask(json!({"id": "_ID_", "method": method, "params": {}}).to_string()).await;
        // The first entry is enough: the others have the same structure.
        snapshot(&format!("hub__{}_first", method.replace('.', "_")), &reply["result"][list][0]);
    }
    let calls = [
        "hub.info.get",
        "hub.modes.get",
        "hub.room.list",
        "hub.scenes.list",
        "hub.gateways.list",
        "hub.network.get",
        "hub.settings.list",
    ];
    for method in calls {
        let mut reply = socket.ask(json!({"id": "_ID_", "method": method, "params": {}}).to_string()).await;
        assert_eq!(reply["sender"]["conn_id"].as_str().unwrap().len(), 36);
        reply["sender"]["conn_id"] = json!("[conn_id]");
        snapshot(&format!("hub__{}", method.replace('.', "_")), &reply);
    }
    for (name, script, last) in
        [("include", "start_include", "include_finished"), ("exclude", "start_exclude", "exclude_finished")]
    {
        let call = json!({"id": "run", "method": "hub.extensions.plugin.run", "params": {"script": format!("HUB:zwave/scripts/{script}")}});
        socket.text(call.to_string()).await;
        let mut transcript = vec![socket.json().await["method"].as_str().unwrap().to_owned()];
        cloud.advance(std::time::Duration::from_secs(1)).await;
        while !transcript.last().unwrap().ends_with(last) {
            let frame = socket.json().await;
            let event = frame["result"]["event"].as_str().map(|event| format!(" {event}")).unwrap_or_default();
            transcript.push(format!("{}{event}", frame["msg_subclass"].as_str().unwrap()));
        }
        assert_eq!(socket.json().await["msg_subclass"], "hub.extensions.plugin.run.progress");
        snapshot(&format!("hub__transcript_{name}"), &json!(transcript));
    }
}
