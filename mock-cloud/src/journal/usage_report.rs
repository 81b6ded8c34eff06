//! The report about a client: requests that no handler matched, with similar names, and members without an effect.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ezlo_protocol::hub::method::MethodSpec;
use serde::Serialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};

use crate::faults::injector::ActiveFault;
use crate::faults::spec::FaultSpec;
use crate::journal::Journal;
use crate::journal::entry::{Entry, EntryKind};

/// Minimum similarity of a suggested name, from 0 to 1.
const NEAR: f64 = 0.6;
/// Maximum number of suggested names.
const MAX_SUGGESTIONS: usize = 3;
/// Maximum length of a compared name, in bytes. A longer one gets no suggestions.
const LONGEST: usize = 256;
/// Maximum number of unknown members that are recorded for one call.
const MEMBERS: usize = 32;

/// Records a request that no handler matched, with the most similar known names.
pub(crate) fn record_unmatched(journal: &Journal, name: &str, requested: &str, known: impl Iterator<Item = String>) {
    let nearest = nearest(requested, known);
    journal.named(EntryKind::Unmatched, "", name, None, &json!({"nearest": nearest}));
}

/// Records members without an effect.
pub(crate) fn record_unknown_fields(journal: &Journal, name: &str, members: &[String]) {
    journal.named(EntryKind::UnknownFields, "", name, None, &json!({"members": members}));
}

/// Records the parameters of a call that its method does not have.
pub(crate) fn record_unknown_members(journal: &Journal, name: &str, spec: Option<&MethodSpec>, params: Option<&str>) {
    let (Some(spec), Some(params)) = (spec, params) else { return };
    let unknown = Strange::of(params, spec.members);
    if !unknown.is_empty() {
        record_unknown_fields(journal, name, &unknown);
    }
}

/// A visitor that collects the unknown members of an object. It allocates nothing if there are none.
struct Strange<'k> {
    known: &'k [&'static str],
}

impl Strange<'_> {
    /// Returns the masked names of unknown members, each once. Empty if `json` is not an object.
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
        let mut unknown = Vec::new();
        while let Some(name) = members.next_key::<MemberName<'de>>()? {
            members.next_value::<IgnoredAny>()?;
            if unknown.len() < MEMBERS && !self.known.contains(&&*name.0) {
                let shown = ezlo_protocol::secret::masked(&name.0);
                if !unknown.contains(&shown) {
                    unknown.push(shown);
                }
            }
        }
        Ok(unknown)
    }
}

#[derive(serde::Deserialize)]
struct MemberName<'a>(#[serde(borrow)] Cow<'a, str>);

/// Returns the most similar names, the best first.
pub(crate) fn nearest(requested: &str, known: impl Iterator<Item = String>) -> Vec<String> {
    if requested.len() > LONGEST {
        return Vec::new();
    }
    let mut near: Vec<(f64, String)> = known
        .map(|name| (strsim::normalized_damerau_levenshtein(requested, &name), name))
        .filter(|(near, _)| *near >= NEAR)
        .collect();
    near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    near.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name).collect()
}

/// The requests and members of clients that had no effect, the refused handshakes, and the unused faults.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct UsageReport {
    /// Requests and methods that no handler matched.
    unmatched: Vec<UnmatchedRequest>,
    /// Members of parameters and queries that had no effect.
    unknown_fields: Vec<UnknownMember>,
    /// TLS handshakes that clients refused.
    refused_handshakes: Vec<RefusedHandshake>,
    /// Active faults that never matched.
    unused_faults: Vec<UnusedFault>,
}

/// A path or method that no handler matched.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct UnmatchedRequest {
    /// Path or method.
    name: String,
    /// Number of entries.
    times: u64,
    /// Number of the last entry.
    last: u64,
    /// Similar names, the best first.
    nearest: Vec<String>,
}

/// A member that had no effect.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct UnknownMember {
    /// Path or method.
    name: String,
    /// Name of the member.
    member: String,
    /// Number of entries.
    times: u64,
}

/// A server name for which clients refused the TLS handshake.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct RefusedHandshake {
    /// Host name that the client asked for.
    name: String,
    /// Reason.
    cause: String,
    /// Number of entries.
    times: u64,
    /// Number of the last entry.
    last: u64,
}

/// A fault that never matched.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct UnusedFault {
    /// Id of the fault.
    id: u64,
    /// The requested fault.
    fault: FaultSpec,
}

/// Returns the report over `entries` and the faults that are active, with the number of occurrences of each name.
pub(crate) fn summary(entries: &[Entry], faults: &[ActiveFault]) -> UsageReport {
    let mut unmatched: BTreeMap<&str, (u64, u64, &Value)> = BTreeMap::new();
    let mut refused: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
    let mut unknown: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for entry in entries {
        let name = entry.name.as_str();
        match entry.kind {
            EntryKind::Unmatched => {
                let (times, last, nearest) = unmatched.entry(name).or_insert((0, 0, &Value::Null));
                (*times, *last, *nearest) = (*times + 1, entry.seq, &entry.content["nearest"]);
            }
            EntryKind::TlsFailed => {
                let cause = entry.content["cause"].as_str().unwrap_or_default();
                let (times, last) = refused.entry((name, cause)).or_default();
                (*times, *last) = (*times + 1, entry.seq);
            }
            EntryKind::UnknownFields => {
                for member in entry.content["members"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    *unknown.entry((name, member)).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    let unmatched = unmatched.into_iter().map(|(name, (times, last, nearest))| UnmatchedRequest {
        name: name.to_owned(),
        times,
        last,
        nearest: serde_json::from_value(nearest.clone()).unwrap_or_default(),
    });
    let refused = refused.into_iter().map(|((name, cause), (times, last))| RefusedHandshake {
        name: name.to_owned(),
        cause: cause.to_owned(),
        times,
        last,
    });
    let unknown = unknown.into_iter().map(|((name, member), times)| UnknownMember {
        name: name.to_owned(),
        member: member.to_owned(),
        times,
    });
    // A fault that never matched can hide a misspelt method or path: the test passes, and nothing was injected.
    let unused = faults.iter().filter(|fault| fault.matched == 0);
    UsageReport {
        unmatched: unmatched.collect(),
        unknown_fields: unknown.collect(),
        refused_handshakes: refused.collect(),
        unused_faults: unused.map(|fault| UnusedFault { id: fault.id, fault: fault.fault.clone() }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unknown_member_is_recorded_once() {
        let unknown = |json: &str| Strange::of(json, &["_id", "value"]);
        assert!(unknown(r#"{"_id": "a", "value": {"other": 1}}"#).is_empty());
        assert_eq!(unknown(r#"{"b": 1, "_id": "a", "b": 2, "a\u0031": [1]}"#), ["b", "a1"]);
        assert!(unknown("[1]").is_empty() && unknown(r#"{"b": "#).is_empty());
        let many: Vec<_> = (0..100).map(|n| format!(r#""m{n}": 1"#)).collect();
        assert_eq!(unknown(&format!("{{{}}}", many.join(","))).len(), MEMBERS);
    }

    #[test]
    fn similar_names_are_suggested() {
        let known =
            || ["hub.devices.list", "hub.items.list", "hub.room.list", "hub.reboot"].map(str::to_owned).into_iter();
        assert_eq!(nearest("hub.device.list", known())[0], "hub.devices.list");
        assert!(nearest("something else", known()).is_empty() && nearest(&"h".repeat(10_000), known()).is_empty());
    }
}
