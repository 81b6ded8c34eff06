//! Documents of the newer cloud API: token exchange, the RPC gateway and the v4 REST calls.

use serde_json::Value;

use crate::identity::IdentityPair;
use crate::secret::{CloudToken, IdentitySignature, IdentityToken, LocalToken, Password};
use crate::wire::{Field, Loose, Opaque};

wire! {
    /// The envelope of every RPC gateway answer. HTTP 200 even on failure.
    ApiAnswer {
        /// 1 = success.
        status: Loose<i64> = "status",
        /// 1 = complete.
        complete: Field<Loose<i64>> = "complete",
        /// The result, or `{"error_text": …}`.
        data: Field<Opaque> = "data",
    }
}

impl ApiAnswer {
    /// The result of a call that succeeded, else the service's own words.
    pub fn result(&self) -> Result<&Value, &str> {
        let complete = self.complete.get().is_none_or(|complete| *complete.get() == 1);
        match self.data.get() {
            Some(data) if *self.status.get() == 1 && complete => Ok(data),
            data => Err(data.and_then(|data| data["error_text"].as_str()).unwrap_or("the service gave no reason")),
        }
    }
}

wire! {
    /// A call of the RPC gateway.
    ApiCall {
        /// Which call.
        call: String = "call",
        /// Optional; `"1"`.
        version: Field<String> = "version",
        /// Its parameters.
        params: Field<Opaque> = "params",
    }
}

wire! {
    /// Name and password, as the gateway and the v4 logins take them.
    PasswordLogin {
        /// Name.
        user_id: String = "user_id",
        /// Password.
        password: Password = "user_password",
    }
}

wire! {
    /// An answer that is little more than a token: the exchange and the v4 logins.
    TokenAnswer {
        /// The token for the cloud API.
        token: CloudToken = "token",
        /// Unix seconds; only from `login_with_id_and_password`.
        expires: Field<Loose<i64>> = "expires",
        /// The MMS pair, where the call gives one.
        legacy_token: Field<LegacyToken> = "legacy_token",
    }
}

wire! {
    /// The MMS pair under other names.
    LegacyToken {
        /// The `Identity`.
        auth: IdentityToken = "auth",
        /// The `IdentitySignature`.
        sig: IdentitySignature = "sig",
    }
}

impl LegacyToken {
    /// The pair that authenticates MMS and relay.
    pub fn pair(&self) -> IdentityPair {
        IdentityPair { identity: self.auth.clone(), signature: self.sig.clone() }
    }
}

wire! {
    /// The v4 list of hubs.
    ControllerList {
        /// The hubs.
        controllers: Vec<Controller> = "controllers",
        /// Paging; empty in the sample.
        pagination: Field<Value> = "pagination",
    }
}

wire! {
    /// One hub in the v4 list.
    Controller {
        /// The serial; may be empty, then ignore the entry.
        serial: Field<Loose<String>> = "serial",
        /// The controller's uuid.
        uuid: Field<String> = "uuid",
        /// Its name.
        name: Field<String> = "name",
        /// The local token, when `local_key=1` was asked.
        local_key: Field<LocalToken> = "local_key",
        /// Raw relay host, such as `nma-server8-cloud.ezlo.com:443`; see [`relay_url`].
        nma_host: Field<String> = "nma_host",
        /// Relay addresses.
        nma_controllers: Field<Vec<NmaController>> = "nma_controllers",
    }
}

wire! {
    /// One relay address of a hub.
    NmaController {
        /// A WebSocket URL.
        url: Field<String> = "url",
    }
}

/// The address users connect to, from a raw `nma_host`.
///
/// Raw hosts are for hubs (mutual TLS); users have a host of their own beside each (the vendor's Home Assistant client).
///
/// ```
/// use ezlo_protocol::cloud::api::relay_url;
/// assert_eq!(relay_url("nma-server8-cloud.ezlo.com:443").as_deref(), Some("wss://nma-server8-ui-cloud.ezlo.com/nma"));
/// assert_eq!(relay_url("relay.ezlo.com").as_deref(), Some("wss://relay-ui-cloud.ezlo.com/nma"));
/// assert_eq!(relay_url("example.org"), None);
/// ```
pub fn relay_url(nma_host: &str) -> Option<String> {
    let host = nma_host.split(':').next()?;
    let name = host.strip_suffix(".ezlo.com")?;
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let stem = name.strip_suffix("-cloud").unwrap_or(name);
    is_plain.then(|| format!("wss://{stem}-ui-cloud.ezlo.com/nma"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn a_failure_is_a_failure_though_http_says_200() {
        let answer: ApiAnswer = wire::from_slice(br#"{"status":0,"data":{"error_text":"no"}}"#).unwrap();
        assert_eq!(answer.result(), Err("no"));
        let answer: ApiAnswer = wire::from_slice(br#"{"status":1,"complete":0,"data":{}}"#).unwrap();
        assert!(answer.result().is_err());
        let answer: ApiAnswer = wire::from_slice(br#"{"status":1,"complete":1,"data":{"a":1}}"#).unwrap();
        assert_eq!(answer.result().unwrap()["a"], 1);
    }
}
