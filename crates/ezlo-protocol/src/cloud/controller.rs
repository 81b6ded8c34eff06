//! Documents of the bootstrap of a controller, as an EzloPi board reads them: coordinator, provisioning, local keys, firmware.
//!
//! The members are those that the firmware and the vendor's desktop tool read (client-source), and of the vendor's page on
//! `cloud.access_keys_controller_sync` (vendor).

use std::collections::BTreeMap;

use crate::secret::{PrivateKey, ProvisionToken};
use crate::serial::Serial;
use crate::wire::{Field, Loose};

/// Name of the call with which a controller reads the keys of its users.
pub const ACCESS_KEYS_CONTROLLER_SYNC: &str = "cloud.access_keys_controller_sync";
/// Name of the call with which a controller asks for its newest firmware.
pub const FIRMWARE_INFO_GET: &str = "cloud.firmware.info.get";
/// Name of the message by which the cloud announces that the keys of a controller have changed.
pub const CREDENTIALS_UPDATED: &str = "hub.offline.credentials.updated";

wire! {
    /// The response of the coordinator: the relay that a controller connects to.
    CoordinatorAnswer {
        /// WebSocket URL of the relay.
        uri: String = "uri",
    }
}

wire! {
    /// The response to a provisioning check. Without `data` there is nothing for the controller.
    ProvisionAnswer {
        /// New provisioning of the controller.
        data: Field<Provision> = "data",
        /// Code of an error.
        error_code: Field<Loose<i64>> = "error_code",
    }
}

wire! {
    /// The provisioning of a controller, which it stores before it restarts.
    Provision {
        /// Serial of the controller.
        id: Loose<Serial> = "id",
        /// UUID of the controller.
        uuid: Field<String> = "uuid",
        /// UUID of the cloud.
        cloud_uuid: Field<String> = "cloud_uuid",
        /// Version of the provisioning, which the controller sends with its next check.
        version: i64 = "version",
        /// URL of the coordinator.
        coordinator_url: Field<String> = "coordinator_url",
        /// Token of the next provisioning check.
        provision_token: ProvisionToken = "provision_token",
        /// Private key of the controller.
        ssl_private_key: PrivateKey = "ssl_private_key",
        /// Public key of the controller, in PEM.
        ssl_public_key: Field<String> = "ssl_public_key",
        /// Certificate of the controller, in PEM.
        ssl_shared_key: Field<String> = "ssl_shared_key",
        /// Certificate of the authority, in PEM.
        signing_ca_certificate: Field<String> = "signing_ca_certificate",
    }
}

wire! {
    /// The `data` of the response to `self_provision_request`.
    SelfProvisionRequested {
        /// UUID of the request, for `self_provision_get`.
        uuid: String = "uuid",
    }
}

wire! {
    /// The `data` of the response to `self_provision_get`.
    SelfProvisioned {
        /// UUID of the new controller.
        controller_uuid: String = "controller_uuid",
        /// A [`SelfProvision`] as JSON text.
        provision_data: String = "provision_data",
    }
}

wire! {
    /// The data that the vendor's desktop tool writes to a new board.
    SelfProvision {
        /// Serial of the board.
        id: Loose<Serial> = "id",
        /// URL of the server of provisioning checks.
        provision_server: Field<String> = "provision_server",
        /// Token of the provisioning checks.
        provision_token: ProvisionToken = "provision_token",
        /// URL of the coordinator.
        cloud_server: Field<String> = "cloud_server",
        /// Name of a preset Wi-Fi network; empty without one.
        default_wifi_ssid: Field<String> = "default_wifi_ssid",
        /// Key of the preset Wi-Fi network; empty without one.
        default_wifi_password: Field<crate::secret::Passkey> = "default_wifi_password",
        /// Certificate of the authority, in PEM.
        signing_ca_certificate: Field<String> = "signing_ca_certificate",
        /// Private key of the board.
        ssl_private_key: PrivateKey = "ssl_private_key",
        /// Certificate of the board, in PEM.
        ssl_shared_key: Field<String> = "ssl_shared_key",
    }
}

wire! {
    /// The keys that open a controller on its local network.
    ControllerKeys {
        /// By UUID of the user: SHA-256 digests of the local tokens, in hexadecimal digits.
        clients: BTreeMap<String, Vec<String>> = "clients",
        /// By UUID of a controller: serial and tokens of the controllers that may connect.
        peers: Field<BTreeMap<String, ControllerPeer>> = "peers",
        /// Certificates of the local HTTPS server.
        current: Field<Vec<ControllerCertificate>> = "current",
    }
}

wire! {
    /// Another controller that may connect.
    ControllerPeer {
        /// Serial of the other controller.
        id: Loose<Serial> = "id",
        /// Tokens of the other controller.
        tokens: Field<Vec<crate::secret::LocalToken>> = "tokens",
    }
}

wire! {
    /// A certificate of the local HTTPS server of a controller.
    ControllerCertificate {
        /// The certificate, in PEM.
        certificate: String = "certificate",
        /// The private key.
        private: PrivateKey = "private",
        /// Certificate of the authority, in PEM.
        public_parent: Field<String> = "public_parent",
    }
}

wire! {
    /// The result of `cloud.firmware.info.get`. Without `urls` the controller does not update.
    FirmwareInfo {
        /// The newest version.
        version: Field<String> = "version",
        /// Addresses of the image.
        urls: Field<FirmwareUrls> = "urls",
    }
}

wire! {
    /// Addresses of a firmware image.
    FirmwareUrls {
        /// URL of the image.
        firmware: Field<String> = "firmware",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provisioning_keeps_its_members_and_hides_its_secrets() {
        let text = r#"{"data":{"id":"105000001","uuid":"u","version":2,"provision_token":"canary-token","ssl_private_key":"canary-key","more":1}}"#;
        let answer: ProvisionAnswer = crate::wire::from_slice(text.as_bytes()).unwrap();
        assert_eq!(crate::wire::to_text(&answer), text);
        assert!(!format!("{answer:?}").contains("canary"), "{answer:?}");
    }
}
