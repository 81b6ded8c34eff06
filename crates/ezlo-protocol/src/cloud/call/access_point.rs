//! The five calls of a hub's access point.
//!
//! The requests are those of the vendor's note. The responses are inferred, so they are parsed leniently.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};

use crate::cloud::access_point::{WifiConnect, WifiNetworks, WifiStatus};
use crate::cloud::call::common::{AnswerError, Builder, Call, CallSpec, HostRole, RequestError, mms_success};
use crate::error::RetryClass;
use crate::evidence::Evidence::{Inferred, Vendor};
use crate::secret::Passkey;
use crate::wire;

macro_rules! access_point_call {
    ($(#[$meta:meta])* $name:ident, $call:literal, $role:ident, $method:ident, $path:literal, $answer:ty, $read:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default)]
        pub struct $name;

        impl Call for $name {
            const SPEC: CallSpec = CallSpec {
                name: $call,
                role: HostRole::$role,
                method: stringify!($method),
                path: $path,
                request: Vendor,
                answer: Inferred,
                idempotent: true,
            };
            type Answer = $answer;

            fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError> {
                Builder::new(Method::$method, base, $path).empty()
            }

            fn parse(&self, status: StatusCode, body: &[u8]) -> Result<$answer, AnswerError> {
                let body = mms_success(status, body, RetryClass::Permanent)?;
                let read: fn(&[u8]) -> Result<$answer, AnswerError> = $read;
                read(body)
            }
        }
    };
}

access_point_call!(
    /// Lists the Wi-Fi networks in range of the hub.
    ListWifiNetworks, "wifi_networks", AccessPoint, GET, "/wifi/networks", WifiNetworks,
    |body| Ok(wire::from_slice(body)?)
);
access_point_call!(
    /// Reads the progress of joining a network.
    GetWifiStatus, "wifi_status", AccessPoint, GET, "/wifi/status", WifiStatus,
    |body| Ok(wire::from_slice(body)?)
);
access_point_call!(
    /// Closes the access point. The client then loses its connection to the hub's own network.
    CloseAccessPoint, "wifi_close", AccessPoint, POST, "/wifi/network/close", (),
    |_| Ok(())
);
access_point_call!(
    /// Restarts the hub. The call uses port 80 and has no prefix `/wifi`.
    Restart, "restart", AccessPointRoot, POST, "/restart", (),
    |_| Ok(())
);

/// Joins a Wi-Fi network. The hub responds immediately; [`GetWifiStatus`] reads the outcome.
#[derive(Debug, Clone)]
pub struct ConnectWifi<'a> {
    /// Name of the network.
    pub ssid: &'a str,
    /// Key of the network; `None` for an open network.
    pub passkey: Option<&'a Passkey>,
}

impl Call for ConnectWifi<'_> {
    const SPEC: CallSpec = CallSpec {
        name: "wifi_connect",
        role: HostRole::AccessPoint,
        method: "POST",
        path: "/wifi/network/connect",
        request: Vendor,
        answer: Inferred,
        idempotent: true,
    };
    type Answer = ();

    fn request(&self, base: &str) -> Result<Request<Bytes>, RequestError> {
        let body =
            WifiConnect { ssid: self.ssid.into(), passkey: self.passkey.cloned().into(), ..WifiConnect::default() };
        // The body is JSON, but the vendor's note sends this content type.
        Builder::new(Method::POST, base, "/wifi/network/connect")
            .header(header::CONTENT_TYPE, "application/javascript")
            .body(Bytes::from(wire::to_value(&body).to_string()))
    }

    fn parse(&self, status: StatusCode, body: &[u8]) -> Result<(), AnswerError> {
        mms_success(status, body, RetryClass::Permanent).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connect_request_matches_the_note() {
        let key = "WIFIPASS".into();
        let call = ConnectWifi { ssid: "NETWORK_SSID", passkey: Some(&key) };
        let request = call.request("http://192.168.4.1:54540").unwrap();
        assert_eq!(request.headers()["content-type"], "application/javascript");
        assert_eq!(request.body().as_ref(), br#"{"ssid":"NETWORK_SSID","passkey":"WIFIPASS"}"#);
    }

    #[test]
    fn restart_uses_the_root_base_url() {
        let request = Restart.request("http://192.168.4.1").unwrap();
        assert_eq!((request.method(), request.uri().to_string()), (&Method::POST, "http://192.168.4.1/restart".into()));
    }
}
