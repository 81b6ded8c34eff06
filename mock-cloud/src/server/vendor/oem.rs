//! The brands (OEM) of the cloud, which have server names of their own.

use std::borrow::Cow;

use crate::server::http::message::Host;

/// Number of the vendor's own brand.
pub(crate) const OWN_BRAND: i64 = 1;

/// A brand.
struct Oem {
    /// `PK_Oem`.
    id: i64,
    /// Start of the names of its servers.
    servers: &'static str,
    /// Host of its relay; `None` if the serial of a hub selects one of the vendor's relays.
    relay: Option<&'static str>,
}

/// The known brands: the vendor's, and Springs Window Fashions (client-source).
const OEMS: &[Oem] = &[
    Oem { id: OWN_BRAND, servers: "vera-us-oem", relay: None },
    Oem { id: 73, servers: "swf-us-oem", relay: Some("nma-server10-oem-ui-cloud.ezlo.com") },
];

/// Returns a brand. An unknown one has the names of the vendor's own (inferred).
fn brand(id: i64) -> &'static Oem {
    OEMS.iter().find(|oem| oem.id == id).unwrap_or(&OEMS[0])
}

/// Returns the host name of a server, such as `event11`, for a client that uses vendor names, else the authority that it used.
pub(crate) fn server<'a>(host: &'a Host, oem: i64, role: &str) -> Cow<'a, str> {
    if host.is_vendors() {
        format!("{}-{role}.mios.com", brand(oem).servers).into()
    } else {
        Cow::Borrowed(&host.authority)
    }
}

/// Returns the host name of the brand's own relay, if it has one.
pub(crate) fn relay(oem: i64) -> Option<&'static str> {
    brand(oem).relay
}
