//! Login at the relay and at the hub, and the registration of a connection at the relay.

use crate::secret::{IdentitySignature, IdentityToken, LocalToken};
use crate::serial::Serial;
use crate::wire::{Field, Loose};

wire! {
    /// Parameters of `loginUserMios`, the login at the relay.
    LoginUserMios {
        /// `Identity` of the MMS login.
        identity: IdentityToken = "MMSAuth",
        /// `IdentitySignature` of the MMS login.
        signature: IdentitySignature = "MMSAuthSig",
        /// Serial of the hub. Some clients send it; it has no effect.
        serial: Field<String> = "PK_Device",
    }
}

wire! {
    /// Parameters of `register`. A user's connection sends only the serial, a controller sends all members.
    Register {
        /// Serial of the hub, as text.
        serial: Loose<Serial> = "serial",
        /// Controller: firmware version.
        firmware: Field<String> = "firmware",
        /// Controller: offset from UTC in seconds.
        time_offset: Field<i64> = "timeOffset",
        /// Controller: medium of the connection, such as `radio`.
        media: Field<String> = "media",
        /// Controller: type of the hub, such as `32.1`.
        hub_type: Field<String> = "hubType",
        /// Controller: UUID of the hub.
        controller_uuid: Field<String> = "controller_uuid",
        /// Controller: MAC address of the hub.
        mac_address: Field<String> = "mac_address",
        /// Controller: maximum size of a received frame in bytes.
        max_frame_size: Field<i64> = "maxFrameSize",
        /// Controller: location, such as `default`.
        location: Field<String> = "location",
    }
}

impl Register {
    /// Creates the parameters of a user's connection.
    pub fn user(serial: Serial) -> Self {
        Self { serial: Loose::text(serial), ..Self::default() }
    }

    /// Returns `true` if the connection belongs to a controller, not to a user.
    pub const fn is_controller(&self) -> bool {
        !self.controller_uuid.is_absent() || !self.hub_type.is_absent()
    }
}

wire! {
    /// Parameters of `hub.offline.login.ui`, the login on the local network.
    OfflineLogin {
        /// UUID of the user; the serial of the hub on EzloPi.
        user: Field<String> = "user",
        /// Local key of the user for this hub.
        token: LocalToken = "token",
    }
}

wire! {
    /// Parameters of `hub.offline.anonymous_access.enabled.set` and `hub.offline.insecure_access.enabled.set`.
    Switch {
        /// `true` to allow the access.
        enabled: bool = "enabled",
    }
}

wire! {
    /// Content of `EzloStateChanged`, which the relay sends. Compare its name without regard to case.
    HubStateChange {
        /// Serial of the hub.
        serial: Field<Loose<Serial>> = "serial",
        /// `true` if the hub is connected to the relay.
        connected: Field<bool> = "connected",
    }
}
