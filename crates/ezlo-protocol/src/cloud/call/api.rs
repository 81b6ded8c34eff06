//! Calls of the newer cloud API.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::cloud::api::{ApiAnswer, ControllerList, TokenAnswer};
use crate::cloud::call::common::{AnswerError, Builder, Call, CallSpec, HostRole, RequestError, mms_success, said};
use crate::cloud::keys::AccessKeys;
use crate::error::RetryClass;
use crate::evidence::Evidence::{ClientSource, Vendor};
use crate::identity::IdentityPair;
use crate::secret::{CloudToken, Password};
use crate::wire;

const GATEWAY_PATH: &str = "/v1/request";
const GATEWAY_CONTENT: &str = "application/json; charset=UTF-8";

/// Exchanges the MMS pair for a token of the cloud API. Can be slow: one public client allows 60 s.
#[derive(Debug, Clone)]
pub struct ExchangeToken<'a> {
    /// Who asks.
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

/// The `data` of a gateway answer; the gateway says 200 even when it refuses.
fn gateway_answer<T: serde::de::DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, AnswerError> {
    let answer: ApiAnswer = wire::from_slice(mms_success(status, body, RetryClass::Permanent)?)?;
    match answer.result() {
        Ok(data) => Ok(wire::from_value(data)?),
        Err(text) => Err(AnswerError::Refused { text: said(text) }),
    }
}

/// Reads the caller's keys, among them the local token of each hub.
#[derive(Debug, Clone)]
pub struct AccessKeysSync<'a> {
    /// Who asks.
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
        // A version of -1 means "everything" (the client of jamincollins); others send a fixed one and a random uuid.
        let call = json!({"call": "access_keys_sync", "version": "1", "params": {"version": -1}});
        gateway_call(base, Some(self.token), &call)
    }

    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<AccessKeys, AnswerError> {
        gateway_answer(status, body)
    }
}

/// Logs in at the gateway with name and clear-text password, without MMS.
#[derive(Debug, Clone)]
pub struct LoginWithIdAndPassword<'a> {
    /// Name.
    pub user_id: &'a str,
    /// Password.
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

/// Which of the two v4 logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginV4Version {
    /// Gives the MMS pair beside the token.
    V1,
    /// Gives the token alone.
    V3,
}

/// The v4 login.
#[derive(Debug, Clone)]
pub struct LoginV4<'a> {
    /// Which of the two.
    pub version: LoginV4Version,
    /// Name.
    pub user_id: &'a str,
    /// Password.
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

    /// 400, 401, 403 and a 200 without a token all mean bad credentials (the vendor's own client).
    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<TokenAnswer, AnswerError> {
        let bad = |text: String| {
            Err(AnswerError::Status { status: status.as_u16(), text, class: RetryClass::BadCredentials })
        };
        if matches!(status.as_u16(), 400 | 401 | 403) {
            return bad(std::str::from_utf8(body).map(said).unwrap_or_default());
        }
        let body = mms_success(status, body, RetryClass::Permanent)?;
        let answer: Value = wire::from_slice(body)?;
        if answer["token"].as_str().is_none_or(str::is_empty) {
            return bad("the answer holds no token".into());
        }
        Ok(wire::from_value(&answer)?)
    }
}

/// Lists the caller's hubs with their local keys and relay addresses.
#[derive(Debug, Clone)]
pub struct ListControllers<'a> {
    /// Who asks.
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
    fn the_gateway_refuses_with_200() {
        let token = "t".into();
        let call = AccessKeysSync { token: &token };
        let error = call.parse(StatusCode::OK, br#"{"status":0,"data":{"error_text":"bad token"}}"#).unwrap_err();
        assert_eq!(error, AnswerError::Refused { text: "bad token".into() });
    }

    #[test]
    fn a_v4_answer_without_a_token_is_bad_credentials() {
        let password = "p".into();
        let call = LoginV4 { version: LoginV4Version::V3, user_id: "u", password: &password };
        assert_eq!(call.parse(StatusCode::OK, b"{}").unwrap_err().class(), RetryClass::BadCredentials);
        assert_eq!(call.parse(StatusCode::FORBIDDEN, b"").unwrap_err().class(), RetryClass::BadCredentials);
        assert_eq!(call.parse(StatusCode::BAD_GATEWAY, b"").unwrap_err().class(), RetryClass::Transient);
        assert_eq!(call.parse(StatusCode::OK, br#"{"token":"t"}"#).unwrap().token, CloudToken::new("t"));
    }
}
