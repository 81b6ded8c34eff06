//! How groups of members in answers are known, where that is not as their call is. Nothing is left out of an answer for it:
//! a member that nobody reads proves nothing, and one that is missing breaks clients.

use ezlo_protocol::evidence::Evidence::{self, Captured, ClientSource, Inferred, Vendor};

use crate::evidence::ledger::Entry;

/// Call or document, its members, and how they are known.
const GROUPS: &[(&str, Evidence, &str)] = &[
    ("login: Identity, IdentitySignature", ClientSource, "all public clients read them"),
    ("login: Server_Account and its _Alt", ClientSource, "three public clients go on there"),
    ("login: Server_Event and its _Alt", Vendor, "the vendor's sample of an answer; no client reads them"),
    (
        "Identity: Expires, Generated, PK_Account, PK_User",
        Captured,
        "the real Identity in the vendor's note, decoded, and another",
    ),
    ("Identity: Permissions", Captured, "the list of 70 in that one"),
    ("account: names, addresses, preferences", Inferred, "members of the vendor's change request"),
    ("devices: PK_Device, MacAddress, Server_Device", ClientSource, "three public clients read them"),
    ("device_info: Server_Relay, NMAControllerStatus", ClientSource, "public clients of both kinds of hub"),
    ("claim: PK_Installation, PK_Device", Inferred, "the vendor's note shows the request only"),
    ("cloud token: token.expires_ts", ClientSource, "one public client reads it"),
    ("cloud token: all other members", Inferred, "nobody reads them"),
    ("access_keys_sync: keys with meta.entity and meta.target", ClientSource, "two public clients pick theirs by them"),
    ("controller_list: nma_host, nma_controllers", ClientSource, "one public client connects there"),
    ("hub.info.get, hub.devices.list, hub.items.list of Linux hubs", Vendor, "whole answers in the guide of 2020"),
    ("hub.info.get, hub.devices.list, hub.room.list of EzloPi hubs", Captured, "answers of a real hub"),
    ("items of each kind of device", Inferred, "the guide lists items and categories, and not which has which"),
    ("hub.modes.get: modes, entry delays", Vendor, "the guide of 2020; newer members by newer documents"),
    ("hub.modes.alarmed: phases", Inferred, "EzloPi's sources and newer documents; the order of phases is nobody's"),
    ("broadcasts: id, msg_id, msg_subclass, result", Captured, "frames of real hubs"),
    ("messages of EzloPi hubs: msg_id as a counter", ClientSource, "the firmware's sources"),
    ("access point: networks, status", Inferred, "the vendor's note shows the requests only"),
];

pub(crate) fn entries() -> impl Iterator<Item = Entry> {
    GROUPS.iter().map(|(name, evidence, source)| Entry { surface: "fields", name, evidence: *evidence, source })
}
