//! Scenes with decoded conditions.

use std::collections::BTreeMap;

use ezlo_protocol::hub::SceneId;
use ezlo_protocol::hub::scene::{Block, Condition, Operand, Scene};
use ezlo_protocol::wire::Field;

use super::newer::MAX_ENTRY;
use super::scene_sources::Sources;
use super::signals::{SignalSource, references, signal_sources};
use super::time_conditions::times;
use ezlo_protocol::wire::encoded_len;

/// Size of a simple condition as JSON, in bytes.
const BYTES_OF_A_CONDITION: usize = 512;

/// A scene in the form that the engine evaluates.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) conditions: Vec<Condition>,
    /// Conditions during which the scene does not start.
    pub(crate) exceptions: Vec<Condition>,
    /// Blocks and functions whose results have a state of their own.
    pub(crate) signals: Vec<SignalSource>,
    /// Blocks of other scenes, or of this one, whose results the conditions read.
    pub(crate) references: Vec<(SceneId, String)>,
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
        let enabled =
            |blocks: &Field<Vec<Block>>| blocks.get().into_iter().flatten().filter(is_enabled).cloned().collect();
        let (when, exceptions): (Vec<Block>, Vec<Block>) = (enabled(&scene.when), enabled(&scene.exceptions));
        let conditions: Vec<Condition> = when.iter().map(Block::condition).collect();
        let exceptions: Vec<Condition> = exceptions.iter().map(Block::condition).collect();
        // An exception needs no event of its own, because it only prevents a start.
        Self {
            due: BTreeMap::new(),
            sources: Sources::new(&conditions),
            signals: signal_sources(&when),
            references: references(conditions.iter().chain(&exceptions)),
            size: cost(scene),
            bytes: encoded_len(scene),
            conditions,
            exceptions,
        }
    }

    /// Returns the time conditions in the order of evaluation.
    pub(crate) fn times(&self) -> Vec<&Condition> {
        times(&self.conditions).into_iter().chain(times(&self.exceptions)).collect()
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
    let blocks = [&scene.when, &scene.exceptions].into_iter().filter_map(Field::get).flatten();
    let conditions: Vec<Condition> = blocks.map(Block::condition).collect();
    let when: Vec<Block> = scene.when.get().cloned().unwrap_or_default();
    // A block with an id is evaluated three more times for each event if a condition reads its result.
    let named = signal_sources(&when).into_iter().filter(|source| source.function.is_none());
    let named: usize = named.map(|source| 3 * count(&source.conditions)).sum();
    named + count(&conditions) + (encoded_len(&scene.when) + encoded_len(&scene.exceptions)) / BYTES_OF_A_CONDITION
}

/// Returns the number of conditions, those inside groups included. A search in a group of devices counts as many.
fn count(conditions: &[Condition]) -> usize {
    let inner = |condition: &Condition| match condition {
        Condition::All(inner) | Condition::Any(inner) | Condition::OneOf(inner) => count(inner),
        Condition::Not(inner) => count(std::slice::from_ref(inner)),
        // The conditions inside of a function are evaluated three times for each event.
        Condition::Function { inner, .. } => 3 * count(inner),
        Condition::GroupItemChanged { .. } => GROUP_COST,
        Condition::DeviceOfGroupIs { .. } | Condition::Tests { left: Operand::Group { .. }, .. } => GROUP_COST,
        Condition::Tests { .. } => EXPRESSION_COST,
        _ => 0,
    };
    conditions.iter().map(|condition| 1 + inner(condition)).sum()
}
