//! Signals: results within a scene that have a state. Function blocks and blocks that other conditions read have one.

use std::collections::{BTreeMap, VecDeque};

use ezlo_protocol::hub::SceneId;
use ezlo_protocol::hub::scene::{Block, Condition, Function};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The states of all scenes, by scene and key.
pub(crate) type Signals = BTreeMap<SceneId, BTreeMap<String, SignalState>>;

/// The state of a result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SignalState {
    /// The result.
    pub(crate) output: bool,
    /// The conditions inside hold.
    pub(crate) inner: bool,
    /// Time at which the conditions inside began to hold, in Unix milliseconds.
    pub(crate) since_ms: i64,
    /// Incremented with each new timer. Earlier timers are ignored.
    pub(crate) generation: u64,
    /// Times at which the conditions inside began to hold, for repetitions, in Unix milliseconds.
    pub(crate) starts: VecDeque<i64>,
    /// Number of pulses so far.
    pub(crate) pulses: u64,
}

impl SignalState {
    /// Shifts the absolute times by the given milliseconds.
    pub(crate) fn shift(&mut self, ms: i64) {
        self.since_ms = self.since_ms.saturating_add(ms);
        self.starts.iter_mut().for_each(|start| *start = start.saturating_add(ms));
    }
}

/// A block or function whose result has a state.
#[derive(Debug, Clone)]
pub(crate) struct SignalSource {
    pub(crate) key: String,
    /// Id of the block; `None` for a function without an id.
    pub(crate) block: Option<String>,
    /// Settings of a function; `None` for the result of a block itself.
    pub(crate) function: Option<Function>,
    pub(crate) conditions: Vec<Condition>,
    /// Number of time conditions that are evaluated before.
    pub(crate) ticks: usize,
    /// Number of functions that are evaluated before.
    pub(crate) functions: usize,
}

/// Returns the key of the result of a block.
pub(crate) fn block_key(block: &str) -> String {
    format!("block {block}")
}

/// Returns the key of the result of a function by its position among the functions of the scene.
pub(crate) fn function_key(at: usize) -> String {
    format!("function {at}")
}

/// Returns the number of functions among conditions, those inside of others included.
pub(crate) fn count_functions(conditions: &[Condition]) -> usize {
    let of_one = |condition: &Condition| match condition {
        Condition::Function { inner, .. } => 1 + count_functions(inner),
        Condition::All(inner) | Condition::Any(inner) | Condition::OneOf(inner) => count_functions(inner),
        Condition::Not(inner) => count_functions(std::slice::from_ref(inner)),
        _ => 0,
    };
    conditions.iter().map(of_one).sum()
}

/// Returns the functions of a scene and its blocks with ids, with their positions in the order of evaluation.
pub(crate) fn signal_sources(blocks: &[Block]) -> Vec<SignalSource> {
    let mut collector = Collector::default();
    blocks.iter().for_each(|block| collector.add(block));
    collector.found
}

#[derive(Default)]
struct Collector {
    ticks: usize,
    functions: usize,
    found: Vec<SignalSource>,
}

impl Collector {
    fn add(&mut self, block: &Block) {
        let condition = block.condition();
        let id = block.block_id.get().or_else(|| block.id.get()).filter(|id| !id.is_empty()).cloned();
        if let Some(id) = &id {
            self.push(block_key(id), Some(id.clone()), None, vec![condition.clone()]);
        }
        match &condition {
            Condition::Function { function, inner } => {
                let key = function_key(self.functions);
                self.functions += 1;
                self.push(key, id, Some(*function), inner.clone());
                self.add_inner(block.argument("blocks"));
            }
            Condition::All(_) | Condition::Any(_) | Condition::OneOf(_) => self.add_inner(block.argument("blocks")),
            Condition::Not(_) => self.add_inner(block.argument("block")),
            condition => self.ticks += super::time_conditions::times(std::slice::from_ref(condition)).len(),
        }
    }

    fn add_inner(&mut self, blocks: Option<&Value>) {
        let blocks = match blocks {
            Some(Value::Array(blocks)) => blocks.as_slice(),
            Some(block) => std::slice::from_ref(block),
            None => &[],
        };
        for block in blocks {
            if let Ok(block) = ezlo_protocol::wire::from_value::<Block>(block) {
                self.add(&block);
            }
        }
    }

    fn push(&mut self, key: String, block: Option<String>, function: Option<Function>, conditions: Vec<Condition>) {
        let (ticks, functions) = (self.ticks, self.functions);
        self.found.push(SignalSource { key, block, function, conditions, ticks, functions });
    }
}

/// Returns the blocks whose results conditions read.
pub(crate) fn references<'a>(conditions: impl Iterator<Item = &'a Condition>) -> Vec<(SceneId, String)> {
    let mut found = Vec::new();
    for condition in conditions {
        match condition {
            Condition::GroupIs { scene, block, .. } => found.push((scene.clone(), block.clone())),
            Condition::All(inner)
            | Condition::Any(inner)
            | Condition::OneOf(inner)
            | Condition::Function { inner, .. } => found.extend(references(inner.iter())),
            Condition::Not(inner) => found.extend(references(std::iter::once(&**inner))),
            _ => {}
        }
    }
    found
}
