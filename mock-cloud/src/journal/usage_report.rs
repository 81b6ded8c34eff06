//! What a client should hear of from its developer: requests that nobody answers, with those that come near, and members that
//! it sends and that make no difference here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ezlo_protocol::hub::method::MethodSpec;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};

use crate::journal::{Entry, EntryKind, Journal};
use crate::wire::frame_scan::keys_subset_of;

/// How near a name has to be, 0 to 1, and how many are told.
const NEAR: f64 = 0.6;
const TOLD: usize = 3;
/// Longest name that is compared; a longer one is nobody's.
const LONGEST: usize = 256;
/// Members of one call that are told.
const MEMBERS: usize = 32;

/// Nobody answers that.
pub(crate) fn record_unmatched(journal: &Journal, name: &str, asked: &str, known: impl Iterator<Item = String>) {
    let nearest = nearest(asked, known);
    journal.named(EntryKind::Unanswered, "", name, None, &json!({"nearest": nearest}));
}

/// These made no difference.
pub(crate) fn record_unknown_fields(journal: &Journal, name: &str, members: &[String]) {
    journal.named(EntryKind::Ignored, "", name, None, &json!({"members": members}));
}

/// Parameters of a call that its method does not have.
pub(crate) fn record_unknown_members(journal: &Journal, name: &str, spec: Option<&MethodSpec>, params: Option<&str>) {
    let (Some(spec), Some(params)) = (spec, params) else { return };
    if keys_subset_of(params, spec.members) == Some(true) {
        return;
    }
    let strange = Strange::of(params, spec.members);
    if !strange.is_empty() {
        record_unknown_fields(journal, name, &strange);
    }
}

/// Looks for members of an object that are not among the known ones, and builds nothing as long as there are none.
struct Strange<'k> {
    known: &'k [&'static str],
}

impl Strange<'_> {
    /// As they may be shown, each once; none where there is no object.
    fn of(json: &str, known: &[&'static str]) -> Vec<String> {
        let mut json = serde_json::Deserializer::from_str(json);
        serde::Deserializer::deserialize_map(&mut json, Strange { known }).unwrap_or_default()
    }
}

impl<'de> Visitor<'de> for Strange<'_> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Vec<String>, A::Error> {
        let mut strange = Vec::new();
        while let Some(name) = members.next_key::<MemberName<'de>>()? {
            members.next_value::<IgnoredAny>()?;
            if strange.len() < MEMBERS && !self.known.contains(&&*name.0) {
                let shown = ezlo_protocol::secret::masked(&name.0);
                if !strange.contains(&shown) {
                    strange.push(shown);
                }
            }
        }
        Ok(strange)
    }
}

#[derive(serde::Deserialize)]
struct MemberName<'a>(#[serde(borrow)] Cow<'a, str>);

/// The names that come near, nearest first.
fn nearest(asked: &str, known: impl Iterator<Item = String>) -> Vec<String> {
    if asked.len() > LONGEST {
        return Vec::new();
    }
    let mut near: Vec<(f64, String)> = known
        .map(|name| (strsim::normalized_damerau_levenshtein(asked, &name), name))
        .filter(|(near, _)| *near >= NEAR)
        .collect();
    near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    near.into_iter().take(TOLD).map(|(_, name)| name).collect()
}

/// All of it, each name once with how often.
pub(crate) fn summary(entries: &[Entry]) -> Value {
    let mut record_unmatched: BTreeMap<&str, (u64, u64, &Value)> = BTreeMap::new();
    let mut record_unknown_fields: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for entry in entries {
        let name = entry.name.as_str();
        match entry.kind {
            EntryKind::Unanswered => {
                let (times, last, nearest) = record_unmatched.entry(name).or_insert((0, 0, &Value::Null));
                (*times, *last, *nearest) = (*times + 1, entry.seq, &entry.content["nearest"]);
            }
            EntryKind::Ignored => {
                let members = record_unknown_fields.entry(name).or_default();
                for member in entry.content["members"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    *members.entry(member).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    let record_unmatched = record_unmatched
        .into_iter()
        .map(|(name, (times, last, nearest))| json!({"name": name, "times": times, "last": last, "nearest": nearest}));
    let record_unknown_fields = record_unknown_fields.into_iter().flat_map(|(name, members)| {
        members.into_iter().map(move |(member, times)| json!({"name": name, "member": member, "times": times}))
    });
    json!({"unanswered": record_unmatched.collect::<Vec<_>>(), "ignored": record_unknown_fields.collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strange_members_are_told_once_each() {
        let strange = |json: &str| Strange::of(json, &["_id", "value"]);
        assert!(strange(r#"{"_id": "a", "value": {"other": 1}}"#).is_empty());
        assert_eq!(strange(r#"{"b": 1, "_id": "a", "b": 2, "a\u0031": [1]}"#), ["b", "a1"]);
        assert!(strange("[1]").is_empty() && strange(r#"{"b": "#).is_empty());
        let many: Vec<_> = (0..100).map(|n| format!(r#""m{n}": 1"#)).collect();
        assert_eq!(strange(&format!("{{{}}}", many.join(","))).len(), MEMBERS);
    }

    proptest::proptest! {
        #[test]
        fn a_look_at_the_names_says_what_reading_does(
            members in proptest::collection::vec(("a|_id|value|\\\\u0061|", "1|\"x\"|\\{\"b\":2\\}|\\[\\]|null"), 0..4),
            blank in " ?",
        ) {
            let known = &["_id", "value"];
            let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\"{blank}:{blank}{value}")).collect();
            let object = format!("{{{}}}", members.join(","));
            let strange = Strange::of(&object, known);
            if let Some(keys_subset_of) = keys_subset_of(&object, known) {
                proptest::prop_assert_eq!(keys_subset_of, strange.is_empty(), "{}", object);
            }
        }
    }

    #[test]
    fn names_that_come_near_are_found() {
        let known =
            || ["hub.devices.list", "hub.items.list", "hub.room.list", "hub.reboot"].map(str::to_owned).into_iter();
        assert_eq!(nearest("hub.device.list", known())[0], "hub.devices.list");
        assert!(nearest("something else", known()).is_empty() && nearest(&"h".repeat(10_000), known()).is_empty());
    }
}
