//! The catalogue of hub names: items, value types, units, enumerations, categories, and names without a known shape.
//!
//! It is generated from a machine-readable form of the vendor's guide of 2020 and a list of additions from newer sources.
//! Names outside the catalogue are preserved as `Unknown`.

mod tables;
pub mod tokens;
mod words;

pub use tables::{CATEGORIES, ITEMS, RAW_BROADCASTS, RAW_METHODS, THEN_METHODS, VALUE_TYPES, WHEN_METHODS};
pub use tokens::ENUMERATIONS;
pub use words::{ItemName, Scale, SceneValueType, Subcategory, ValueType};

/// An item in the vendor's guide.
#[derive(Debug, Clone, Copy)]
pub struct ItemSpec {
    /// Name on the wire.
    pub name: &'static str,
    /// Type of the value; `None` for names of newer sources, whose types are not public.
    pub value_type: Option<&'static str>,
    /// Type of the elements of a dictionary.
    pub element_type: Option<&'static str>,
    /// Allowed units.
    pub scales: &'static [&'static str],
    /// `true` if the item has a getter.
    pub getter: bool,
    /// `true` if the item has a setter.
    pub setter: bool,
    /// Default value as JSON; empty if it depends on the item, or is not public.
    pub default: &'static str,
    /// Name of the enumeration of its tokens.
    pub enumeration: Option<&'static str>,
    /// `true` if the guide deprecates the item.
    pub deprecated: bool,
    /// Page of the guide; 0 for names of newer sources.
    pub page: u16,
}

impl ItemSpec {
    const NAME_ONLY: Self = Self {
        name: "",
        value_type: None,
        element_type: None,
        scales: &[],
        getter: true,
        setter: false,
        default: "",
        enumeration: None,
        deprecated: false,
        page: 0,
    };

    /// Returns the tokens of its enumeration in printed order; empty if it has none.
    pub fn tokens(&self) -> &'static [&'static str] {
        self.enumeration.and_then(enumeration).map_or(&[], |enumeration| enumeration.tokens)
    }
}

/// Returns the entry of an item, or `None` for an unknown name.
///
/// ```
/// let lock = ezlo_protocol::hub::catalogue::item("door_lock").unwrap();
/// assert_eq!((lock.value_type, lock.page), (Some("token"), 124));
/// assert!(lock.tokens().contains(&"secured"));
/// ```
pub fn item(name: &str) -> Option<&'static ItemSpec> {
    ITEMS.binary_search_by(|spec| spec.name.cmp(name)).ok().map(|at| &ITEMS[at])
}

/// An enumeration in the vendor's guide.
#[derive(Debug, Clone, Copy)]
pub struct Enumeration {
    /// Heading in the guide.
    pub name: &'static str,
    /// Tokens in printed order.
    pub tokens: &'static [&'static str],
    /// Page of the guide.
    pub page: u16,
}

/// Returns the enumeration with a heading, or `None` for an unknown heading.
pub fn enumeration(name: &str) -> Option<&'static Enumeration> {
    ENUMERATIONS.iter().find(|enumeration| enumeration.name == name)
}

/// A value type in the vendor's guide.
#[derive(Debug, Clone, Copy)]
pub struct ValueTypeSpec {
    /// Name on the wire.
    pub name: &'static str,
    /// JSON shape: `integer`, `number`, `boolean`, `string`, `object` or `array`.
    pub json: &'static str,
    /// Allowed units.
    pub scales: &'static [&'static str],
    /// Page of the guide.
    pub page: u16,
}

impl ValueType {
    /// Returns the entry of the type, or `None` for types of newer sources.
    pub fn spec(&self) -> Option<&'static ValueTypeSpec> {
        VALUE_TYPES.iter().find(|spec| spec.name == self.as_str())
    }

    /// Returns the allowed units; empty for types without a unit.
    pub fn scales(&self) -> &'static [&'static str] {
        self.spec().map_or(&[], |spec| spec.scales)
    }
}

/// A device category in the vendor's guide.
#[derive(Debug, Clone, Copy)]
pub struct CategorySpec {
    /// Name on the wire.
    pub name: &'static str,
    /// Number on Vera firmware; never on the wire of Ezlo hubs.
    pub legacy: u16,
    /// Subcategories with their numbers on Vera firmware.
    pub subcategories: &'static [(&'static str, Option<u16>)],
    /// Page of the guide.
    pub page: u16,
}

/// A method or broadcast without a known shape.
#[derive(Debug, Clone, Copy)]
pub struct RawName {
    /// Name on the wire.
    pub name: &'static str,
    /// Area of the hub.
    pub area: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::device::Category;
    use crate::hub::{broadcast, method};

    #[test]
    fn every_name_in_the_tables_is_known() {
        for spec in ITEMS {
            assert!(ItemName::from(spec.name).is_known(), "{}", spec.name);
            assert!(item(spec.name).is_some(), "{} is not found: the table is not sorted", spec.name);
            assert!(spec.value_type.is_none_or(|kind| ValueType::from(kind).is_known()), "{}", spec.name);
            assert!(spec.scales.iter().all(|scale| Scale::from(*scale).is_known()), "{}", spec.name);
            assert!(spec.enumeration.is_none_or(|name| enumeration(name).is_some()), "{}", spec.name);
        }
        for spec in CATEGORIES {
            assert!(Category::from(spec.name).is_known(), "{}", spec.name);
            assert!(spec.subcategories.iter().all(|(name, _)| Subcategory::from(*name).is_known()), "{}", spec.name);
        }
        assert!(VALUE_TYPES.iter().flat_map(|spec| spec.scales).all(|scale| Scale::from(*scale).is_known()));
    }

    #[test]
    fn raw_names_have_no_typed_entry() {
        for raw in RAW_METHODS {
            assert!(method::spec(raw.name).is_none(), "{}", raw.name);
        }
        for raw in RAW_BROADCASTS {
            assert!(broadcast::spec(raw.name).is_none(), "{}", raw.name);
        }
    }
}
