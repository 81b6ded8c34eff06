//! Forms of template items that differ between sources.

use ezlo_protocol::hub::item::Item;

use crate::HubAssumptions;

/// The color item of templates, and its other name.
const RGB: (&str, &str) = ("rgbcolor", "rgb_color");

/// The selected forms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct ItemVariants {
    rgb_color_name: bool,
    barrier_has_getter: bool,
}

impl ItemVariants {
    pub(crate) const fn of(assumptions: &HubAssumptions) -> Self {
        Self { rgb_color_name: assumptions.rgb_color_name, barrier_has_getter: assumptions.barrier_has_getter }
    }

    /// Changes a new item of a template.
    pub(crate) fn apply(self, item: &mut Item) {
        let name = item.name.as_deref().unwrap_or_default();
        if self.barrier_has_getter && name == "barrier" {
            item.has_getter = true.into();
        }
        if self.name(name) != name {
            item.name = self.name(name).to_owned().into();
        }
    }

    /// Returns the selected name of an item that a world file names.
    pub(crate) fn name(self, name: &str) -> &str {
        if self.rgb_color_name && name == RGB.0 { RGB.1 } else { name }
    }
}
