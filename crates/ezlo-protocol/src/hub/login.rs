//! Login: at the relay with the MMS pair, at the hub with a local token; and the controller's own registration.

use crate::secret::{IdentitySignature, IdentityToken, LocalToken};
use crate::serial::Serial;
use crate::wire::{Field, Loose};

wire! {
    /// Parameters of `loginUserMios`.
    LoginUserMios {
        /// The `Identity`.
        identity: IdentityToken = "MMSAuth",
        /// The `IdentitySignature`.
        signature: IdentitySignature = "MMSAuthSig",
        /// The hub's serial; sent by some clients, ignored.
        serial: Field<String> = "PK_Device",
    }
}

wire! {
    /// Parameters of `register`: a user's connection sends the serial, a controller's all the rest too.
    Register {
        /// The hub; text.
        serial: Loose<Serial> = "serial",
        /// Controller: firmware version.
        firmware: Field<String> = "firmware",
        /// Controller: seconds from UTC.
        time_offset: Field<i64> = "timeOffset",
        /// Controller: such as `radio`.
        media: Field<String> = "media",
        /// Controller: such as `32.1`.
        hub_type: Field<String> = "hubType",
        /// Controller: its uuid.
        controller_uuid: Field<String> = "controller_uuid",
        /// Controller: its hardware address.
        mac_address: Field<String> = "mac_address",
        /// Controller: longest frame it takes, in bytes.
        max_frame_size: Field<i64> = "maxFrameSize",
        /// Controller: such as `default`.
        location: Field<String> = "location",
    }
}

impl Register {
    /// What a user's connection sends.
    pub fn user(serial: Serial) -> Self {
        Self { serial: Loose::text(serial), ..Self::default() }
    }

    /// Whether a controller speaks, not a user.
    pub const fn is_controller(&self) -> bool {
        !self.controller_uuid.is_absent() || !self.hub_type.is_absent()
    }
}

wire! {
    /// Parameters of `hub.offline.login.ui`, the login on the local network.
    OfflineLogin {
        /// The user's uuid; on EzloPi the hub's serial.
        user: Field<String> = "user",
        /// The token for this hub.
        token: LocalToken = "token",
    }
}

wire! {
    /// Parameters of `hub.offline.anonymous_access.enabled.set` and its insecure twin.
    Switch {
        /// On or off.
        enabled: bool = "enabled",
    }
}

wire! {
    /// Content of the relay's own `EzloStateChanged`; compare its name without regard to case.
    HubStateChange {
        /// Which hub.
        serial: Field<Loose<Serial>> = "serial",
        /// Whether it is at the relay.
        connected: Field<bool> = "connected",
    }
}
