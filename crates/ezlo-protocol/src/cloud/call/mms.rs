//! Calls of the MMS servers: auth, account, device and locator.

use bytes::Bytes;
use http::{Method, Request, StatusCode};

use crate::cloud::account::{AccountRecord, ClaimAnswer, HubList, LoginAnswer, UserList};
use crate::cloud::call::common::{
    AnswerError, Auth, Builder, Call, CallSpec, HostRole, RequestError, encode, excerpt, login_success, mms_success,
};
use crate::cloud::hub_record::{HubRecord, LocatorAnswer};
use crate::error::RetryClass;
use crate::evidence::Evidence::{ClientSource, Inferred, Vendor};
use crate::identity::IdentityPair;
use crate::mac::MacAddress;
use crate::password::{sha1_password, sha1_password_case_sensitive};
use crate::secret::{AppKey, Password, SessionToken};
use crate::serial::Serial;
use crate::wire;

/// Creates an account with its first user.
///
/// The URL contains the password in clear text (vendor). Do not log it.
#[derive(Debug, Clone)]
pub struct CreateAccount<'a> {
    /// User name.
    pub username: &'a str,
    /// Email address.
    pub email: &'a str,
    /// Password, sent in clear text.
    pub password: &'a Password,
    /// Brand; 1 = Vera and Ezlo.
    pub oem: i64,
    /// Key of the application; optional.
    pub app_key: Option<&'a AppKey>,
}

impl Call for CreateAccount<'_> {
    const SPEC: CallSpec = CallSpec {
        name: "create_account",
        role: HostRole::Auth,
        method: "POST",
        path: "/autha/auth/username",
        request: Vendor,
        answer: Inferred,
        idempotent: false,
    };
    type Answer = LoginAnswer;

    fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError> {
        Builder::new(Method::POST, base, "/autha/auth/username")
            .query("Username", self.username)
            .query("Email", self.email)
            .query("Password", self.password.expose())
            .query("PK_Oem", &self.oem.to_string())
            .query_if("AppKey", self.app_key.map(AppKey::expose))
            .empty()
    }

    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<LoginAnswer, AnswerError> {
        Ok(wire::from_slice(mms_success(status, body, RetryClass::Permanent)?)?)
    }
}

/// Logs a user in.
///
/// The status is 404 for a wrong user name and for a wrong password.
#[derive(Debug, Clone)]
pub struct LogIn<'a> {
    /// User name; the letter case does not matter.
    pub username: &'a str,
    /// Password; only its digest is sent.
    pub password: &'a Password,
    /// Brand; 1 = Vera and Ezlo, 73 = Springs/Bali.
    pub oem: i64,
    /// Key of the application; optional.
    pub app_key: Option<&'a AppKey>,
    /// Version of the `Identity`; 2 requests the short form.
    pub token_version: Option<u8>,
}

impl Call for LogIn<'_> {
    const SPEC: CallSpec = CallSpec {
        name: "login",
        role: HostRole::Auth,
        method: "GET",
        path: "/autha/auth/username/{username}",
        request: Vendor,
        answer: ClientSource,
        idempotent: true,
    };
    type Answer = LoginAnswer;

    fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError> {
        let twin = sha1_password_case_sensitive(self.username, self.password);
        let version = self.token_version.map(|version| version.to_string());
        Builder::new(Method::GET, base, &format!("/autha/auth/username/{}", encode(self.username)))
            .query("SHA1Password", sha1_password(self.username, self.password).expose())
            .query_if("SHA1PasswordCS", twin.as_ref().map(|twin| twin.expose()))
            .query("PK_Oem", &self.oem.to_string())
            .query_if("AppKey", self.app_key.map(AppKey::expose))
            .query_if("TokenVersion", version.as_deref())
            .empty()
    }

    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<LoginAnswer, AnswerError> {
        Ok(wire::from_slice(login_success(status, body)?)?)
    }
}

/// Requests a session token that is valid on the host of the call.
///
/// The response is plain text, not JSON.
#[derive(Debug, Clone)]
pub struct GetSessionToken<'a> {
    /// The MMS pair of the caller.
    pub pair: &'a IdentityPair,
}

impl Call for GetSessionToken<'_> {
    const SPEC: CallSpec = CallSpec {
        name: "session_token",
        role: HostRole::Account,
        method: "GET",
        path: "/info/session/token",
        request: ClientSource,
        answer: ClientSource,
        idempotent: true,
    };
    type Answer = SessionToken;

    fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError> {
        Builder::new(Method::GET, base, "/info/session/token").pair(self.pair).empty()
    }

    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<SessionToken, AnswerError> {
        let body = mms_success(status, body, RetryClass::Permanent)?;
        let text = std::str::from_utf8(body).unwrap_or_default().trim();
        let is_token = !text.is_empty() && text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_token {
            let text = "response contains no session token".into();
            return Err(AnswerError::Status { status: status.as_u16(), text, class: RetryClass::Permanent });
        }
        Ok(SessionToken::new(text))
    }
}

macro_rules! account_read {
    ($(#[$meta:meta])* $name:ident, $call:literal, $path:literal, $suffix:literal, $answer:ty, $request:expr, $known:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name<'a> {
            /// Authentication of the caller.
            pub auth: Auth<'a>,
            /// `PK_Account` of the decoded `Identity`.
            pub account: u64,
        }

        impl Call for $name<'_> {
            const SPEC: CallSpec = CallSpec {
                name: $call,
                role: HostRole::Account,
                method: "GET",
                path: $path,
                request: $request,
                answer: $known,
                idempotent: true,
            };
            type Answer = $answer;

            fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError> {
                let path = format!("/account/account/account/{}{}", self.account, $suffix);
                Builder::new(Method::GET, base, &path).auth(self.auth).empty()
            }

            fn parse(&self, status: StatusCode, body: &[u8]) -> Result<$answer, AnswerError> {
                Ok(wire::from_slice(mms_success(status, body, RetryClass::Permanent)?)?)
            }
        }
    };
}

account_read!(
    /// Reads the account. The shape of the response is inferred.
    GetAccount,
    "account",
    "/account/account/account/{account}",
    "",
    AccountRecord,
    Vendor,
    Inferred
);
account_read!(
    /// Lists the users of the account. The path and the response are inferred from similar calls.
    ListUsers,
    "users",
    "/account/account/account/{account}/users",
    "/users",
    UserList,
    Inferred,
    Inferred
);
account_read!(
    /// Lists the hubs of the account.
    ListHubs,
    "devices",
    "/account/account/account/{account}/devices",
    "/devices",
    HubList,
    Vendor,
    ClientSource
);

/// Updates the account. Members that are absent in the change do not change.
#[derive(Debug, Clone)]
pub struct UpdateAccount<'a> {
    /// Authentication of the caller.
    pub auth: Auth<'a>,
    /// `PK_Account` of the decoded `Identity`.
    pub account: u64,
    /// The members to change.
    pub change: &'a AccountRecord,
}

impl Call for UpdateAccount<'_> {
    const SPEC: CallSpec = CallSpec {
        name: "change_account",
        role: HostRole::Account,
        method: "PUT",
        path: "/account/account/account/{account}",
        request: Vendor,
        answer: Inferred,
        idempotent: true,
    };
    /// The text of the response, masked: `OK` or the changed record (both inferred).
    type Answer = String;

    fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError> {
        Builder::new(Method::PUT, base, &format!("/account/account/account/{}", self.account))
            .query("json", &wire::to_value(self.change).to_string())
            .auth(self.auth)
            .empty()
    }

    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<String, AnswerError> {
        let body = mms_success(status, body, RetryClass::Permanent)?;
        Ok(std::str::from_utf8(body).map(excerpt).unwrap_or_default())
    }
}

/// Claims a hub for the caller's account, with the serial and the MAC address on its label.
#[derive(Debug, Clone)]
pub struct ClaimHub<'a> {
    /// Authentication of the caller. The vendor's note sends the pair.
    pub auth: Auth<'a>,
    /// Installation that the hub is assigned to; 0 = the default installation.
    pub installation: u64,
    /// Serial from the label.
    pub serial: &'a Serial,
    /// MAC address from the label.
    pub mac: MacAddress,
}

impl Call for ClaimHub<'_> {
    const SPEC: CallSpec = CallSpec {
        name: "claim",
        role: HostRole::Account,
        method: "PUT",
        path: "/account/installation/installation/{installation}/device/{serial}",
        request: Vendor,
        answer: Inferred,
        idempotent: true,
    };
    type Answer = ClaimAnswer;

    fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError> {
        let path = format!("/account/installation/installation/{}/device/{}", self.installation, self.serial);
        Builder::new(Method::PUT, base, &path).query("MacAddress", &self.mac.to_string()).auth(self.auth).empty()
    }

    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<ClaimAnswer, AnswerError> {
        let body = mms_success(status, body, RetryClass::Permanent)?;
        // The vendor shows no response, so a success without JSON is accepted.
        Ok(wire::from_slice(body).unwrap_or_default())
    }
}

/// Reads the record of a hub, which includes the address of its relay.
#[derive(Debug, Clone)]
pub struct GetHub<'a> {
    /// Authentication of the caller.
    pub auth: Auth<'a>,
    /// Serial of the hub.
    pub serial: &'a Serial,
}

impl Call for GetHub<'_> {
    const SPEC: CallSpec = CallSpec {
        name: "device_info",
        role: HostRole::Device,
        method: "GET",
        path: "/device/device/device/{serial}",
        request: ClientSource,
        answer: ClientSource,
        idempotent: true,
    };
    type Answer = HubRecord;

    fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError> {
        Builder::new(Method::GET, base, &format!("/device/device/device/{}", self.serial)).auth(self.auth).empty()
    }

    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<HubRecord, AnswerError> {
        Ok(wire::from_slice(mms_success(status, body, RetryClass::Permanent)?)?)
    }
}

/// Lists the hubs behind the caller's public address. No authentication is required.
#[derive(Debug, Clone, Default)]
pub struct LocateHubs<'a> {
    /// Session token of the locator's host; optional.
    pub session: Option<&'a SessionToken>,
}

impl Call for LocateHubs<'_> {
    const SPEC: CallSpec = CallSpec {
        name: "locator",
        role: HostRole::Locator,
        method: "GET",
        path: "/locator/locator/locator",
        request: ClientSource,
        answer: ClientSource,
        idempotent: true,
    };
    type Answer = LocatorAnswer;

    fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError> {
        let request = Builder::new(Method::GET, base, "/locator/locator/locator");
        match self.session {
            Some(token) => request.auth(Auth::Session(token)).empty(),
            None => request.empty(),
        }
    }

    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<LocatorAnswer, AnswerError> {
        Ok(wire::from_slice(mms_success(status, body, RetryClass::Permanent)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://vera-us-oem-autha.mios.com";

    #[test]
    fn login_sends_both_digests_and_the_encoded_user_name() {
        let login = LogIn {
            username: "Test 4521@x",
            password: &"Ezlo@2021".into(),
            oem: 1,
            app_key: None,
            token_version: Some(2),
        };
        let uri = login.request(BASE).unwrap().uri().to_string();
        assert!(
            uri.starts_with("https://vera-us-oem-autha.mios.com/autha/auth/username/Test%204521%40x?SHA1Password=")
        );
        assert!(uri.contains("&SHA1PasswordCS=") && uri.ends_with("&PK_Oem=1&TokenVersion=2"), "{uri}");
    }

    #[test]
    fn create_and_claim_requests_match_the_note() {
        let password = "Ezlo@2021".into();
        let key = "APPKEY_ID".into();
        let create = CreateAccount {
            username: "test69212",
            email: "test69212@yopmail.com",
            password: &password,
            oem: 1,
            app_key: Some(&key),
        };
        assert_eq!(
            create.request(BASE).unwrap().uri().to_string(),
            "https://vera-us-oem-autha.mios.com/autha/auth/username?Username=test69212&Email=test69212%40yopmail.com&Password=Ezlo%402021&PK_Oem=1&AppKey=APPKEY_ID"
        );
        let token = "T".into();
        let serial = "90000001".parse().unwrap();
        let claim = ClaimHub {
            auth: Auth::Session(&token),
            installation: 0,
            serial: &serial,
            mac: "AB:CD:EF:12:34:56".parse().unwrap(),
        };
        let request = claim.request("https://vera-us-oem-account11.mios.com/").unwrap();
        assert_eq!(
            request.uri().to_string(),
            "https://vera-us-oem-account11.mios.com/account/installation/installation/0/device/90000001?MacAddress=AB%3ACD%3AEF%3A12%3A34%3A56"
        );
        assert_eq!((request.method(), &request.headers()["mmssession"]), (&Method::PUT, &"T".parse().unwrap()));
    }

    #[test]
    fn status_404_means_bad_credentials_at_login_only() {
        let password = "x".into();
        let login = LogIn { username: "a", password: &password, oem: 1, app_key: None, token_version: None };
        assert_eq!(login.parse(StatusCode::NOT_FOUND, b"").unwrap_err().class(), RetryClass::BadCredentials);
        let token = "T".into();
        let read = GetAccount { auth: Auth::Session(&token), account: 1 };
        assert_eq!(read.parse(StatusCode::NOT_FOUND, b"").unwrap_err().class(), RetryClass::Permanent);
        assert_eq!(read.parse(StatusCode::UNAUTHORIZED, b"").unwrap_err().class(), RetryClass::LogInAgain);
        assert_eq!(read.parse(StatusCode::BAD_GATEWAY, b"").unwrap_err().class(), RetryClass::Transient);
    }

    #[test]
    fn only_alphanumeric_text_is_a_session_token() {
        let pair = IdentityPair { identity: "i".into(), signature: "s".into() };
        let call = GetSessionToken { pair: &pair };
        assert_eq!(call.parse(StatusCode::OK, b"0000AB12\n").unwrap(), SessionToken::new("0000AB12"));
        for body in [&b""[..], b"<html>", b"\xff"] {
            assert!(call.parse(StatusCode::OK, body).is_err());
        }
    }

    #[test]
    fn an_invalid_header_value_is_not_in_the_error() {
        let token = "bad\nhunter2".into();
        let error = GetAccount { auth: Auth::Session(&token), account: 1 }.request(BASE).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
