//! What a client should hear of from its developer: requests that nobody answers, with those that come near, and members that
//! it sends and that make no difference here.

use std::collections::BTreeMap;

use ezlo_protocol::hub::method::MethodSpec;
use serde_json::{Value, json};

use crate::journal::{Entry, EntryKind};
use crate::world::World;

/// How near a name has to be, 0 to 1, and how many are told.
const NEAR: f64 = 0.6;
const TOLD: usize = 3;
/// Longest name that is compared; a longer one is nobody's.
const LONGEST: usize = 256;
/// Members of one call that are told.
const MEMBERS: usize = 32;

/// Nobody answers that.
pub(crate) fn unanswered(world: &World, name: &str, asked: &str, known: impl Iterator<Item = String>) {
    let nearest = nearest(asked, known);
    world.journal.named(EntryKind::Unanswered, "", name, None, json!({"nearest": nearest}));
}

/// These made no difference.
pub(crate) fn ignored(world: &World, name: &str, members: &[String]) {
    world.journal.named(EntryKind::Ignored, "", name, None, json!({"members": members}));
}

/// Parameters of a call that its method does not have.
pub(crate) fn unknown_members(world: &World, name: &str, spec: Option<&MethodSpec>, params: Option<&Value>) {
    let (Some(spec), Some(Value::Object(params))) = (spec, params) else { return };
    let strange = params.keys().filter(|member| !spec.members.contains(&member.as_str())).take(MEMBERS);
    let strange: Vec<String> = strange.map(|member| ezlo_protocol::secret::masked(member)).collect();
    if !strange.is_empty() {
        ignored(world, name, &strange);
    }
}

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
    let mut unanswered: BTreeMap<&str, (u64, u64, &Value)> = BTreeMap::new();
    let mut ignored: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for entry in entries {
        let name = entry.name.as_str();
        match entry.kind {
            EntryKind::Unanswered => {
                let (times, last, nearest) = unanswered.entry(name).or_insert((0, 0, &Value::Null));
                (*times, *last, *nearest) = (*times + 1, entry.seq, &entry.content["nearest"]);
            }
            EntryKind::Ignored => {
                let members = ignored.entry(name).or_default();
                for member in entry.content["members"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    *members.entry(member).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    let unanswered = unanswered
        .into_iter()
        .map(|(name, (times, last, nearest))| json!({"name": name, "times": times, "last": last, "nearest": nearest}));
    let ignored = ignored.into_iter().flat_map(|(name, members)| {
        members.into_iter().map(move |(member, times)| json!({"name": name, "member": member, "times": times}))
    });
    json!({"unanswered": unanswered.collect::<Vec<_>>(), "ignored": ignored.collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_come_near_are_found() {
        let known =
            || ["hub.devices.list", "hub.items.list", "hub.room.list", "hub.reboot"].map(str::to_owned).into_iter();
        assert_eq!(nearest("hub.device.list", known())[0], "hub.devices.list");
        assert!(nearest("something else", known()).is_empty() && nearest(&"h".repeat(10_000), known()).is_empty());
    }
}
