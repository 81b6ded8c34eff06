//! The table of conditions and actions with known arguments, for builder, validation, simulator and documentation.

use crate::evidence::Evidence;

/// A place of a block in a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Under `when`.
    When,
    /// Under `then` or `else`.
    Then,
}

/// An argument of a condition or action.
#[derive(Debug, Clone, Copy)]
pub struct Argument {
    /// Name in `args`, as the builder writes it.
    pub name: &'static str,
    /// Other names in `args` that hubs and clients use.
    pub also: &'static [&'static str],
    /// Content of the field.
    pub kind: ArgumentKind,
    /// `true` if a block without the argument is refused.
    pub required: bool,
}

/// The content of the field of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArgumentKind {
    /// Id of an item.
    Item,
    /// Id of a device.
    Device,
    /// Id of a scene.
    Scene,
    /// Id of a house mode.
    Mode,
    /// Ids of house modes, or a single id.
    Modes,
    /// Value of the item in the same block.
    ItemValue,
    /// Number.
    Number,
    /// Operator: `==`, `!=`, `>`, `>=`, `<` or `<=`.
    Comparator,
    /// `true` or `false`.
    Flag,
    /// Text.
    Text,
    /// `interval`, such as `10s`.
    Interval,
    /// `hms_interval`, such as `01:30:00`.
    HmsInterval,
    /// `24_hours_time`, such as `07:30`.
    TimeOfDay,
    /// Times of day, or a single one.
    TimesOfDay,
    /// Kind of an `isDate` condition, such as `weekly`.
    DateKind,
    /// State of a scene, such as `finished`.
    SceneState,
    /// Id of an item, or name of an expression. Instead of it, a condition can have `deviceGroup` and `itemGroup`.
    Operand,
    /// Value of any type, or a reference to an item or an expression.
    AnyValue,
    /// List of values.
    List,
    /// Object with texts.
    Texts,
    /// Object of any members.
    Object,
    /// One of these tokens.
    OneOf(&'static [&'static str]),
    /// `intime`, `before` or `after`, in a field named `sunrise` or `sunset`.
    SunTiming,
    /// Whole numbers.
    Integers,
    /// One block.
    Block,
    /// Several blocks.
    Blocks,
}

/// An entry of the table of conditions and actions.
#[derive(Debug, Clone, Copy)]
pub struct BlockSpec {
    /// Name on the wire.
    pub name: &'static str,
    /// Place in a scene.
    pub place: Place,
    /// Arguments.
    pub arguments: &'static [Argument],
    /// Evidence for the arguments.
    pub evidence: Evidence,
    /// Source of the evidence.
    pub source: &'static str,
}

/// Returns the entry of a condition or action, or `None` if its arguments are not known.
pub fn block_spec(name: &str) -> Option<&'static BlockSpec> {
    BLOCKS.iter().find(|spec| spec.name == name)
}

macro_rules! blocks {
    ($( $place:ident $name:literal [ $( $argument:literal $(| $also:literal)*: $kind:ident $(($tokens:expr))? $($optional:ident)? ),* ] $evidence:ident $source:literal; )*) => {
        /// All conditions and actions with known arguments.
        pub const BLOCKS: &[BlockSpec] = &[$( BlockSpec {
            name: $name,
            place: Place::$place,
            arguments: &[$( Argument {
                name: $argument, also: &[$($also),*], kind: ArgumentKind::$kind $(($tokens))?, required: blocks!(@required $($optional)?),
            } ),*],
            evidence: Evidence::$evidence,
            source: $source,
        } ),*];
    };
    (@required) => { true };
    (@required optional) => { false };
}

blocks! {
    When "isItemState" ["item" | "expression": Operand, "value": ItemValue, "armed": Flag optional] Vendor "guide20:p23, d22 (expression, groups)";
    When "isItemValue" ["item" | "expression": Operand, "value": ItemValue, "armed": Flag optional] Vendor "guide20:p51, d22 (expression, groups)";
    When "isDictonaryValueState" ["item": Item, "value": Text] Vendor "guide20:p54";
    When "compareNumbers" ["item" | "expression": Operand, "comparator": Comparator, "value": AnyValue] Vendor "guide20:p25, d22 (expression)";
    When "compareNumberRange" ["item" | "expression": Operand, "startValue": Number, "endValue": Number, "comparator": OneOf(&["between", "not_between"]) optional] Vendor "d22";
    When "compareStrings" ["item" | "expression": Operand, "comparator": Comparator, "value": AnyValue] Vendor "d22";
    When "stringOperation" ["item" | "expression": Operand, "operation": OneOf(&["begin", "end", "contain", "length", "not_begin", "not_end", "not_contain", "not_length"]), "value": AnyValue] Vendor "d22";
    When "inArray" ["item" | "expression": Operand, "operation": OneOf(&["in", "not_in"]), "value": List] Vendor "d22";
    When "compareValues" ["item" | "expression": Operand, "valueType": Text, "comparator": Comparator optional, "value": AnyValue] Vendor "d22";
    When "isInterval" ["interval": Interval] Vendor "guide20:p27";
    When "isSunState" ["sunstate": SunTiming, "time": HmsInterval optional, "weekdays": Integers optional, "days": Integers optional, "range": OneOf(&["at", "after", "before"]) optional] Vendor "guide20:p28, d22 (weekdays, days, range)";
    When "and" ["blocks": Blocks] Vendor "guide20:p29";
    When "or" ["blocks": Blocks] Vendor "guide20:p32";
    When "not" ["block": Block] Vendor "guide20:p30";
    When "xor" ["blocks": Blocks] Inferred "pi (name)";
    When "isItemStateChanged" ["item": Item, "start": ItemValue optional, "finish": ItemValue optional] Inferred "pi (name)";
    When "isButtonState" ["item": Item, "value" | "button_state": Text, "button_number": Number optional] Vendor "d22 (item, value), pi; button_state and button_number inferred";
    When "isDeviceState" ["device" | "deviceGroup": Device, "reachable": Flag optional, "armed": Flag optional] Vendor "d22";
    When "isDate" ["type": DateKind optional, "time": TimesOfDay optional, "weekdays": Integers optional, "days": Integers optional, "weeks": Integers optional] Vendor "d22, d23, pi (lists); a single time inferred";
    When "isOnce" ["time": TimeOfDay, "day": Number, "month": Number, "year": Number] Vendor "d22";
    When "isDateRange" ["startTime": TimeOfDay optional, "endTime": TimeOfDay optional, "startDay": Number optional, "endDay": Number optional, "startMonth": Number optional, "endMonth": Number optional, "startYear": Number optional, "endYear": Number optional] Vendor "d22";
    When "isHouseModeChangedTo" ["houseMode": Modes] ClientSource "pi (list of ids); a single id inferred";
    When "isHouseModeChangedFrom" ["houseMode": Modes] ClientSource "pi (list of ids); a single id inferred";
    When "isSceneState" ["scene": Scene, "state": SceneState] Vendor "d22; tokens pi";
    When "isCloudState" ["state": OneOf(&["connected", "disconnected"])] ClientSource "pi";
    When "isNetworkState" ["state": OneOf(&["connected", "disconnected"])] Inferred "pi (name); arguments as of isCloudState";
    When "isFirmwareUpdateState" ["state": OneOf(&["started", "updating", "done"])] ClientSource "pi";
    When "isGroupState" ["scene": Scene, "group" | "block": Text, "state": OneOf(&["true", "false", "changed"])] Vendor "d22";
    When "isHouseModeAlarmPhaseRange" ["phase": OneOf(&["idle", "bypass", "entryDelay", "main"])] ClientSource "pi";
    When "isHouseModeSwitchToRange" [] ClientSource "pi";
    When "isUserLockOperation" ["item": Item, "state": Text, "user": Text] Vendor "d22";
    When "isDictionaryChanged" ["item": Item, "key": Text, "operation": Text] ClientSource "pi";
    When "hasAtLeastOneDictionaryValue" ["item": Item, "value": AnyValue] ClientSource "pi";
    When "isDeviceItemGroup" ["deviceGroup": Text, "itemGroup": Text] ClientSource "pi";
    When "function" ["blocks": Blocks] Vendor "d22, pi";
    Then "setItemValue" ["item": Item, "value": ItemValue] Vendor "guide20:p35";
    Then "decreaseDimmer" ["item": Item] Vendor "guide20:p47";
    Then "toggleValue" ["item" | "expression": Operand] ClientSource "pi";
    Then "setVariable" ["name": Text, "value": AnyValue, "valueType": Text optional] ClientSource "pi";
    Then "groupSetItemValue" ["deviceGroup": Text, "itemGroup": Text, "value": AnyValue] ClientSource "pi";
    Then "groupToggleValue" ["deviceGroup": Text, "itemGroup": Text] ClientSource "pi";
    Then "groupSetDeviceArmed" ["deviceGroup": Text, "deviceFlag" | "armed": Flag] ClientSource "pi";
    Then "stopScene" ["sceneId" | "scene": Scene] ClientSource "pi";
    Then "resetHub" ["type": OneOf(&["factory", "soft", "hard"])] ClientSource "pi";
    Then "setDeviceArmed" ["device": Device, "deviceFlag" | "armed": Flag] ClientSource "pi (deviceFlag); armed inferred";
    Then "switchHouseMode" ["houseMode": Mode] Inferred "pi (name)";
    Then "runScene" ["sceneId": Scene, "block": OneOf(&["then", "else", "thenGroups", "elseGroups"]) optional, "group": Text optional] ClientSource "pi (else, thenGroups); then and elseGroups inferred";
    Then "setSceneState" ["sceneId": Scene, "enabled": Flag] Inferred "pi (name)";
    Then "sendHttpRequest" ["request": Text optional, "url": Text, "contentType": Text optional, "content": Text optional, "headers": Texts optional, "credential": Texts optional, "skipSecurity": Flag optional] ClientSource "pi";
    Then "setExpression" ["name": Text, "code": Text, "valueType": Text optional, "metadata": Object optional, "params": Object optional] ClientSource "pi";
    Then "sendCloudAbstractCommand" ["abstractId": Text, "capability": Text, "command": Text, "parameters": Object optional] Vendor "d22";
    Then "runCustomScript" ["script": Text] ClientSource "pi";
    Then "runPluginScript" ["script": Text, "scriptParams": Object optional] Inferred "pi (name); arguments as of hub.extensions.plugin.run";
    Then "resetLatch" ["sceneId": Scene, "blockId": Text] ClientSource "pi";
    Then "resetSceneLatches" ["sceneId": Scene] ClientSource "pi";
    Then "rebootHub" [] Inferred "pi (name)";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::catalogue::{THEN_METHODS, WHEN_METHODS};

    #[test]
    fn every_entry_is_a_unique_catalogue_name() {
        for (at, spec) in BLOCKS.iter().enumerate() {
            let names = if spec.place == Place::When { WHEN_METHODS } else { THEN_METHODS };
            assert!(names.contains(&spec.name), "{}", spec.name);
            assert!(BLOCKS[..at].iter().all(|earlier| earlier.name != spec.name), "{}", spec.name);
        }
    }
}
