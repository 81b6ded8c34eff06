//! Interprets blocks as conditions and actions.

use serde_json::Value;

use crate::hub::scene::document::{Block, ScenePart};
use crate::hub::scene::function::Function;
use crate::hub::scene::terms::{BlockValue, Comparator, Compared, Operand, SceneState, SunRange, Test};
use crate::hub::scene::time::{DateKind, DateLimit, DateRule, HmsInterval};
use crate::hub::scene::view::{Action, Condition};
use crate::hub::{ItemId, ModeId};

/// Maximum nesting of conditions. Deeper conditions are read as [`Condition::Unknown`].
pub const MAX_DEPTH: usize = 16;

impl Block {
    fn text(&self, name: &str) -> Option<&str> {
        self.argument(name)?.as_str()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.argument(name)?.as_bool()
    }

    fn item(&self) -> Option<ItemId> {
        self.text("item").map(ItemId::from)
    }

    fn typed(&self, name: &str) -> Option<BlockValue> {
        BlockValue::read(self.argument_field(name)?)
    }

    /// Reads the left side of a comparison.
    fn operand(&self) -> Option<Operand> {
        let item = self.item().map(Operand::Item);
        let expression = || self.text("expression").map(|name| Operand::Expression(name.to_owned()));
        item.or_else(expression).or_else(|| {
            let (devices, items) = (self.text("deviceGroup")?.to_owned(), self.text("itemGroup")?.to_owned());
            Some(Operand::Group { devices, items })
        })
    }

    /// Reads `isItemState`. A comparison with something else than a value of an item has no armed state.
    fn item_state(&self) -> Option<Condition> {
        let armed = self.flag("armed");
        Some(match (self.operand()?, self.compared("value")?) {
            (Operand::Item(item), Compared::Value(value)) => Condition::ItemIs { item, value, armed },
            (left, right) if armed.is_none() => Condition::Tests { left, test: Test::Value(Comparator::Equal, right) },
            _ => return None,
        })
    }

    fn device_state(&self) -> Option<Condition> {
        let (reachable, armed) = (self.flag("reachable"), self.flag("armed"));
        Some(match (self.text("device"), self.text("deviceGroup")) {
            (Some(device), _) => Condition::DeviceIs { device: device.into(), reachable, armed },
            (None, Some(group)) => Condition::DeviceOfGroupIs { group: group.to_owned(), reachable, armed },
            _ => return None,
        })
    }

    /// Reads the part of a scene that `runScene` names.
    fn scene_part(&self) -> Option<ScenePart> {
        let group = || self.text("group").map(str::to_owned);
        Some(match self.text("block") {
            None if self.argument_field("group").is_none() => ScenePart::Then,
            Some("then") => ScenePart::Then,
            Some("else") => ScenePart::Else,
            Some("thenGroups") => ScenePart::ThenGroup(group()?),
            Some("elseGroups") => ScenePart::ElseGroup(group()?),
            _ => return None,
        })
    }

    /// Reads the right side of a comparison. The type of its field says whether the value is a reference.
    fn compared(&self, name: &str) -> Option<Compared> {
        let value = self.typed(name)?;
        Some(match (value.kind.as_str(), value.value.as_str()) {
            ("expression", Some(name)) => Compared::Operand(Operand::Expression(name.to_owned())),
            ("item", Some(id)) => Compared::Operand(Operand::Item(id.into())),
            _ => Compared::Value(value),
        })
    }

    /// Interprets the block as a condition.
    ///
    /// Returns [`Condition::Unknown`] for an unknown method, an invalid argument, or a nesting deeper than [`MAX_DEPTH`]. An
    /// unknown nested condition stays inside the outer one; see [`Condition::has_unknown`].
    pub fn condition(&self) -> Condition {
        self.condition_at(0)
    }

    fn condition_at(&self, depth: usize) -> Condition {
        let unknown = || Condition::Unknown(self.method().unwrap_or_default().to_owned());
        if depth > MAX_DEPTH { unknown() } else { self.known_condition(depth).unwrap_or_else(unknown) }
    }

    fn known_condition(&self, depth: usize) -> Option<Condition> {
        Some(match self.method()? {
            "isItemState" | "isItemValue" => self.item_state()?,
            "isDictonaryValueState" => {
                Condition::DictionaryHas { item: self.item()?, token: self.text("value")?.to_owned() }
            }
            "compareNumbers" | "compareNumberRange" | "compareStrings" | "stringOperation" | "inArray"
            | "compareValues" => self.comparison()?,
            "isItemStateChanged" => {
                Condition::ItemChanged { item: self.item()?, from: self.typed("start"), to: self.typed("finish") }
            }
            "isButtonState" => Condition::Button {
                item: self.item()?,
                number: self.argument("button_number").and_then(Value::as_i64),
                state: self.text("value").or_else(|| self.text("button_state"))?.to_owned(),
            },
            "isDeviceState" => self.device_state()?,
            "isInterval" => Condition::Every(self.text("interval")?.parse().ok()?),
            "isDate" => Condition::At(self.date_rule()?),
            "isOnce" => Condition::Once {
                time: self.text("time")?.parse().ok()?,
                day: self.small("day")?,
                month: self.small("month")?,
                year: self.small("year")?,
            },
            "isDateRange" => Condition::During { start: self.date_limit("start")?, end: self.date_limit("end")? },
            "isSunState" => {
                let field = self.argument_field("sunstate")?;
                Condition::Sun {
                    event: field.name.as_deref()?.into(),
                    timing: field.value.get()?.as_str()?.into(),
                    offset: self.text("time").map_or(Ok(HmsInterval::default()), str::parse).ok()?,
                    weekdays: self.numbers("weekdays", 1..=7)?,
                    days: self.numbers("days", 1..=31)?,
                    range: self.text("range").map_or(SunRange::At, SunRange::from),
                }
            }
            "isHouseModeChangedTo" => Condition::ModeChangedTo(self.modes()?),
            "isHouseModeChangedFrom" => Condition::ModeChangedFrom(self.modes()?),
            "isUserLockOperation" | "isDictionaryChanged" | "hasAtLeastOneDictionaryValue" => {
                self.dictionary_state()?
            }
            "isDeviceItemGroup" => Condition::GroupItemChanged {
                devices: self.text("deviceGroup")?.to_owned(),
                items: self.text("itemGroup")?.to_owned(),
            },
            "function" => {
                let function = Function::read(self.options.get()?.function.get()?)?;
                let inner = self.inner(depth)?;
                let is_single = inner.len() == 1 || !matches!(function, Function::Latch { .. });
                is_single.then_some(Condition::Function { function, inner })?
            }
            "and" => Condition::All(self.inner(depth)?),
            "or" => Condition::Any(self.inner(depth)?),
            "xor" => Condition::OneOf(self.inner(depth)?),
            "not" => Condition::Not(Box::new(block(self.argument("block")?)?.condition_at(depth + 1))),
            _ => self.state()?,
        })
    }

    /// Interprets the block as a condition on the state of the hub, the house or a scene.
    fn state(&self) -> Option<Condition> {
        Some(match self.method()? {
            "isSceneState" => {
                Condition::SceneIs { scene: self.text("scene")?.into(), state: SceneState::of(self.text("state")?) }
            }
            "isCloudState" => match self.text("state")? {
                "connected" => Condition::CloudIs(true),
                "disconnected" => Condition::CloudIs(false),
                _ => return None,
            },
            "isNetworkState" => match self.text("state")? {
                "connected" => Condition::NetworkIs(true),
                "disconnected" => Condition::NetworkIs(false),
                _ => return None,
            },
            "isFirmwareUpdateState" => Condition::FirmwareIs(self.text("state")?.to_owned()),
            "isGroupState" => Condition::GroupIs {
                scene: self.text("scene")?.into(),
                block: self.text("group").or_else(|| self.text("block"))?.to_owned(),
                state: match self.text("state")? {
                    "true" => Some(true),
                    "false" => Some(false),
                    "changed" => None,
                    _ => return None,
                },
            },
            "isHouseModeAlarmPhaseRange" => Condition::AlarmPhaseIs(self.text("phase")?.to_owned()),
            "isHouseModeSwitchToRange" => Condition::ModeSwitchPending,
            _ => return None,
        })
    }

    /// Interprets the block as a condition on the elements of a dictionary.
    fn dictionary_state(&self) -> Option<Condition> {
        let item = self.item()?;
        Some(match self.method()? {
            "isUserLockOperation" => Condition::LockOperated {
                item,
                state: self.text("state")?.to_owned(),
                user: self.text("user")?.to_owned(),
            },
            "isDictionaryChanged" => Condition::DictionaryChanged {
                item,
                key: self.text("key")?.to_owned(),
                operation: self.text("operation")?.to_owned(),
            },
            _ => Condition::DictionaryHasValue { item, value: self.argument("value")?.clone() },
        })
    }

    /// Interprets the block as a comparison.
    fn comparison(&self) -> Option<Condition> {
        Some(match self.method()? {
            "compareNumbers" => {
                let comparator = self.text("comparator")?.into();
                match (self.operand()?, self.compared("value")?) {
                    (Operand::Item(item), Compared::Value(value)) => Condition::Compares { item, comparator, value },
                    (left, right) => Condition::Tests { left, test: Test::Number(comparator, right) },
                }
            }
            "compareNumberRange" => {
                let inside = self.text("comparator").unwrap_or("between") == "between";
                let (start, end) = (self.typed("startValue")?, self.typed("endValue")?);
                Condition::Tests { left: self.operand()?, test: Test::Range { start, end, inside } }
            }
            "compareStrings" => {
                let test = Test::Text(self.text("comparator")?.into(), self.compared("value")?);
                Condition::Tests { left: self.operand()?, test }
            }
            "stringOperation" => {
                let test = Test::TextOperation(self.text("operation")?.into(), self.compared("value")?);
                Condition::Tests { left: self.operand()?, test }
            }
            "inArray" => {
                let (values, inside) = (self.compared("value")?, self.text("operation")? == "in");
                if matches!(&values, Compared::Value(list) if !list.value.is_array()) {
                    return None;
                }
                Condition::Tests { left: self.operand()?, test: Test::In { values, inside } }
            }
            "compareValues" => {
                let test = Test::Value(self.text("comparator").unwrap_or("==").into(), self.compared("value")?);
                Condition::Tests { left: self.operand()?, test }
            }
            _ => return None,
        })
    }

    /// Reads `isDate`. Both forms of `time` are read: a list, and the single text of some clients.
    fn date_rule(&self) -> Option<DateRule> {
        let times = match self.argument("time") {
            None => Vec::new(),
            Some(Value::Array(times)) => times.iter().map(|time| time.as_str()?.parse().ok()).collect::<Option<_>>()?,
            Some(time) => vec![time.as_str()?.parse().ok()?],
        };
        // An invalid day makes the whole block unknown, because an empty list means all days.
        let weekdays = self.numbers("weekdays", 1..=7)?;
        let usual = if weekdays.is_empty() { DateKind::Daily } else { DateKind::Weekly };
        let kind = self.text("type").map_or(usual, DateKind::from);
        let all_day = kind == DateKind::Weekly && !weekdays.is_empty();
        let rule = DateRule {
            kind,
            times,
            weekdays,
            days: self.numbers("days", 1..=31)?,
            weeks: self.numbers("weeks", -1..=53)?,
        };
        (rule.kind.is_known() && (all_day || !rule.times.is_empty())).then_some(rule)
    }

    fn date_limit(&self, side: &str) -> Option<DateLimit> {
        let name = |part: &str| format!("{side}{part}");
        let time = match self.text(&name("Time")) {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        };
        Some(DateLimit {
            time,
            day: self.optional(&name("Day"))?,
            month: self.optional(&name("Month"))?,
            year: self.optional(&name("Year"))?,
        })
    }

    fn small<T: TryFrom<i64>>(&self, name: &str) -> Option<T> {
        self.argument(name)?.as_i64()?.try_into().ok()
    }

    /// Reads an argument that may be absent. The outer `None` is an invalid value.
    #[expect(clippy::option_option, reason = "absent and invalid are different")]
    fn optional<T: TryFrom<i64>>(&self, name: &str) -> Option<Option<T>> {
        match self.argument(name) {
            None => Some(None),
            Some(_) => self.small(name).map(Some),
        }
    }

    /// Reads a list of numbers, which can be text; empty if the argument is absent.
    fn numbers(&self, name: &str, bounds: std::ops::RangeInclusive<i64>) -> Option<Vec<i64>> {
        let read = |day: &Value| day.as_i64().or_else(|| day.as_str()?.parse().ok()).filter(|day| bounds.contains(day));
        match self.argument(name) {
            None => Some(Vec::new()),
            Some(list) => list.as_array()?.iter().map(read).collect(),
        }
    }

    /// Reads the modes of a condition: a list of ids, or the single id of some clients.
    fn modes(&self) -> Option<Vec<ModeId>> {
        match self.argument("houseMode")? {
            Value::Array(modes) if !modes.is_empty() => modes.iter().map(|mode| Some(mode.as_str()?.into())).collect(),
            mode => Some(vec![mode.as_str()?.into()]),
        }
    }

    fn inner(&self, depth: usize) -> Option<Vec<Condition>> {
        let blocks = self.argument("blocks")?.as_array()?;
        blocks.iter().map(|inner| Some(block(inner)?.condition_at(depth + 1))).collect()
    }

    /// Interprets the block as an action. Returns [`Action::Unknown`] for an unknown method or an invalid argument.
    pub fn action(&self) -> Action {
        self.known_action().unwrap_or_else(|| Action::Unknown(self.method().unwrap_or_default().to_owned()))
    }

    /// Reads the dictionary of further headers.
    fn headers(&self) -> Option<Vec<(String, String)>> {
        let header = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        match self.argument("headers") {
            None => Some(Vec::new()),
            Some(headers) => headers.as_object()?.iter().map(header).collect(),
        }
    }

    fn known_action(&self) -> Option<Action> {
        Some(match self.method()? {
            "setItemValue" => Action::Set { item: self.item()?, value: self.typed("value")? },
            "toggleValue" => match self.operand()? {
                Operand::Item(item) => Action::Toggle(item),
                Operand::Expression(name) => Action::ToggleVariable(name),
                Operand::Group { .. } => return None,
            },
            "setVariable" => Action::SetVariable {
                name: self.text("name")?.to_owned(),
                value: self.argument("value")?.clone(),
                value_type: self.text("valueType").map(str::to_owned),
            },
            "groupSetItemValue" => Action::GroupSet {
                devices: self.text("deviceGroup")?.to_owned(),
                items: self.text("itemGroup")?.to_owned(),
                value: self.typed("value")?,
            },
            "groupToggleValue" => Action::GroupToggle {
                devices: self.text("deviceGroup")?.to_owned(),
                items: self.text("itemGroup")?.to_owned(),
            },
            "groupSetDeviceArmed" => Action::GroupSetArmed {
                devices: self.text("deviceGroup")?.to_owned(),
                armed: self.flag("deviceFlag").or_else(|| self.flag("armed"))?,
            },
            "stopScene" => Action::StopScene(self.text("sceneId").or_else(|| self.text("scene"))?.into()),
            "resetHub" => Action::ResetHub(self.text("type")?.to_owned()),
            "decreaseDimmer" => Action::DecreaseDimmer(self.item()?),
            "setDeviceArmed" => Action::SetArmed {
                device: self.text("device")?.into(),
                armed: self.flag("deviceFlag").or_else(|| self.flag("armed"))?,
            },
            "switchHouseMode" => Action::SwitchMode(self.text("houseMode")?.into()),
            "runScene" => Action::RunScene { scene: self.text("sceneId")?.into(), part: self.scene_part()? },
            "setSceneState" => {
                Action::SetSceneEnabled { scene: self.text("sceneId")?.into(), enabled: self.flag("enabled")? }
            }
            "sendHttpRequest" => Action::HttpRequest {
                method: self.text("request").unwrap_or("GET").to_owned(),
                url: self.text("url")?.to_owned(),
                content_type: self.text("contentType").map(str::to_owned),
                content: self.text("content").map(str::to_owned),
                headers: self.headers()?,
                credential: match self.argument("credential") {
                    None => None,
                    Some(pair) => Some((pair["user"].as_str()?.to_owned(), pair["password"].as_str()?.into())),
                },
            },
            "setExpression" => Action::SetExpression {
                name: self.text("name")?.to_owned(),
                code: self.text("code")?.to_owned(),
                value_type: self.text("valueType").map(str::to_owned),
                metadata: self.argument("metadata").cloned(),
                params: self.argument("params").cloned(),
            },
            "sendCloudAbstractCommand" => Action::CloudCommand {
                abstract_id: self.text("abstractId")?.to_owned(),
                capability: self.text("capability")?.to_owned(),
                command: self.text("command")?.to_owned(),
            },
            "runCustomScript" => Action::RunScript(self.text("script")?.to_owned()),
            "runPluginScript" => Action::RunPluginScript {
                script: self.text("script")?.to_owned(),
                params: self.argument("scriptParams").cloned(),
            },
            "resetLatch" => Action::ResetLatches {
                scene: self.text("sceneId")?.into(),
                block: Some(self.text("blockId")?.to_owned()),
            },
            "resetSceneLatches" => Action::ResetLatches { scene: self.text("sceneId")?.into(), block: None },
            "rebootHub" => Action::Reboot,
            _ => return None,
        })
    }
}

/// Returns the block that a field contains.
pub(super) fn block(value: &Value) -> Option<Block> {
    if value.is_object() { crate::wire::from_value(value).ok() } else { None }
}
