//! Documents of the newer cloud API: token exchange, RPC gateway and v4 REST calls.

use serde_json::Value;

use crate::identity::IdentityPair;
use crate::secret::{CloudToken, IdentitySignature, IdentityToken, LocalToken, Password};
use crate::wire::{Field, Loose, Opaque};

wire! {
    /// The envelope of a response of the RPC gateway. The HTTP status is 200 even on failure.
    ApiAnswer {
        /// Result code; 1 = success.
        status: Loose<i64> = "status",
        /// Completion; 1 = complete.
        complete: Field<Loose<i64>> = "complete",
        /// The result or, on failure, `{"error_text": …}`.
        data: Field<Opaque> = "data",
    }
}

impl ApiAnswer {
    /// Returns the result of a successful call.
    ///
    /// # Errors
    ///
    /// The `error_text` of the service, or a fixed text if it is absent. A call fails if `status` is not 1, if `complete` is
    /// present and not 1, or if `data` is absent.
    pub fn result(&self) -> Result<&Value, &str> {
        let complete = self.complete.get().is_none_or(|complete| *complete.get() == 1);
        match self.data.get() {
            Some(data) if *self.status.get() == 1 && complete => Ok(data),
            data => Err(data.and_then(|data| data["error_text"].as_str()).unwrap_or("the service gave no reason")),
        }
    }
}

wire! {
    /// A request to the RPC gateway.
    ApiCall {
        /// Name of the call.
        call: String = "call",
        /// Version of the call: `"1"`, or absent.
        version: Field<String> = "version",
        /// Parameters of the call.
        params: Field<Opaque> = "params",
    }
}

wire! {
    /// The body of the v4 logins, and the parameters of the login at the RPC gateway.
    PasswordLogin {
        /// User name.
        user_id: String = "user_id",
        /// Password in clear text.
        password: Password = "user_password",
    }
}

wire! {
    /// The response of the token exchange, the v4 logins and the login at the RPC gateway.
    TokenAnswer {
        /// Token for the cloud API.
        token: CloudToken = "token",
        /// Expiry in Unix seconds; only from `login_with_id_and_password`.
        expires: Field<Loose<i64>> = "expires",
        /// The MMS pair, if the call returns one.
        legacy_token: Field<LegacyToken> = "legacy_token",
    }
}

wire! {
    /// The MMS pair with the member names of the cloud API.
    LegacyToken {
        /// The `Identity`.
        auth: IdentityToken = "auth",
        /// The `IdentitySignature`.
        sig: IdentitySignature = "sig",
    }
}

impl LegacyToken {
    /// Returns the pair that authenticates calls to the MMS servers and the relay.
    pub fn pair(&self) -> IdentityPair {
        IdentityPair { identity: self.auth.clone(), signature: self.sig.clone() }
    }
}

wire! {
    /// The v4 list of hubs.
    ControllerList {
        /// Hubs of the caller.
        controllers: Vec<Controller> = "controllers",
        /// Paging information; empty in the sample.
        pagination: Field<Value> = "pagination",
    }
}

wire! {
    /// A hub in the v4 list.
    Controller {
        /// Serial of the hub. Ignore an entry whose serial is empty.
        serial: Field<Loose<String>> = "serial",
        /// UUID of the hub.
        uuid: Field<String> = "uuid",
        /// Name of the hub.
        name: Field<String> = "name",
        /// Local token; only if the request has `local_key=1`.
        local_key: Field<LocalToken> = "local_key",
        /// Relay host for hubs, such as `nma-server8-cloud.ezlo.com:443`. [`relay_url`] converts it.
        nma_host: Field<String> = "nma_host",
        /// Relay addresses of the hub.
        nma_controllers: Field<Vec<NmaController>> = "nma_controllers",
    }
}

wire! {
    /// A relay address of a hub.
    NmaController {
        /// WebSocket URL of the relay.
        url: Field<String> = "url",
    }
}

/// Converts the relay host of a hub (`nma_host`) into the relay URL for users.
///
/// The host in `nma_host` is for hubs, which use mutual TLS. Users connect to a sibling host whose name contains `-ui-cloud`
/// (the vendor's Home Assistant client). Returns `None` if the host is not a plain name below `ezlo.com`.
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
    fn a_failed_envelope_is_an_error_despite_http_200() {
        let answer: ApiAnswer = wire::from_slice(br#"{"status":0,"data":{"error_text":"no"}}"#).unwrap();
        assert_eq!(answer.result(), Err("no"));
        let answer: ApiAnswer = wire::from_slice(br#"{"status":1,"complete":0,"data":{}}"#).unwrap();
        assert!(answer.result().is_err());
        let answer: ApiAnswer = wire::from_slice(br#"{"status":1,"complete":1,"data":{"a":1}}"#).unwrap();
        assert_eq!(answer.result().unwrap()["a"], 1);
    }
}
