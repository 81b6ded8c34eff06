//! Pseudonyms for values, tokens and codes.

use std::collections::{BTreeMap, HashMap};

use ezlo_protocol::hub::catalogue::ENUMERATIONS;
use ezlo_protocol::hub::value::{
    ButtonPress, CameraStream, DailyInterval, Rgb, Shape, SoundInfo, UserCode, UserLockOperation, ValueType,
    WeeklyInterval,
};
use ezlo_protocol::wire::Document as _;
use serde_json::{Map, Value, json};

use crate::templates::USER_CODE_MODES;

/// Returns a token of a known enumeration as it is. Any other token can be personal and gets a pseudonym.
pub(super) fn plain_token(token: &str, names: &mut Pseudonyms) -> String {
    let known = ENUMERATIONS.iter().any(|enumeration| enumeration.tokens.contains(&token));
    if known { token.to_owned() } else { names.of("token", token).replace(' ', "_") }
}

/// Returns whether a text consists of nested value types, such as `user_code` or `array.daily_interval`.
pub(super) fn is_type_path(path: &str) -> bool {
    path.split('.').all(|kind| {
        let one = kind.strip_suffix("_array").unwrap_or(kind);
        ValueType::from(kind).is_known() || ValueType::from(one).is_known()
    })
}

/// Returns whether a text is a pattern for codes, such as `\d{4,8}`, and not a code. Numbers in a pattern are lengths.
pub(super) fn is_pattern(rule: &str) -> bool {
    let longest = rule.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or_default();
    let lengths = longest <= 2 || rule.contains("0-9") || rule.contains("0123456789");
    rule.len() <= 64 && lengths && rule.chars().all(|c| c.is_ascii_digit() || "\\dDwW{}[](),^$+*?-|".contains(c))
}

/// Returns whether a text is a device type id: manufacturer, product type and product as numbers.
pub(super) fn is_type_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 20 && text.chars().all(|c| c.is_ascii_digit() || c == '_')
}

/// Returns a value without personal texts. Numbers, Booleans, times and known tokens are retained.
pub(super) fn scrub(kind: &ValueType, element: Option<&str>, value: &Value, names: &mut Pseudonyms) -> Value {
    match (kind, value) {
        (ValueType::Token, Value::String(token)) => plain_token(token, names).into(),
        (ValueType::Dictionary, Value::Object(members)) => {
            let (kind, rest) = element_of(element);
            let one = |(key, value): (&String, &Value)| {
                // A longer number can be a code or a telephone number.
                let numbered = key.len() <= 4 && key.bytes().all(|digit| digit.is_ascii_digit());
                let key = if numbered { key.clone() } else { plain_token(key, names) };
                (key, scrub(&kind, rest, value, names))
            };
            members.iter().filter(|(_, value)| !value.is_null()).map(one).collect()
        }
        (ValueType::Array, Value::Array(all)) => {
            let (kind, rest) = element_of(element);
            all.iter().map(|one| scrub(&kind, rest, one, names)).collect()
        }
        (kind, Value::Array(all)) if kind.as_str().ends_with("_array") => {
            let (kind, rest) = element_of(kind.as_str().strip_suffix("_array"));
            all.iter().map(|one| scrub(&kind, rest, one, names)).collect()
        }
        (ValueType::UserCode, Value::Object(code)) => {
            let mut kept = Map::new();
            let digits = code.get("code").and_then(Value::as_str).unwrap_or_default();
            kept.insert("code".into(), names.code(digits).into());
            kept.insert("name".into(), names.of("User", digits).into());
            let mode = code.get("mode").and_then(Value::as_str).filter(|mode| USER_CODE_MODES.contains(mode));
            kept.extend(mode.map(|mode| ("mode".to_owned(), mode.into())));
            kept.into()
        }
        (
            ValueType::ButtonState
            | ValueType::UserLockOperation
            | ValueType::WeeklyInterval
            | ValueType::DailyInterval
            | ValueType::Rgb,
            _,
        ) => known_members(value, names),
        (kind, value) => match kind.shape() {
            Shape::Number | Shape::Integer | Shape::Bool if !value.is_object() => value.clone(),
            Shape::Number => known_members(value, names),
            _ => without_texts(value, names),
        },
    }
}

fn element_of(path: Option<&str>) -> (ValueType, Option<&str>) {
    let path = path.unwrap_or_default();
    let (kind, rest) = path.split_once('.').map_or((path, None), |(kind, rest)| (kind, Some(rest)));
    (ValueType::from(kind), rest)
}

/// Returns the members of a structured value that its type has. Numbers, times and known tokens are retained.
fn known_members(value: &Value, names: &mut Pseudonyms) -> Value {
    let is_time =
        |text: &str| text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit() || b"T:-".contains(&byte));
    match value {
        Value::Object(all) => {
            let known = all.iter().filter(|(name, one)| is_member(name) && !one.is_null());
            known.map(|(name, one)| (name.clone(), known_members(one, names))).collect()
        }
        Value::Array(all) => all.iter().filter(|one| !one.is_null()).map(|one| known_members(one, names)).collect(),
        Value::String(text) if is_time(text) => value.clone(),
        Value::String(text) => plain_token(text, names).into(),
        other => other.clone(),
    }
}

/// Returns whether a name is a member of a structured value type. Any other name can be personal.
pub(super) fn is_member(name: &str) -> bool {
    const MEMBERS: [&[&str]; 9] = [
        ButtonPress::MEMBERS,
        CameraStream::MEMBERS,
        DailyInterval::MEMBERS,
        Rgb::MEMBERS,
        SoundInfo::MEMBERS,
        UserCode::MEMBERS,
        UserLockOperation::MEMBERS,
        WeeklyInterval::MEMBERS,
        &["value", "scale"],
    ];
    MEMBERS.iter().any(|members| members.contains(&name))
}

/// Returns an empty value of the same JSON type.
pub(super) fn blank(value: &Value) -> Value {
    match value {
        Value::Bool(_) => false.into(),
        Value::Number(_) => 0.into(),
        Value::Array(_) => json!([]),
        Value::Object(_) => json!({}),
        Value::String(_) | Value::Null => "".into(),
    }
}

fn without_texts(value: &Value, names: &mut Pseudonyms) -> Value {
    match value {
        Value::String(text) if text.is_empty() => value.clone(),
        Value::String(text) => names.of("text", text).into(),
        Value::Array(all) => all.iter().filter(|one| !one.is_null()).map(|one| without_texts(one, names)).collect(),
        Value::Object(all) => all
            .iter()
            .filter(|(_, one)| !one.is_null())
            .map(|(name, one)| {
                let name = if is_member(name) { name.clone() } else { names.of("member", name) };
                (name, without_texts(one, names))
            })
            .collect(),
        other => other.clone(),
    }
}

/// Numbers for names, assigned in the order of first use.
#[derive(Default)]
pub(super) struct Pseudonyms {
    given: BTreeMap<String, HashMap<String, usize>>,
}

impl Pseudonyms {
    fn number(&mut self, kind: &str, real: &str) -> usize {
        let of_kind = self.given.entry(kind.to_owned()).or_default();
        let next = of_kind.len() + 1;
        *of_kind.entry(real.to_owned()).or_insert(next)
    }

    pub(super) fn of(&mut self, kind: &str, real: &str) -> String {
        format!("{kind} {}", self.number(kind, real))
    }

    /// Returns a pseudonymous code of the length of the real one, so that it fits the pattern of the lock.
    pub(super) fn code(&mut self, real: &str) -> String {
        // Stars disclose nothing.
        if !real.is_empty() && real.bytes().all(|byte| byte == b'*') {
            return real.to_owned();
        }
        let number = self.number("code", real);
        format!("{number:0width$}", width = real.len().max(1))
    }
}
