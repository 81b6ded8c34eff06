//! The HTTP calls as values. Each [`Call`] builds an [`http::Request`] and parses the response; nothing is sent.

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

/// All calls, in the order of the vendor's note.
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
