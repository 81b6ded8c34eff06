//! The time conditions of scenes, whose order identifies their timers.

use ezlo_protocol::hub::scene::Condition;

/// Returns the time conditions among these and in their groups, in the order of evaluation.
pub(crate) fn times(conditions: &[Condition]) -> Vec<&Condition> {
    let mut found = Vec::new();
    for condition in conditions {
        match condition {
            Condition::Every(_)
            | Condition::At(_)
            | Condition::Once { .. }
            | Condition::During { .. }
            | Condition::Sun { .. } => found.push(condition),
            Condition::All(inner)
            | Condition::Any(inner)
            | Condition::OneOf(inner)
            | Condition::Function { inner, .. } => found.extend(times(inner)),
            Condition::Not(inner) => found.extend(times(std::slice::from_ref(inner))),
            _ => {}
        }
    }
    found
}
