//! The parts of a house that the conditions of a scene read, so that an event is evaluated only where it can have an effect.

use std::collections::HashSet;

use ezlo_protocol::hub::scene::{Compared, Condition, Operand, Test};
use ezlo_protocol::hub::{DeviceId, ItemId, SceneId};

use super::scene_events::Event;

/// The parts that conditions read.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sources {
    items: HashSet<ItemId>,
    devices: HashSet<DeviceId>,
    expressions: HashSet<String>,
    scenes: HashSet<SceneId>,
    /// Scenes with blocks whose results are read.
    blocks: HashSet<SceneId>,
    /// Items and devices of a group, whose members can change.
    groups: bool,
    /// The armed state of the device of an item.
    armed: bool,
    modes: bool,
    cloud: bool,
    network: bool,
    firmware: bool,
    alarm: bool,
    switching: bool,
}

impl Sources {
    pub(crate) fn new(conditions: &[Condition]) -> Self {
        let mut sources = Self::default();
        sources.add_all(conditions);
        sources
    }

    /// Returns whether an event can change the result of a condition. The due time of another scene is no source.
    pub(crate) fn include(&self, own: &SceneId, event: &Event) -> bool {
        match event {
            Event::Item { item, .. } => self.groups || self.items.contains(item),
            Event::Device { device, .. } => self.groups || self.armed || self.devices.contains(device),
            Event::Mode { .. } => self.modes,
            Event::Scene { scene, .. } => self.scenes.contains(scene),
            Event::Expression { name, .. } => self.expressions.contains(name),
            Event::Cloud { .. } => self.cloud,
            Event::Network { .. } => self.network,
            Event::Firmware { .. } => self.firmware,
            Event::Signal { scene, .. } => scene == own || self.blocks.contains(scene),
            Event::Alarm { .. } => self.alarm,
            Event::Switching { .. } => self.switching,
            Event::Tick { scene, .. } => scene == own,
        }
    }

    fn add_all(&mut self, conditions: &[Condition]) {
        conditions.iter().for_each(|condition| self.add(condition));
    }

    fn add(&mut self, condition: &Condition) {
        match condition {
            Condition::ItemIs { item, armed, .. } => {
                self.armed |= armed.is_some();
                self.items.insert(item.clone());
            }
            Condition::DictionaryHas { item, .. }
            | Condition::DictionaryHasValue { item, .. }
            | Condition::DictionaryChanged { item, .. }
            | Condition::LockOperated { item, .. }
            | Condition::Compares { item, .. }
            | Condition::ItemChanged { item, .. }
            | Condition::Button { item, .. } => drop(self.items.insert(item.clone())),
            Condition::Tests { left, test } => {
                self.add_operand(left);
                match test {
                    Test::Number(_, Compared::Operand(right))
                    | Test::Text(_, Compared::Operand(right))
                    | Test::TextOperation(_, Compared::Operand(right))
                    | Test::In { values: Compared::Operand(right), .. }
                    | Test::Value(_, Compared::Operand(right)) => self.add_operand(right),
                    _ => {}
                }
            }
            Condition::DeviceIs { device, .. } => drop(self.devices.insert(device.clone())),
            Condition::DeviceOfGroupIs { .. } | Condition::GroupItemChanged { .. } => self.groups = true,
            Condition::GroupIs { scene, .. } => drop(self.blocks.insert(scene.clone())),
            Condition::AlarmPhaseIs(_) => self.alarm = true,
            Condition::ModeSwitchPending => self.switching = true,
            Condition::ModeChangedTo(_) | Condition::ModeChangedFrom(_) => self.modes = true,
            Condition::SceneIs { scene, .. } => drop(self.scenes.insert(scene.clone())),
            Condition::CloudIs(_) => self.cloud = true,
            Condition::NetworkIs(_) => self.network = true,
            Condition::FirmwareIs(_) => self.firmware = true,
            Condition::All(inner)
            | Condition::Any(inner)
            | Condition::OneOf(inner)
            | Condition::Function { inner, .. } => self.add_all(inner),
            Condition::Not(inner) => self.add(inner),
            // Times are events of their own scene, and what is not supported never holds.
            _ => {}
        }
    }

    fn add_operand(&mut self, operand: &Operand) {
        match operand {
            Operand::Item(item) => drop(self.items.insert(item.clone())),
            Operand::Expression(name) => drop(self.expressions.insert(name.clone())),
            Operand::Group { .. } => self.groups = true,
        }
    }
}
