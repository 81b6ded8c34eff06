//! The MMS pair: the `Identity`, which names the user and the expiry, and its signature.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::secret::{IdentitySignature, IdentityToken};
use crate::wire::{self, DecodeError, Field};

/// Validity of a pair in seconds (24 h): `Expires` minus `Generated` in all three samples examined.
pub const LIFETIME_SECONDS: i64 = 86_400;

/// Standard alphabet. Padding is optional when decoding, because a public client adds it defensively, and always written.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The two header values that authenticate a user: `MMSAuth` and `MMSAuthSig`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityPair {
    /// The `Identity`, sent as `MMSAuth`.
    pub identity: IdentityToken,
    /// The `IdentitySignature`, sent as `MMSAuthSig`.
    pub signature: IdentitySignature,
}

impl IdentityPair {
    /// Decodes the `Identity`. The signature is not verified.
    ///
    /// # Errors
    ///
    /// The same as [`IdentityDocument::decode`].
    pub fn decode(&self) -> Result<IdentityDocument, IdentityError> {
        IdentityDocument::decode(&self.identity)
    }
}

wire! {
    /// The decoded `Identity` of either token version. Times are Unix seconds.
    ///
    /// Version 1 has `Permissions`. Version 2 (`TokenVersion=2` at login) has `PermissionsEnabled`,
    /// `PermissionsDisabled` and `Version`. It shortens the header from about 3.5 kB to 1.4 kB.
    IdentityDocument {
        /// End of validity, Unix seconds.
        expires: i64 = "Expires",
        /// Time of issue, Unix seconds.
        generated: i64 = "Generated",
        /// Granted permissions, version 1.
        permissions: Field<Vec<Permission>> = "Permissions",
        /// Granted permissions, version 2.
        permissions_enabled: Field<Vec<EnabledPermission>> = "PermissionsEnabled",
        /// Disabled permissions, version 2; empty in every sample.
        permissions_disabled: Field<Vec<Value>> = "PermissionsDisabled",
        /// Token version: 2 in version 2, absent in version 1.
        version: Field<i64> = "Version",
        /// The account, as used in the paths of the account server.
        account: u64 = "PK_Account",
        /// Account type; 5 (end customer) in all samples.
        account_type: Field<i64> = "PK_AccountType",
        /// Child account; 0 in all samples.
        account_child: Field<i64> = "PK_AccountChild",
        /// Reseller chain, level 1.
        account_parent: Field<i64> = "PK_Account_Parent",
        /// Reseller chain, level 2.
        account_parent2: Field<i64> = "PK_Account_Parent2",
        /// Reseller chain, level 3.
        account_parent3: Field<i64> = "PK_Account_Parent3",
        /// Reseller chain, level 4.
        account_parent4: Field<i64> = "PK_Account_Parent4",
        /// Application; 0 if the login had no `AppKey`.
        app: Field<i64> = "PK_App",
        /// Brand: 1 = Vera and Ezlo, 73 = Springs/Bali.
        oem: Field<i64> = "PK_Oem",
        /// User of the brand; empty in all samples.
        oem_user: Field<String> = "PK_Oem_User",
        /// Role; 10 = account owner.
        permission_role: Field<i64> = "PK_PermissionRole",
        /// The user.
        user: Field<u64> = "PK_User",
        /// Number of the auth server.
        server_auth_id: Field<i64> = "PK_Server_Auth",
        /// Number of the account server.
        server_account_id: Field<i64> = "PK_Server_Account",
        /// Number of the event server.
        server_event_id: Field<i64> = "PK_Server_Event",
        /// Host name of the issuing auth server.
        server_auth: Field<String> = "Server_Auth",
        /// Sequence number; increases with each login.
        seq: Field<i64> = "Seq",
        /// User name, as registered.
        username: Field<String> = "Username",
    }
}

wire! {
    /// One granted permission, version 1.
    Permission {
        /// Number of the permission; the meaning of the numbers is not public.
        permission: i64 = "PK_Permission",
        /// Mode of the permission; 1 in all samples.
        mode: Field<i64> = "Mode",
        /// Text that contains a JSON array, such as `"[9,10,11,12,13]"`. [`Permission::arguments`] parses it.
        arguments: Field<String> = "Arguments",
    }
}

impl Permission {
    /// Returns the numbers inside `Arguments`; empty if it is absent or not an array of numbers.
    pub fn arguments(&self) -> Vec<i64> {
        self.arguments.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

/// One granted permission, version 2: a bare number, or an object when it has arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EnabledPermission {
    /// The permission without arguments.
    Number(i64),
    /// The permission with arguments.
    WithArguments(PermissionWithArguments),
}

impl EnabledPermission {
    /// Returns the number of the permission.
    pub const fn permission(&self) -> i64 {
        match self {
            Self::Number(permission) => *permission,
            Self::WithArguments(with) => with.permission,
        }
    }
}

wire! {
    /// A version 2 permission that carries arguments.
    PermissionWithArguments {
        /// Number of the permission.
        permission: i64 = "PK",
        /// Text that contains a JSON array.
        arguments: Field<String> = "Arguments",
    }
}

impl IdentityDocument {
    /// Decodes an `Identity`: base64, then JSON. The signature is not verified.
    ///
    /// # Errors
    ///
    /// - [`IdentityError::Base64`] if the text is not base64. Missing padding is accepted.
    /// - [`IdentityError::Document`] if the JSON lacks a required member or has a member of the wrong type.
    pub fn decode(identity: &IdentityToken) -> Result<Self, IdentityError> {
        let json = BASE64.decode(identity.expose().trim()).map_err(|_| IdentityError::Base64)?;
        wire::from_slice(&json).map_err(IdentityError::Document)
    }

    /// Encodes the document as an `Identity`: compact JSON in padded base64.
    pub fn encode(&self) -> IdentityToken {
        IdentityToken::new(BASE64.encode(wire::to_bytes(self)))
    }

    /// Returns `true` if the pair has expired at this Unix second. It is valid before `Expires`, but not at `Expires`.
    pub const fn is_expired_at(&self, unix_seconds: i64) -> bool {
        unix_seconds >= self.expires
    }

    /// Returns the numbers of the granted permissions of either version.
    pub fn permission_ids(&self) -> Vec<i64> {
        let first = self.permissions.get().into_iter().flatten().map(|permission| permission.permission);
        let second = self.permissions_enabled.get().into_iter().flatten().map(EnabledPermission::permission);
        first.chain(second).collect()
    }
}

/// The error of decoding an `Identity`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The text is not base64 in the standard alphabet.
    #[error("Identity is not base64")]
    Base64,
    /// The content is not JSON of the expected shape.
    #[error("Identity has an unexpected content")]
    Document(#[source] DecodeError),
}

/// Returns the 70 permissions of an account owner, the same in both tokens examined.
pub fn owner_permissions() -> impl Iterator<Item = i64> {
    const SMALL: [i64; 23] = [1, 2, 3, 4, 6, 9, 14, 15, 17, 18, 19, 20, 21, 22, 23, 25, 26, 27, 28, 29, 30, 41, 42];
    const LARGE: [i64; 16] =
        [482, 492, 562, 582, 682, 685, 705, 731, 1596, 1606, 1616, 1626, 1635, 1636, 1648, PERMISSION_WITH_ARGUMENTS];
    SMALL.into_iter().chain([43]).chain((52..=342).step_by(10)).chain(LARGE)
}

/// The only permission with arguments; see [`PERMISSION_ARGUMENTS`].
pub const PERMISSION_WITH_ARGUMENTS: i64 = 1653;

/// The arguments of [`PERMISSION_WITH_ARGUMENTS`]: a text, not an array, in every token examined.
pub const PERMISSION_ARGUMENTS: &str = "[9,10,11,12,13]";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The shape of a version 1 sample, with invented numbers.
    const V1: &str = r#"{"Expires":1700086400,"Generated":1700000000,"Permissions":[{"PK_Permission":1648,"Mode":1},{"PK_Permission":1653,"Mode":1,"Arguments":"[9,10,11,12,13]"}],"PK_Account":1200001,"PK_AccountType":5,"PK_AccountChild":0,"PK_Account_Parent":2375,"PK_Account_Parent2":1,"PK_Account_Parent3":0,"PK_Account_Parent4":0,"PK_App":0,"PK_Oem":1,"PK_Oem_User":"","PK_PermissionRole":10,"PK_User":2800001,"PK_Server_Auth":40,"PK_Server_Account":5,"PK_Server_Event":53,"Server_Auth":"vera-us-oem-autha11.mios.com","Seq":9000001,"Username":"demo.user"}"#;
    const V2: &str = r#"{"Expires":1700086400,"Generated":1700000000,"PermissionsEnabled":[1,2,{"PK":1653,"Arguments":"[9,10,11,12,13]"}],"PermissionsDisabled":[],"Version":2,"PK_Account":1200001,"Username":"demo.user"}"#;

    #[test]
    fn both_versions_round_trip_byte_for_byte() {
        for text in [V1, V2] {
            let document: IdentityDocument = wire::from_slice(text.as_bytes()).unwrap();
            assert_eq!(wire::to_value(&document).to_string(), text);
            assert_eq!(IdentityDocument::decode(&document.encode()).unwrap(), document);
        }
    }

    #[test]
    fn permissions_are_read_from_both_versions() {
        let first: IdentityDocument = wire::from_slice(V1.as_bytes()).unwrap();
        assert_eq!(first.permission_ids(), [1648, 1653]);
        assert_eq!(first.permissions.get().unwrap()[1].arguments(), [9, 10, 11, 12, 13]);
        let second: IdentityDocument = wire::from_slice(V2.as_bytes()).unwrap();
        assert_eq!(second.permission_ids(), [1, 2, 1653]);
    }

    #[test]
    fn an_owner_has_seventy_permissions() {
        assert_eq!(owner_permissions().count(), 70);
    }

    #[test]
    fn a_pair_is_expired_at_the_expires_second() {
        let document: IdentityDocument = wire::from_slice(V1.as_bytes()).unwrap();
        assert!(!document.is_expired_at(1_700_086_399));
        assert!(document.is_expired_at(1_700_086_400));
    }

    #[test]
    fn missing_padding_is_accepted() {
        let document: IdentityDocument = wire::from_slice(V2.as_bytes()).unwrap();
        let token = document.encode();
        let bare = IdentityToken::new(token.expose().trim_end_matches('='));
        assert_eq!(IdentityDocument::decode(&bare).unwrap(), document);
    }

    /// The vendor's note prints a decoded token that is not valid JSON: the array `Permissions` is not closed.
    #[test]
    fn the_malformed_sample_of_the_note_is_refused() {
        let printed = r#"{"Expires":1,"Generated":0,"Permissions":[{"PK_Permission":1,"Mode":1},{"PK_Account":1}}"#;
        let error = IdentityDocument::decode(&IdentityToken::new(BASE64.encode(printed))).unwrap_err();
        assert!(matches!(error, IdentityError::Document(_)), "{error}");
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text in ".*") {
            let _ = IdentityDocument::decode(&IdentityToken::new(text));
        }

        #[test]
        fn arbitrary_member_values_do_not_panic(text in r#"\{"Expires":[0-9]{1,30},"PK_Account":"?[a-z0-9]{0,8}"?\}"#) {
            let _ = IdentityDocument::decode(&IdentityToken::new(BASE64.encode(text)));
        }
    }
}
