//! The HTTP calls as values: each builds an [`http::Request`] and reads the answer; nothing here sends anything.
//!
//! `base` is scheme and authority, such as `https://vera-us-oem-autha.mios.com`, without a trailing slash.

mod access_point;
mod api;
mod common;
mod mms;

pub use access_point::{CloseAccessPoint, ConnectWifi, GetWifiStatus, ListWifiNetworks, Restart};
pub use api::{AccessKeysSync, ExchangeToken, ListControllers, LoginV4, LoginV4Version, LoginWithIdAndPassword};
pub use common::{AnswerError, Auth, Call, CallSpec, HostRole, RequestError};
pub use mms::{
    ClaimHub, CreateAccount, GetAccount, GetHub, GetSessionToken, ListHubs, ListUsers, LocateHubs, LogIn, UpdateAccount,
};

/// Every call, in the order of the vendor's note.
pub const CALLS: &[CallSpec] = &[
    ListWifiNetworks::SPEC,
    GetWifiStatus::SPEC,
    ConnectWifi::SPEC,
    CloseAccessPoint::SPEC,
    Restart::SPEC,
    CreateAccount::SPEC,
    ClaimHub::SPEC,
    LogIn::SPEC,
    GetSessionToken::SPEC,
    GetAccount::SPEC,
    UpdateAccount::SPEC,
    ListUsers::SPEC,
    ListHubs::SPEC,
    GetHub::SPEC,
    LocateHubs::SPEC,
    ExchangeToken::SPEC,
    AccessKeysSync::SPEC,
    LoginWithIdAndPassword::SPEC,
    LoginV4::SPEC,
    ListControllers::SPEC,
];
