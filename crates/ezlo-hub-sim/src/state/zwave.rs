//! The Z-Wave radio: what it is doing, and the key agreement that is under way.

use std::borrow::Cow;
use std::collections::VecDeque;

use ezlo_protocol::hub::DeviceId;
use serde_json::Value;

use crate::templates::{self, Secure, Template};

/// What the radio is doing.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Zwave {
    pub(crate) action: Action,
    /// Tells timers of an action that is over from those that count.
    pub(crate) generation: u64,
    pub(crate) operation: Value,
    /// Kinds of device that press their button by themselves, one an inclusion.
    #[serde(with = "templates::by_name")]
    pub(crate) presses: VecDeque<&'static Template>,
}

#[derive(Debug, Default, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Action {
    #[default]
    Idle,
    /// Waits for a device to be put into inclusion.
    IncludeWaiting,
    /// A device answered, and its keys are being agreed on.
    Securing(Bootstrap),
    /// A device is in; how securely it is connected.
    Including(Cow<'static, str>, Cow<'static, str>),
    /// All its items are there.
    Included,
    ExcludeWaiting,
    Excluding(DeviceId),
    Excluded(DeviceId),
    Resetting,
}

impl Zwave {
    /// Kinds of device that press their buttons, in this order.
    pub(crate) fn queue_presses(&mut self, kinds: &[String]) {
        self.presses = kinds.iter().filter_map(|kind| templates::find(kind)).collect();
    }

    /// Power was lost: whatever was under way is over.
    pub(crate) fn interrupt(&mut self) {
        self.action = Action::Idle;
        self.generation += 1;
    }

    /// What the radio does, in a word, for the control API.
    pub(crate) const fn state(&self) -> &'static str {
        match self.action {
            Action::Idle => "idle",
            Action::IncludeWaiting => "waiting for a device to include",
            Action::Securing(_) => "agreeing on keys",
            Action::Including(..) | Action::Included => "including",
            Action::ExcludeWaiting => "waiting for a device to exclude",
            Action::Excluding(_) | Action::Excluded(_) => "excluding",
            Action::Resetting => "resetting",
        }
    }
}

/// The agreement on keys with one device.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Bootstrap {
    pub(crate) template: Cow<'static, str>,
    pub(crate) secure: Secure,
    pub(crate) step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Step {
    /// Which keys may it have?
    Modes,
    /// The first group of its key is wanted.
    Key,
    /// The digits shown must be typed on the device; this one does so by itself.
    Typing,
}

impl Bootstrap {
    pub(crate) const fn of(template: &'static Template) -> Option<Self> {
        match template.secure {
            Some(secure) => Some(Self { template: Cow::Borrowed(template.name), secure, step: Step::Modes }),
            None => None,
        }
    }
}
