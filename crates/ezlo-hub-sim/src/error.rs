//! Refusals of physical actions.

/// A physical action on a hub or its devices is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// No template has this name.
    #[error("no template is called {0:?}; `mock-cloud world templates` lists them")]
    NoTemplate(String),
    /// No inclusion or exclusion waits for a device. The text is the state of the radio.
    #[error(
        "no inclusion or exclusion in progress (radio: {0}); start one with hub.extensions.plugin.run, script \
         HUB:zwave/scripts/start_include or start_exclude"
    )]
    NotWaiting(String),
    /// No device has this id or name.
    #[error("no device has the id or name {0:?}")]
    NoDevice(String),
    /// The device has no such item.
    #[error("device {device:?} has no item {item:?}")]
    NoItem {
        /// Id or name of the device, as requested.
        device: String,
        /// Id or name of the item, as requested.
        item: String,
    },
    /// The value does not fit the type, tokens or range of the item.
    #[error("item {item:?}: {reason}")]
    BadValue {
        /// Name of the item, as requested.
        item: String,
        /// Reason for the refusal.
        reason: String,
    },
    /// The device, given by id or name, has no sensor item that can be tripped.
    #[error("device {0:?} has no sensor item to trip")]
    NoSensor(String),
    /// The device, given by id or name, has neither a button nor a switch.
    #[error("device {0:?} has no button and no switch to press")]
    NoButton(String),
    /// The hub has no power.
    #[error("the hub has no power; plug it in first")]
    Unplugged,
}
