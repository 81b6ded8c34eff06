//! The catalogue of the hub's words: items, value types, scales, enumerations, categories, and names without a shape.
//!
//! Generated from the machine-readable form of the vendor's guide of 2020 and a list of what newer sources add. Words that
//! are in neither survive every round trip as `Unknown`.

mod tables;
pub mod tokens;
mod words;

pub use tables::{CATEGORIES, ITEMS, RAW_BROADCASTS, RAW_METHODS, THEN_METHODS, VALUE_TYPES, WHEN_METHODS};
pub use tokens::ENUMERATIONS;
pub use words::{ItemName, Scale, SceneValueType, Subcategory, ValueType};

/// What the guide says of an item.
#[derive(Debug, Clone, Copy)]
pub struct ItemSpec {
    /// Name on the wire.
    pub name: &'static str,
    /// Type of its value; `None` for names of newer sources, whose types are not public.
    pub value_type: Option<&'static str>,
    /// Type of the elements of a dictionary.
    pub element_type: Option<&'static str>,
    /// Units it can have.
    pub scales: &'static [&'static str],
    /// Whether it can be read.
    pub getter: bool,
    /// Whether it can be set.
    pub setter: bool,
    /// Value of a fresh item, as JSON; empty where a rule makes it.
    pub default: &'static str,
    /// Name of the enumeration its tokens are from.
    pub enumeration: Option<&'static str>,
    /// Whether the guide advises against it.
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

    /// The tokens of its enumeration, in printed order; empty when it has none.
    pub fn tokens(&self) -> &'static [&'static str] {
        self.enumeration.and_then(enumeration).map_or(&[], |enumeration| enumeration.tokens)
    }
}

/// What is known of the item of that name.
///
/// ```
/// let lock = ezlo_protocol::hub::catalogue::item("door_lock").unwrap();
/// assert_eq!((lock.value_type, lock.page), (Some("token"), 124));
/// assert!(lock.tokens().contains(&"secured"));
/// ```
pub fn item(name: &str) -> Option<&'static ItemSpec> {
    ITEMS.binary_search_by(|spec| spec.name.cmp(name)).ok().map(|at| &ITEMS[at])
}

/// An enumeration of the guide.
#[derive(Debug, Clone, Copy)]
pub struct Enumeration {
    /// Its heading in the guide.
    pub name: &'static str,
    /// Its tokens, in printed order.
    pub tokens: &'static [&'static str],
    /// Page of the guide.
    pub page: u16,
}

/// The enumeration of that heading.
pub fn enumeration(name: &str) -> Option<&'static Enumeration> {
    ENUMERATIONS.iter().find(|enumeration| enumeration.name == name)
}

/// What the guide says of a value type.
#[derive(Debug, Clone, Copy)]
pub struct ValueTypeSpec {
    /// Name on the wire.
    pub name: &'static str,
    /// Kind of JSON: `integer`, `number`, `boolean`, `string`, `object`, `array`.
    pub json: &'static str,
    /// Units it can have.
    pub scales: &'static [&'static str],
    /// Page of the guide.
    pub page: u16,
}

impl ValueType {
    /// What the guide says of it; `None` for types of newer sources.
    pub fn spec(&self) -> Option<&'static ValueTypeSpec> {
        VALUE_TYPES.iter().find(|spec| spec.name == self.as_str())
    }

    /// Units it can have; empty for types without one.
    pub fn scales(&self) -> &'static [&'static str] {
        self.spec().map_or(&[], |spec| spec.scales)
    }
}

/// What the guide says of a category.
#[derive(Debug, Clone, Copy)]
pub struct CategorySpec {
    /// Name on the wire.
    pub name: &'static str,
    /// Its number on Vera firmware; never on this wire.
    pub legacy: u16,
    /// Its subcategories, with their numbers on Vera firmware.
    pub subcategories: &'static [(&'static str, Option<u16>)],
    /// Page of the guide.
    pub page: u16,
}

/// A name whose shape is not public.
#[derive(Debug, Clone, Copy)]
pub struct RawName {
    /// Name on the wire.
    pub name: &'static str,
    /// Which of the hub's areas it belongs to.
    pub area: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::device::Category;
    use crate::hub::{broadcast, method};

    #[test]
    fn every_word_of_the_tables_is_a_known_word() {
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
    fn a_name_has_a_shape_or_has_none() {
        for raw in RAW_METHODS {
            assert!(method::spec(raw.name).is_none(), "{}", raw.name);
        }
        for raw in RAW_BROADCASTS {
            assert!(broadcast::spec(raw.name).is_none(), "{}", raw.name);
        }
    }
}
