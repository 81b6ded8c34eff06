//! Evidence of each refusal: of its text and of the case in which it is sent.

use ezlo_protocol::evidence::Evidence::{self, ClientSource, Community, Inferred, Vendor};
use ezlo_protocol::rpc::RpcError;

use crate::evidence::entry::Entry;
use crate::faults::point::INJECTED;
use ezlo_hub_sim::evidence::refusal_text;

/// Error identifier, evidence and source. An identifier that ends in `.` is a prefix.
type RpcRow = (&'static str, Evidence, &'static str);

const LISTED: &str = "the vendor's lists of 2018 have it; when it is sent is not known";

/// Refusals by the relay and by hubs.
const RPC: &[RpcRow] = &[
    ("user.login.badpassword", Vendor, "the vendor's lists and its text on the local login"),
    ("user.login.alreadylogged", ClientSource, "one public client treats it as success; the vendor's lists"),
    ("user.permission.doesnothave", Inferred, "the vendor's lists have it; what hubs send before a login is not known"),
    ("nma.user.notlogged", Inferred, LISTED),
    ("nma.ezlo.notregistered", Inferred, LISTED),
    ("nma.ezlo.notfound", Inferred, LISTED),
    ("nma.ezlo.notlinked", Inferred, LISTED),
    ("nma.ezlo.notconnected", Inferred, LISTED),
    ("nma.ezlo.unavailable", Inferred, LISTED),
    ("nma.invalid.ezlo.serial", Inferred, LISTED),
    ("cloud.error.login_controller_failed", Vendor, "the vendor's sample of a refused controller"),
    ("cloud.error.mms_autha_token_expired", Inferred, LISTED),
    ("rpc.method.notfound", Vendor, "the vendor's list of errors"),
    ("rpc.parse.error", Inferred, LISTED),
    ("rpc.params.invalid", Vendor, "the vendor's sample of a refused call"),
    ("rpc.params.notfound", Vendor, "the vendor's list of errors"),
    ("rpc.params.notfound.", Vendor, "the vendor's list of errors: it ends with the name of the member"),
    ("rpc.params.empty.", Inferred, LISTED),
    ("rpc.params.tooshort.", Inferred, LISTED),
    ("ezlo.house_mode.not.exist", Vendor, "the guide of 2020 on switching modes"),
    ("ezlo.house_mode.name.not.exist", Vendor, "the guide of 2020 on switching modes"),
    ("ezlo.lua.script.", Vendor, "the guide of 2020 on scripts"),
    ("ezlo.gateway.send.error", Inferred, LISTED),
    ("ezlo.rpc.call.queue.overflow", Inferred, LISTED),
    ("ezlo.update.", Inferred, LISTED),
    ("generic.object.not.found", Inferred, LISTED),
    ("network.connection.failed", Inferred, "the vendor's lists have it; that the access point sends it is inferred"),
    ("nma.room.notfound", Inferred, LISTED),
    ("ezlo.scenes.block.not.exist", Inferred, "d22 has the text; the data is not public"),
    ("ezlo.scenes.not.exist", Inferred, LISTED),
    ("ezlo.device.notfound", Inferred, LISTED),
    ("hub.room.alreadyexist", Inferred, LISTED),
];

/// A refusal over HTTP: call (empty: all other calls), status, name in the ledger, evidence and source.
type HttpRow = (&'static str, u16, &'static str, Evidence, &'static str);

const MEMBER: &str = "MMS servers answer in plain text that begins with ERROR:; which status is not known";

/// Refusals by the vendor's hosts. The first matching row applies.
const HTTP: &[HttpRow] = &[
    (
        "login",
        404,
        "login 404",
        ClientSource,
        "a wrong name and a wrong password: five public clients and users' reports",
    ),
    ("login_form", 404, "login_form 404", Community, "as with the login in the address"),
    ("login_v4", 401, "login_v4 401", ClientSource, "one public client treats 400, 401 and 403 as bad credentials"),
    ("legacy_relay", 401, "legacy_relay 401", ClientSource, "one public client: the session is no longer valid"),
    ("legacy_relay", 500, "legacy_relay 500", ClientSource, "one public client: ERROR:Tunnel not found"),
    ("legacy_relay_by_path", 401, "legacy_relay_by_path 401", ClientSource, "as with the token in the header"),
    ("legacy_relay_by_path", 500, "legacy_relay_by_path 500", ClientSource, "as with the token in the header"),
    ("", 401, "401", ClientSource, "a bad or expired pair: one public client logs in again on every MMS call's 401"),
    ("", 400, "400", Inferred, MEMBER),
    ("", 403, "403", Inferred, MEMBER),
    ("", 404, "404", Inferred, MEMBER),
    ("", 405, "405", Inferred, "HTTP itself"),
    ("", 409, "409", Inferred, MEMBER),
    ("", 503, "503", Inferred, MEMBER),
];

/// Returns the rows for the ledger.
pub(crate) fn entries() -> impl Iterator<Item = Entry> {
    let rpc = RPC.iter().map(|(name, evidence, source)| Entry { surface: "error", name, evidence: *evidence, source });
    let http = HTTP.iter().map(|(_, _, name, evidence, source)| Entry {
        surface: "http-error",
        name,
        evidence: *evidence,
        source,
    });
    rpc.chain(http)
}

/// Returns the evidence of a refusal by the relay or a hub; `None` for an identifier that is not in the table, such as that of
/// an injected error.
fn of(data: &str) -> Option<Evidence> {
    let exact = RPC.iter().find(|(name, ..)| *name == data);
    let family = || RPC.iter().find(|(name, ..)| name.ends_with('.') && data.starts_with(name));
    exact.or_else(family).map(|(_, evidence, _)| *evidence)
}

/// Returns the replacement of a refusal that has less evidence than required. Injected errors are not replaced.
pub(crate) fn replacement_for(wanted: Option<Evidence>, error: &RpcError) -> Option<RpcError> {
    let is_injected = error.message.get().is_some_and(|text| text == INJECTED);
    let evidence = wanted.filter(|_| !is_injected).and_then(|_| of(error.data()))?;
    let text = refusal_text(wanted, error.data(), evidence)?;
    Some(RpcError::new(ezlo_protocol::error::code::APPLICATION, "mock.unproven", &text))
}

/// Returns the text that replaces a refusal over HTTP that has less evidence than required.
pub(crate) fn replacement_for_status(wanted: Option<Evidence>, call: &str, status: u16) -> Option<String> {
    wanted?;
    let row = HTTP.iter().find(|(of, known, ..)| (of.is_empty() || *of == call) && *known == status);
    let evidence = row.map_or(Inferred, |(_, _, _, evidence, _)| *evidence);
    refusal_text(wanted, &format!("{call} with status {status}"), evidence)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn literals(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                literals(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.extend(text.split('"').map(str::to_owned).filter(|part| !part.contains(char::is_whitespace)));
            }
        }
    }

    /// Every error of the registry that is in the sources needs a row in the table.
    #[test]
    fn every_error_that_is_sent_has_evidence() {
        let mut found = Vec::new();
        literals(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        let sent: Vec<_> = found.iter().filter(|text| ezlo_protocol::error::known(text).is_some()).collect();
        assert!(sent.len() > 40, "found only {} errors in the sources", sent.len());
        for data in sent {
            assert!(of(data).is_some(), "{data} is sent and has no evidence");
        }
    }

    #[test]
    fn only_refusals_with_too_little_evidence_are_replaced() {
        let error = |data: &str| RpcError::new(1, data, "x");
        let wanted = Some(ClientSource);
        assert!(replacement_for(None, &error("nma.ezlo.notlinked")).is_none());
        assert!(replacement_for(wanted, &error("rpc.params.notfound.name")).is_none());
        assert!(replacement_for(wanted, &error("an.injected.identifier")).is_none());
        assert_eq!(replacement_for(wanted, &error("nma.ezlo.notlinked")).unwrap().data(), "mock.unproven");
        assert!(replacement_for_status(wanted, "login", 404).is_none());
        assert!(replacement_for_status(wanted, "devices", 401).is_none());
        let text = replacement_for_status(wanted, "create_account", 409).unwrap();
        assert!(text.contains("create_account with status 409 is inferred"), "{text}");
    }
}
