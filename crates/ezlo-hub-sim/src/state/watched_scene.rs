//! Scenes with decoded conditions.

use std::collections::BTreeMap;

use ezlo_protocol::hub::scene::{Block, Condition, Operand, Scene};

use super::newer::MAX_ENTRY;
use super::scene_sources::Sources;
use super::scene_work::encoded_len;

/// Size of a simple condition as JSON, in bytes.
const BYTES_OF_A_CONDITION: usize = 512;

/// A scene in the form that the engine evaluates.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) conditions: Vec<Condition>,
    /// Due times of the timers of its time conditions, by position, in Unix milliseconds. They are not persisted.
    pub(crate) due: BTreeMap<usize, i64>,
    /// The events that can start the scene.
    pub(crate) sources: Sources,
    /// Cost of one evaluation, in simple conditions, disabled ones included.
    pub(crate) size: usize,
    /// Size of the whole scene as JSON, in bytes.
    pub(crate) bytes: usize,
}

impl Watched {
    pub(crate) fn new(scene: &Scene) -> Self {
        let is_enabled = |block: &&Block| block.enabled.get() != Some(&false);
        let conditions: Vec<Condition> =
            scene.when.get().into_iter().flatten().filter(is_enabled).map(Block::condition).collect();
        Self {
            due: BTreeMap::new(),
            sources: Sources::new(&conditions),
            size: cost(scene),
            bytes: encoded_len(scene),
            conditions,
        }
    }
}

/// Cost of a search in a group, in simple conditions.
const GROUP_COST: usize = 100;

/// Cost of a comparison with an expression, which can have the longest value of an expression, in simple conditions.
const EXPRESSION_COST: usize = MAX_ENTRY / BYTES_OF_A_CONDITION;

/// Returns the cost of one evaluation of a scene, in simple conditions.
///
/// Disabled conditions count, because they can be enabled later. A comparison reads its values, so long ones and long lists count
/// as further conditions.
pub(crate) fn cost(scene: &Scene) -> usize {
    let conditions: Vec<Condition> = scene.when.get().into_iter().flatten().map(Block::condition).collect();
    count(&conditions) + encoded_len(&scene.when) / BYTES_OF_A_CONDITION
}

/// Returns the number of conditions, those inside groups included. A search in a group of devices counts as many.
fn count(conditions: &[Condition]) -> usize {
    let inner = |condition: &Condition| match condition {
        Condition::All(inner) | Condition::Any(inner) | Condition::OneOf(inner) => count(inner),
        Condition::Not(inner) => count(std::slice::from_ref(inner)),
        Condition::DeviceOfGroupIs { .. } | Condition::Tests { left: Operand::Group { .. }, .. } => GROUP_COST,
        Condition::Tests { .. } => EXPRESSION_COST,
        _ => 0,
    };
    conditions.iter().map(|condition| 1 + inner(condition)).sum()
}
