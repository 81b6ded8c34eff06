//! Evidence of groups of members whose evidence differs from that of their call. Replies always have all members, because a
//! missing member breaks clients.

use ezlo_protocol::evidence::Evidence::{self, Captured, ClientSource, Inferred, Vendor};

use crate::evidence::entry::Entry;

/// Call or document with its members, evidence and source.
const GROUPS: &[(&str, Evidence, &str)] = &[
    ("login: Identity, IdentitySignature", ClientSource, "all public clients read them"),
    ("login: Server_Account and its _Alt", ClientSource, "three public clients connect to them"),
    ("login: Server_Event and its _Alt", Vendor, "the vendor's sample of an answer; no client reads them"),
    (
        "Identity: Expires, Generated, PK_Account, PK_User",
        Captured,
        "the real Identity in the vendor's note, decoded, and another",
    ),
    ("Identity: Permissions", Captured, "the list of 70 permissions in the same Identity"),
    ("account: names, addresses, preferences", Inferred, "members of the vendor's change request"),
    ("devices: PK_Device, MacAddress, Server_Device", ClientSource, "three public clients read them"),
    ("device_info: Server_Relay, NMAControllerStatus", ClientSource, "public clients of both kinds of hub"),
    ("claim: PK_Installation, PK_Device", Inferred, "the vendor's note shows the request only"),
    ("cloud token: token.expires_ts", ClientSource, "one public client reads it"),
    ("cloud token: all other members", Inferred, "no client reads them"),
    (
        "access_keys_sync: keys with meta.entity and meta.target",
        ClientSource,
        "two public clients select their keys by them",
    ),
    ("controller_list: nma_host, nma_controllers", ClientSource, "one public client connects there"),
    ("hub.info.get, hub.devices.list, hub.items.list of Linux hubs", Vendor, "complete replies in the guide of 2020"),
    ("hub.info.get, hub.devices.list, hub.room.list of EzloPi hubs", Captured, "answers of a real hub"),
    ("items of each kind of device", Inferred, "the guide lists items and categories without their relation"),
    ("hub.modes.get: modes, entry delays", Vendor, "the guide of 2020; newer members by newer documents"),
    (
        "hub.modes.alarmed: phases",
        Inferred,
        "EzloPi's sources and newer documents; no source states the order of phases",
    ),
    ("broadcasts: id, msg_id, msg_subclass, result", Captured, "frames of real hubs"),
    ("messages of EzloPi hubs: msg_id as a counter", ClientSource, "the firmware's sources"),
    ("access point: networks, status", Inferred, "the vendor's note shows the requests only"),
];

/// Returns the rows for the ledger.
pub(crate) fn entries() -> impl Iterator<Item = Entry> {
    GROUPS.iter().map(|(name, evidence, source)| Entry { surface: "fields", name, evidence: *evidence, source })
}
