//! Identification of JSON documents of unknown kind, and a check that their types are lossless.
//!
//! It is meant for directories of recorded messages: each document must survive a round trip through its type unchanged.

use serde_json::{Map, Value};

use crate::cloud::{access_point, account, api, hub_record, keys};
use crate::hub::method::{RoundTrip, round_trip as through};
use crate::hub::{
    broadcast, device, gateway, info, item, login, maintenance, method, mode, network, room, scene, value,
};
use crate::rpc::{Broadcast, REGISTERED, Reply, Request};
use crate::wire::DecodeError;
use crate::{identity, jwt};

/// The result of a round trip that lost nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The document has a type and was reproduced. The text names the type, such as `reply hub.scenes.list`.
    Typed(String),
    /// The document was reproduced as far as it has a type. The text names the part without a type and the reason.
    Other(String),
}

/// The error of a document that its type does not reproduce.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} does not survive the round trip: its type loses or changes a member")]
pub struct Lossy {
    what: String,
}

/// Identifies a document, deserialises it into its type and compares the serialised form with the input.
///
/// A reply does not always name its method. `hint` is a text that may contain the method name, such as a file name.
///
/// # Errors
///
/// [`Lossy`] if the type loses or changes a part of the document.
pub fn round_trip(document: &Value, hint: &str) -> Result<Outcome, Lossy> {
    match document {
        Value::Object(members) => object(document, members, hint),
        Value::Array(elements) if is_room_list(elements) => payload("room list", through::<room::RoomList>, document),
        Value::Array(elements) => array(elements, hint),
        _ => Ok(Outcome::Other("neither an object nor an array".into())),
    }
}

fn is_room_list(elements: &[Value]) -> bool {
    !elements.is_empty()
        && elements.iter().all(|element| {
            element["_id"].is_string()
                && element["name"].is_string()
                && element.as_object().is_some_and(|room| room.len() <= 3)
        })
}

fn array(elements: &[Value], hint: &str) -> Result<Outcome, Lossy> {
    for (at, element) in elements.iter().enumerate() {
        if let Outcome::Other(reason) = round_trip(element, hint)? {
            return Ok(Outcome::Other(format!("element {at}: {reason}")));
        }
    }
    Ok(Outcome::Typed(format!("{} documents", elements.len())))
}

fn object(document: &Value, members: &Map<String, Value>, hint: &str) -> Result<Outcome, Lossy> {
    let has = |name: &str| members.contains_key(name);
    if has("msg_subclass") {
        envelope("broadcast", through::<Broadcast>, document, || broadcast_content(members))
    } else if has("result") || has("error") && (has("id") || has("method")) {
        envelope("reply", through::<Reply>, document, || reply_result(members, hint))
    } else if has("method") && has("id") || has("method") && has("params") {
        envelope("request", through::<Request>, document, || request_params(members))
    } else {
        match SHAPES.iter().find(|shape| (shape.is)(members)) {
            Some(shape) => payload(shape.name, shape.through, document),
            None => Ok(Outcome::Other("no known document has these members".into())),
        }
    }
}

/// Checks the envelope, then the payload. The payload decides the outcome.
fn envelope(
    what: &str,
    through: RoundTrip,
    document: &Value,
    inner: impl FnOnce() -> Result<Outcome, Lossy>,
) -> Result<Outcome, Lossy> {
    match payload(what, through, document)? {
        Outcome::Typed(_) => inner(),
        other => Ok(other),
    }
}

fn payload(what: &str, through: RoundTrip, document: &Value) -> Result<Outcome, Lossy> {
    match through(document) {
        Ok(back) if back == *document => Ok(Outcome::Typed(what.into())),
        Ok(_) => Err(Lossy { what: what.into() }),
        Err(error) => Ok(Outcome::Other(format!("{what}: {error}"))),
    }
}

fn broadcast_content(members: &Map<String, Value>) -> Result<Outcome, Lossy> {
    let name = members["msg_subclass"].as_str().unwrap_or_default();
    match (broadcast::spec(name), members.get("result")) {
        (Some(spec), Some(content)) => payload(&format!("broadcast {name}"), spec.content, content),
        (Some(_), None) => Ok(Outcome::Typed(format!("broadcast {name} without content"))),
        (None, _) => Ok(Outcome::Other(format!("unknown broadcast {name}"))),
    }
}

fn request_params(members: &Map<String, Value>) -> Result<Outcome, Lossy> {
    let name = members["method"].as_str().unwrap_or_default();
    match (method::spec(name), members.get("params")) {
        (Some(spec), Some(params)) => payload(&format!("request {name}"), spec.params, params),
        (Some(_), None) => Ok(Outcome::Typed(format!("request {name} without params"))),
        (None, _) => Ok(Outcome::Other(format!("unknown method {name}"))),
    }
}

fn reply_result(members: &Map<String, Value>, hint: &str) -> Result<Outcome, Lossy> {
    let failed = members.get("error").is_some_and(|error| !error.is_null());
    let result = members.get("result").unwrap_or(&Value::Null);
    let empty = result.is_null() || result.as_object().is_some_and(Map::is_empty);
    let said = members.get("method").and_then(Value::as_str).map(|name| match name {
        REGISTERED => "register",
        name => name,
    });
    let name = said.or_else(|| named_in(hint));
    match name.map(|name| (name, method::spec(name))) {
        // Error replies have the same shape for every method.
        _ if failed && empty => Ok(Outcome::Typed("error reply".into())),
        Some((name, Some(spec))) => payload(&format!("reply {name}"), spec.result, result),
        Some((name, None)) => Ok(Outcome::Other(format!("unknown method {name}"))),
        None if empty => Ok(Outcome::Typed("empty reply".into())),
        None => round_trip(result, hint),
    }
}

/// Returns the longest method name that occurs in the text. Some names contain others.
fn named_in(hint: &str) -> Option<&'static str> {
    method::METHODS.iter().map(|method| method.name).filter(|name| hint.contains(name)).max_by_key(|name| name.len())
}

/// A document type that is identified by the members of the document.
struct Shape {
    name: &'static str,
    is: fn(&Map<String, Value>) -> bool,
    through: RoundTrip,
}

fn dump(document: &Value) -> Result<Value, DecodeError> {
    through::<HubDump>(document)
}

wire! {
    /// Several lists of one hub in one document, as dump tools write them.
    HubDump {
        /// Result of `hub.info.get`.
        info: crate::wire::Field<info::HubInfo> = "info",
        /// Devices of `hub.devices.list`.
        devices: crate::wire::Field<Vec<device::Device>> = "devices",
        /// Items of `hub.items.list`.
        items: crate::wire::Field<Vec<item::Item>> = "items",
        /// Result of `hub.room.list`.
        rooms: crate::wire::Field<room::RoomList> = "rooms",
        /// Scenes of `hub.scenes.list`.
        scenes: crate::wire::Field<Vec<scene::Scene>> = "scenes",
        /// Result of `hub.modes.get`.
        modes: crate::wire::Field<mode::ModesState> = "modes",
    }
}

macro_rules! shapes {
    ($( $name:literal: $members:ident => $is:expr, $through:expr; )*) => {
        /// The document types, most specific first. The first match wins.
        const SHAPES: &[Shape] = &[$( Shape { name: $name, is: |$members| $is, through: $through } ),*];
    };
}

fn has_all(members: &Map<String, Value>, names: &[&str]) -> bool {
    names.iter().all(|name| members.contains_key(*name))
}

fn has_any(members: &Map<String, Value>, names: &[&str]) -> bool {
    names.iter().any(|name| members.contains_key(*name))
}

fn locator(members: &Map<String, Value>) -> bool {
    let first = members.get("Devices").and_then(|devices| devices.get(0));
    first.is_some_and(|hub| hub["PK_Device"].is_number() || any_of_value(hub, &["InternalIP", "LastAliveReported"]))
}

fn any_of_value(value: &Value, names: &[&str]) -> bool {
    value.as_object().is_some_and(|members| has_any(members, names))
}

shapes! {
    "login answer": m => has_all(m, &["Identity", "IdentitySignature"]), through::<account::LoginAnswer>;
    "identity": m => has_all(m, &["Expires", "Generated"]), through::<identity::IdentityDocument>;
    "locator answer": m => locator(m), through::<hub_record::LocatorAnswer>;
    "hub list": m => has_all(m, &["Devices"]), through::<account::HubList>;
    "user list": m => has_all(m, &["Users"]), through::<account::UserList>;
    "hub record": m => has_all(m, &["PK_Device"]) && has_any(m, &["Server_Relay", "NMAControllerStatus", "LinuxFirmware", "FirmwareVersion"]),
        through::<hub_record::HubRecord>;
    "located hub": m => has_all(m, &["PK_Device"]) && has_any(m, &["LastAliveReported"]), through::<hub_record::LocatedHub>;
    "hub list entry": m => has_all(m, &["PK_Device"]) && has_any(m, &["DeviceAssigned", "PK_DeviceType"]), through::<account::HubListEntry>;
    "claim answer": m => has_all(m, &["PK_Device", "PK_Installation"]), through::<account::ClaimAnswer>;
    "user record": m => has_all(m, &["PK_User", "Username"]), through::<account::UserRecord>;
    "account record": m => has_any(m, &["PK_Account", "PK_AccountType", "Billing", "PK_Account_Parent"]), through::<account::AccountRecord>;
    "cloud API answer": m => has_all(m, &["status", "data"]), api_answer;
    "cloud API call": m => has_all(m, &["call"]), through::<api::ApiCall>;
    "password login": m => has_all(m, &["user_id", "user_password"]), through::<api::PasswordLogin>;
    "access keys": m => m.get("keys").is_some_and(Value::is_object), through::<keys::AccessKeys>;
    "token payload": m => m.get("token").is_some_and(Value::is_object), through::<jwt::JwtPayload>;
    "local login": m => has_all(m, &["user", "token"]), through::<login::OfflineLogin>;
    "token answer": m => has_all(m, &["token"]), through::<api::TokenAnswer>;
    "controller list": m => has_all(m, &["controllers"]), through::<api::ControllerList>;
    "Wi-Fi networks": m => has_all(m, &["networks"]) && !has_any(m, &["interfaceId"]), through::<access_point::WifiNetworks>;
    "Wi-Fi connect": m => has_all(m, &["ssid", "passkey"]), through::<access_point::WifiConnect>;
    "Wi-Fi network": m => has_all(m, &["ssid", "rssi"]), through::<access_point::WifiNetwork>;
    "relay login": m => has_all(m, &["MMSAuth", "MMSAuthSig"]), through::<login::LoginUserMios>;
    "hub dump": m => has_all(m, &["devices", "items"]), dump;
    "hub info": m => has_all(m, &["serial"]) && has_any(m, &["model", "architecture", "firmware"]), through::<info::HubInfo>;
    "modes": m => has_all(m, &["current", "modes"]), through::<mode::ModesState>;
    "device list": m => m.len() == 1 && has_all(m, &["devices"]), through::<device::DeviceList>;
    "item list": m => m.len() == 1 && has_all(m, &["items"]), through::<item::ItemList>;
    "scene list": m => has_all(m, &["scenes"]), through::<scene::SceneList>;
    "gateway list": m => has_all(m, &["gateways"]), through::<gateway::GatewayList>;
    "network": m => has_all(m, &["interfaces"]), through::<network::Network>;
    "favourites": m => has_all(m, &["favorites"]), through::<maintenance::FavoriteList>;
    "scene block": m => has_all(m, &["blockType"]), through::<scene::Block>;
    "scene": m => has_all(m, &["when", "then"]), through::<scene::Scene>;
    "scene blocks": m => has_any(m, &["when", "then"]), through::<scene::BlockList>;
    "item": m => has_all(m, &["deviceId"]) && has_any(m, &["valueType", "hasGetter"]), through::<item::Item>;
    "device": m => has_any(m, &["deviceTypeId", "gatewayId", "category"]), through::<device::Device>;
    "scene field": m => has_all(m, &["name", "type", "value"]), through::<scene::BlockField>;
    "value": m => has_all(m, &["value"]) && has_any(m, &["valueType", "type", "scale"]), through::<value::TypedValue>;
    "Wi-Fi status": m => m.get("status").is_some_and(Value::is_string) && m.len() <= 4, through::<access_point::WifiStatus>;
    "room": m => m.len() == 2 && has_all(m, &["_id", "name"]), through::<room::Room>;
}

/// Round trip of a cloud API response: the envelope, and its `data` by the shape of its members.
fn api_answer(document: &Value) -> Result<Value, DecodeError> {
    let back = through::<api::ApiAnswer>(document)?;
    let inner = document["data"].as_object().and_then(|data| SHAPES.iter().find(|shape| (shape.is)(data)));
    match inner {
        Some(shape) => (shape.through)(&document["data"]).map(|data| {
            let mut back = back;
            back["data"] = data;
            back
        }),
        None => Ok(back),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_reply_without_a_method_is_identified_by_hint_or_members() {
        let reply = json!({"error": null, "id": "_ID_", "result": {"scenes": []}});
        let by_name = round_trip(&reply, "043-reply-hub.scenes.list.json").unwrap();
        assert_eq!(by_name, Outcome::Typed("reply hub.scenes.list".into()));
        assert_eq!(round_trip(&reply, "").unwrap(), Outcome::Typed("scene list".into()));
    }

    #[test]
    fn documents_without_a_type_are_reported() {
        let cases = [
            json!({"id": "ui_broadcast", "msg_subclass": "hub.new", "result": {}}),
            json!({"id": 1, "method": "hub.new", "params": {}}),
            json!({"hello": "world"}),
            json!({"id": 1, "method": "hub.devices.list", "error": null, "result": []}),
            json!(7),
        ];
        for case in cases {
            assert!(matches!(round_trip(&case, ""), Ok(Outcome::Other(_))), "{case}");
        }
    }

    #[test]
    fn hub_lists_with_numbers_or_text_are_typed() {
        for document in [
            json!({"Devices": [{"PK_Device": "90000001", "PK_DeviceType": "7", "Blocked": 0}]}),
            json!({"Devices": [{"PK_Device": 90000001, "PK_DeviceType": 7, "Blocked": "0"}]}),
        ] {
            assert!(matches!(round_trip(&document, ""), Ok(Outcome::Typed(_))), "{document}");
        }
    }

    /// Arbitrary JSON, to find recognisers that index into missing members.
    fn any_json() -> impl Strategy<Value = Value> {
        let names = [
            "id",
            "method",
            "result",
            "error",
            "msg_subclass",
            "Devices",
            "keys",
            "devices",
            "items",
            "token",
            "data",
            "status",
            "value",
            "type",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z.]{0,12}".prop_map(Value::from),
            Just(json!("hub.item.updated")),
            Just(json!("hub.devices.list")),
        ];
        leaf.prop_recursive(4, 32, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((prop::sample::select(names.to_vec()), inner), 0..5)
                    .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_document_is_lossy(document in any_json()) {
            prop_assert!(round_trip(&document, "").is_ok(), "{document}");
        }
    }
}
