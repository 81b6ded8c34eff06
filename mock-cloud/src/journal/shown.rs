//! Masking of secrets in the content of journal entries.

use ezlo_protocol::rpc::Envelope;
use ezlo_protocol::secret::masked;
use serde_json::{Map, Value, json};

/// A message longer than 16 times this number of bytes is shown without its content.
const SHOWN_TEXT: usize = 4096;
/// Maximum number of query names that are shown.
const SHOWN_NAMES: usize = 32;
/// Maximum length of a query name, in characters.
const SHOWN_NAME: usize = 64;

/// Returns the parameter names of a query, masked and shortened. A part without `=` is omitted, because it may be a secret.
pub(crate) fn query_names(query: &str) -> Vec<String> {
    let named = query.split('&').filter_map(|part| part.split_once('=')).filter(|(name, _)| !name.is_empty());
    named.take(SHOWN_NAMES).map(|(name, _)| shown_name(name)).collect()
}

/// Returns the name, masked and shortened.
pub(crate) fn shown_name(name: &str) -> String {
    masked(name).chars().take(SHOWN_NAME).collect()
}

/// Members with secret values, in lower case.
const SECRET: &[&str] = &[
    "key",
    "code",
    "pin",
    "mmssession",
    "string",
    "user_codes",
    "value_code",
    // The provisioning of a controller: private keys, and digests of local tokens.
    "clients",
    "private",
    "provision_data",
];
/// Parts of the names of members with secret values, in lower case.
const SECRET_PARTS: &[&str] = &[
    "passw",
    "cookie",
    "credential",
    "passk",
    "passp",
    "psk",
    "token",
    "auth",
    "secret",
    "signature",
    "hmac",
    "hash",
    "identity",
    "_key",
    "key_",
    "_code",
];
/// Path segments that precede a secret.
const BEFORE_SECRETS: &[&str] = &["session", "token", "key"];

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    SECRET.contains(&name.as_str()) || SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// Path segments of calls that follow such a segment and are no secrets: `/info/session/token`,
/// `/mca-router/token/exchange/legacy-to-cloud/`. A test compares them with the table of routes.
pub(crate) const FIXED_PARTS: &[&str] = &["token", "exchange"];

/// Returns the path with masked secrets: the segments after `session`, `token` and `key`, and segments like a token.
pub(crate) fn shown_path(path: &str) -> String {
    let mut hides = false;
    let parts = path.split('/').map(|part| {
        let shown =
            if hides && !part.is_empty() && !FIXED_PARTS.contains(&part) { "***".to_owned() } else { masked(part) };
        hides = BEFORE_SECRETS.iter().any(|name| part.eq_ignore_ascii_case(name));
        shown
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Returns a message with masked secrets. A long message is shown as `id` and `bytes`, other text as its length only.
pub(crate) fn shown(text: &str) -> Value {
    if text.len() > SHOWN_TEXT * 16 {
        let envelope = Envelope::parse(text).unwrap_or_default();
        let id = envelope.id.and_then(|id| serde_json::from_str::<Value>(id.get()).ok());
        return json!({"id": id, "bytes": text.len()});
    }
    match serde_json::from_str::<Value>(text) {
        Ok(message) => hidden(message, ""),
        // Text that is not JSON may contain secrets.
        Err(_) => json!({"unreadable": true, "bytes": text.len()}),
    }
}

/// Masks the secrets in `value`, the value of the member `under`.
fn hidden(value: Value, under: &str) -> Value {
    match value {
        Value::Object(members) => {
            // The value of an item with codes is a secret of any type.
            let is_code = |name: &&str| {
                let text = members.get(*name).and_then(Value::as_str);
                text.is_some_and(|text| text.to_ascii_lowercase().contains("code"))
            };
            // Control calls name the item in `item`.
            let holds_codes = ["name", "item", "elementType"].iter().any(is_code);
            let holds_secret = is_secret_field(&members);
            let hide = |(name, value): (String, Value)| {
                // The numeric code of an error is not a secret.
                let is_plain = value.is_null() || name == "code" && value.is_number() && under == "error";
                let is_code = holds_codes && matches!(name.as_str(), "value" | "valueFormatted");
                let is_field = holds_secret && name == "value";
                let secret = !is_plain && (is_code || is_field || is_secret(&name));
                let value = if secret { Value::from("***") } else { hidden(value, &name) };
                (name, value)
            };
            Value::Object(members.into_iter().map(hide).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| hidden(item, under)).collect()),
        Value::String(text) => shown_text(text).into(),
        other => other,
    }
}

/// Returns whether the members are a field of a scene whose value is secret: HTTP headers, credentials, or a name of a secret.
///
/// A field can have any name, and the names of headers do not say which of them authenticate, so the type decides.
fn is_secret_field(members: &Map<String, Value>) -> bool {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let is_secret_type = |kind: &str| matches!(kind, "dictionary" | "credential");
    text("type").is_some_and(|kind| is_secret_type(kind) || text("name").is_some_and(is_secret))
}

/// Masks the secrets in a string, which may be JSON or a URL with keys.
fn shown_text(text: String) -> String {
    if text.starts_with(['{', '[']) {
        return match serde_json::from_str::<Value>(&text) {
            Ok(inside) => hidden(inside, "").to_string(),
            Err(_) => masked(&text),
        };
    }
    let Some((scheme, rest)) = text.split_once("://") else { return text };
    let (place, query) = rest.split_once('?').map_or((rest, ""), |(place, _)| (place, "?***"));
    let (authority, path) = place.split_once('/').unwrap_or((place, ""));
    let authority = authority.rsplit_once('@').map_or_else(|| authority.to_owned(), |(_, host)| format!("***@{host}"));
    format!(
        "{scheme}://{authority}{}{query}",
        if path.is_empty() { String::new() } else { shown_path(&format!("/{path}")) }
    )
}
