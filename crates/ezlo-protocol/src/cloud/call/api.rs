//! Calls of the newer cloud API.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::cloud::api::{ApiAnswer, ControllerList, TokenAnswer};
use crate::cloud::call::common::{AnswerError, Builder, Call, CallSpec, HostRole, RequestError, excerpt, mms_success};
use crate::cloud::keys::AccessKeys;
use crate::error::RetryClass;
use crate::evidence::Evidence::{ClientSource, Vendor};
use crate::identity::IdentityPair;
use crate::secret::{CloudToken, Password};
use crate::wire;

const GATEWAY_PATH: &str = "/v1/request";
const GATEWAY_CONTENT: &str = "application/json; charset=UTF-8";

/// Exchanges the MMS pair for a token of the cloud API.
///
/// The call can be slow: one public client has a timeout of 60 s (client-source).
#[derive(Debug, Clone)]
pub struct ExchangeToken<'a> {
    /// The MMS pair of the caller.
    pub pair: &'a IdentityPair,
}

impl Call for ExchangeToken<'_> {
    const SPEC: CallSpec = CallSpec {
        name: "exchange",
        role: HostRole::Cloud,
        method: "GET",
        path: "/mca-router/token/exchange/legacy-to-cloud",
        request: ClientSource,
        answer: ClientSource,
        idempotent: true,
    };
    type Answer = TokenAnswer;

    fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError> {
        Builder::new(Method::GET, base, "/mca-router/token/exchange/legacy-to-cloud/")
            .header(header::ACCEPT, "application/json")
            .pair(self.pair)
            .empty()
    }

    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<TokenAnswer, AnswerError> {
        Ok(wire::from_slice(mms_success(status, body, RetryClass::Permanent)?)?)
    }
}

fn gateway_call(base: &str, token: Option<&CloudToken>, call: &Value) -> Result<Request<Bytes>, RequestError> {
    let request = Builder::new(Method::POST, base, GATEWAY_PATH);
    match token {
        Some(token) => request.bearer(token).json(GATEWAY_CONTENT, call),
        None => request.json(GATEWAY_CONTENT, call),
    }
}

/// Returns the `data` of a gateway response. The HTTP status is 200 even if the gateway refuses the call.
fn gateway_answer<T: serde::de::DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, AnswerError> {
    let answer: ApiAnswer = wire::from_slice(mms_success(status, body, RetryClass::Permanent)?)?;
    match answer.result() {
        Ok(data) => Ok(wire::from_value(data)?),
        Err(text) => Err(AnswerError::Refused { text: excerpt(text) }),
    }
}

/// Reads the caller's keys, including the local token of each hub.
#[derive(Debug, Clone)]
pub struct AccessKeysSync<'a> {
    /// Token of the caller.
    pub token: &'a CloudToken,
}

impl Call for AccessKeysSync<'_> {
    const SPEC: CallSpec = CallSpec {
        name: "access_keys_sync",
        role: HostRole::CloudApi,
        method: "POST",
        path: GATEWAY_PATH,
        request: ClientSource,
        answer: ClientSource,
        idempotent: true,
    };
    type Answer = AccessKeys;

    fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError> {
        // Version -1 requests all keys (the client of jamincollins). Other clients send a fixed version and a random UUID.
        let call = json!({"call": "access_keys_sync", "version": "1", "params": {"version": -1}});
        gateway_call(base, Some(self.token), &call)
    }

    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<AccessKeys, AnswerError> {
        gateway_answer(status, body)
    }
}

/// Logs in at the RPC gateway with user name and password in clear text, without the MMS servers.
#[derive(Debug, Clone)]
pub struct LoginWithIdAndPassword<'a> {
    /// User name.
    pub user_id: &'a str,
    /// Password, sent in clear text.
    pub password: &'a Password,
}

impl Call for LoginWithIdAndPassword<'_> {
    const SPEC: CallSpec = CallSpec {
        name: "login_with_id_and_password",
        role: HostRole::CloudApi,
        method: "POST",
        path: GATEWAY_PATH,
        request: Vendor,
        answer: Vendor,
        idempotent: true,
    };
    type Answer = TokenAnswer;

    fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError> {
        let params = json!({"user_id": self.user_id, "user_password": self.password.expose()});
        gateway_call(base, None, &json!({"call": "login_with_id_and_password", "params": params}))
    }

    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<TokenAnswer, AnswerError> {
        gateway_answer(status, body)
    }
}

/// The version of the v4 login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginV4Version {
    /// Returns the token and the MMS pair.
    V1,
    /// Returns the token only.
    V3,
}

/// Logs in at the v4 API with user name and password in clear text.
///
/// The statuses 400, 401 and 403 and a success without a token mean bad credentials (the vendor's own client).
#[derive(Debug, Clone)]
pub struct LoginV4<'a> {
    /// Version of the login.
    pub version: LoginV4Version,
    /// User name.
    pub user_id: &'a str,
    /// Password, sent in clear text.
    pub password: &'a Password,
}

impl Call for LoginV4<'_> {
    const SPEC: CallSpec = CallSpec {
        name: "login_v4",
        role: HostRole::CloudApi,
        method: "POST",
        path: "/api/v4/login/{version}/sessions",
        request: Vendor,
        answer: Vendor,
        idempotent: true,
    };
    type Answer = TokenAnswer;

    fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError> {
        let version = match self.version {
            LoginV4Version::V1 => 1,
            LoginV4Version::V3 => 3,
        };
        let body = json!({"user_id": self.user_id, "user_password": self.password.expose()});
        Builder::new(Method::POST, base, &format!("/api/v4/login/{version}/sessions")).json(GATEWAY_CONTENT, &body)
    }

    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<TokenAnswer, AnswerError> {
        let bad = |text: String| {
            Err(AnswerError::Status { status: status.as_u16(), text, class: RetryClass::BadCredentials })
        };
        if matches!(status.as_u16(), 400 | 401 | 403) {
            return bad(std::str::from_utf8(body).map(excerpt).unwrap_or_default());
        }
        let body = mms_success(status, body, RetryClass::Permanent)?;
        let answer: Value = wire::from_slice(body)?;
        if answer["token"].as_str().is_none_or(str::is_empty) {
            return bad("response contains no token".into());
        }
        Ok(wire::from_value(&answer)?)
    }
}

/// Lists the caller's hubs with their local tokens and relay addresses.
#[derive(Debug, Clone)]
pub struct ListControllers<'a> {
    /// Token of the caller.
    pub token: &'a CloudToken,
}

impl Call for ListControllers<'_> {
    const SPEC: CallSpec = CallSpec {
        name: "controller_list",
        role: HostRole::CloudApi,
        method: "GET",
        path: "/api/v4/controller_list/3/controllers",
        request: Vendor,
        answer: Vendor,
        idempotent: true,
    };
    type Answer = ControllerList;

    fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError> {
        Builder::new(Method::GET, base, "/api/v4/controller_list/3/controllers")
            .query("local_key", "1")
            .secret_header("x-access-token", self.token.expose())
            .empty()
    }

    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<ControllerList, AnswerError> {
        Ok(wire::from_slice(mms_success(status, body, RetryClass::Permanent)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_failure_with_http_200_is_refused() {
        let token = "t".into();
        let call = AccessKeysSync { token: &token };
        let error = call.parse(StatusCode::OK, br#"{"status":0,"data":{"error_text":"bad token"}}"#).unwrap_err();
        assert_eq!(error, AnswerError::Refused { text: "bad token".into() });
    }

    #[test]
    fn a_v4_response_without_a_token_means_bad_credentials() {
        let password = "p".into();
        let call = LoginV4 { version: LoginV4Version::V3, user_id: "u", password: &password };
        assert_eq!(call.parse(StatusCode::OK, b"{}").unwrap_err().class(), RetryClass::BadCredentials);
        assert_eq!(call.parse(StatusCode::FORBIDDEN, b"").unwrap_err().class(), RetryClass::BadCredentials);
        assert_eq!(call.parse(StatusCode::BAD_GATEWAY, b"").unwrap_err().class(), RetryClass::Transient);
        assert_eq!(call.parse(StatusCode::OK, br#"{"token":"t"}"#).unwrap().token, CloudToken::new("t"));
    }
}
