//! State of the Z-Wave radio and of a running key agreement.

use std::borrow::Cow;
use std::collections::VecDeque;

use ezlo_protocol::hub::DeviceId;
use serde_json::Value;

use crate::templates::{self, Secure, Template};

/// The state of the Z-Wave radio.
#[derive(Debug, Default, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Zwave {
    pub(crate) action: Action,
    /// Incremented with each step. Timers of earlier generations are ignored.
    pub(crate) generation: u64,
    /// Id of the request that started the operation.
    pub(crate) operation: Value,
    /// Templates of devices that answer automatically, one per inclusion.
    #[serde(with = "templates::by_name")]
    pub(crate) presses: VecDeque<&'static Template>,
}

/// The current step of the radio.
#[derive(Debug, Default, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Action {
    #[default]
    Idle,
    /// Waits for a device to answer an inclusion.
    IncludeWaiting,
    /// A device has answered; its keys are being agreed on.
    Securing(Bootstrap),
    /// A device is being included. Carries its template and its authentication mode.
    Including(Cow<'static, str>, Cow<'static, str>),
    /// The device has been added with all its items.
    Included,
    ExcludeWaiting,
    Excluding(DeviceId),
    Excluded(DeviceId),
    Resetting,
}

impl Zwave {
    /// Sets the templates of devices that answer automatically, in this order.
    pub(crate) fn queue_presses(&mut self, kinds: &[String]) {
        self.presses = kinds.iter().filter_map(|kind| templates::find(kind)).collect();
    }

    /// Aborts the current operation, because the hub loses power or restarts.
    pub(crate) fn interrupt(&mut self) {
        self.action = Action::Idle;
        self.generation += 1;
    }

    /// Returns the state as text for errors.
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

/// A key agreement (Security 2) with one device.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Bootstrap {
    pub(crate) template: Cow<'static, str>,
    pub(crate) secure: Secure,
    pub(crate) step: Step,
}

/// The input that a key agreement waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Step {
    /// The selection of the authentication modes.
    Modes,
    /// The first group of digits of the device-specific key.
    Key,
    /// The displayed digits, entered on the device. A simulated device enters them itself.
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
