//! Documents of the auth server and the account server.

use crate::identity::IdentityPair;
use crate::mac::MacText;
use crate::secret::{IdentitySignature, IdentityToken};
use crate::serial::Serial;
use crate::wire::{Entries, Field, Loose};

wire! {
    /// The response to a login and, with `PK_Phone_User`, to the creation of an account.
    ///
    /// The account number `PK_Account` is inside the decoded `Identity` only; see
    /// [`IdentityDocument`](crate::identity::IdentityDocument).
    LoginAnswer {
        /// The `Identity`: base64 of a document that names user and expiry.
        identity: IdentityToken = "Identity",
        /// Signature of the `Identity`.
        signature: IdentitySignature = "IdentitySignature",
        /// Host name of the event server.
        server_event: Field<String> = "Server_Event",
        /// Host name of the alternate event server.
        server_event_alt: Field<String> = "Server_Event_Alt",
        /// Host name of the account server.
        server_account: Field<String> = "Server_Account",
        /// Host name of the alternate account server.
        server_account_alt: Field<String> = "Server_Account_Alt",
        /// Number of the phone record; only in the response to the creation of an account.
        phone_user: Field<Loose<u64>> = "PK_Phone_User",
    }
}

impl LoginAnswer {
    /// Returns the pair that authenticates further calls.
    pub fn pair(&self) -> IdentityPair {
        IdentityPair { identity: self.identity.clone(), signature: self.signature.clone() }
    }
}

wire! {
    /// An account, as read and as sent in a change request. A change request may omit every member.
    ///
    /// The member list is that of the change request (vendor). The same list in a response is inferred.
    AccountRecord {
        /// Number of the account.
        account: Field<Loose<u64>> = "PK_Account",
        /// Reseller chain, level 1.
        parent: Field<Loose<i64>> = "PK_Account_Parent",
        /// Reseller chain, level 2.
        parent2: Field<Loose<i64>> = "PK_Account_Parent2",
        /// Account type; 5 = end customer.
        account_type: Field<Loose<i64>> = "PK_AccountType",
        /// Brand; 1 = Vera and Ezlo.
        oem: Field<Loose<i64>> = "PK_Oem",
        /// Billing address.
        billing: Field<Address> = "Billing",
        /// Host name of the event server.
        server_event: Field<String> = "Server_Event",
        /// Host name of the alternate event server.
        server_event_alt: Field<String> = "Server_Event_Alt",
        /// Host name of the account server.
        server_account: Field<String> = "Server_Account",
        /// Host name of the alternate account server.
        server_account_alt: Field<String> = "Server_Account_Alt",
        /// 1 if the account is blocked, else 0.
        blocked: Field<Loose<i64>> = "Blocked",
        /// Mailing address.
        mailing: Field<Address> = "Mailing",
        /// Phone record.
        phone: Field<Phone> = "Phone",
    }
}

wire! {
    /// A postal address of an account.
    Address {
        /// Given name.
        first_name: Field<String> = "FirstName",
        /// Family name.
        last_name: Field<String> = "LastName",
        /// Company.
        company: Field<String> = "Company",
        /// Street, first line.
        address1: Field<String> = "Address1",
        /// Street, second line.
        address2: Field<String> = "Address2",
        /// City.
        city: Field<String> = "City",
        /// State or province.
        state: Field<String> = "State",
        /// Postal code.
        postal_code: Field<String> = "PostalCode",
        /// Country, as a number of the service.
        country: Field<Loose<i64>> = "PK_Country",
    }
}

wire! {
    /// The phone record of an account.
    Phone {
        /// Number of the record in the service's table, not a telephone number.
        phone: Field<Loose<u64>> = "PK_Phone",
    }
}

wire! {
    /// The users of an account. The shape is inferred: the vendor's note lists the call with an illegible URL.
    UserList {
        /// Users of the account.
        users: Vec<UserRecord> = "Users",
    }
}

wire! {
    /// A user of an account.
    UserRecord {
        /// Number of the user.
        user: Loose<u64> = "PK_User",
        /// User name, as registered.
        username: Field<String> = "Username",
        /// Role; 10 = account owner.
        permission_role: Field<Loose<i64>> = "PK_PermissionRole",
        /// Email address.
        email: Field<String> = "Email",
    }
}

wire! {
    /// The hubs of an account.
    HubList {
        /// Hubs of the account; empty for a new account. An entry that cannot be decoded is preserved.
        devices: Entries<HubListEntry> = "Devices",
    }
}

wire! {
    /// A hub in the list of an account. Most numbers are text in this document.
    HubListEntry {
        /// Serial of the hub; text here, a number in the locator's response.
        serial: Loose<Serial> = "PK_Device",
        /// Device type, text; 7 for a gateway of the Atom class.
        device_type: Field<Loose<i64>> = "PK_DeviceType",
        /// Device subtype, text; 2 for a gateway of the Atom class.
        device_sub_type: Field<Loose<i64>> = "PK_DeviceSubType",
        /// MAC address, as the server wrote it.
        mac: Field<MacText> = "MacAddress",
        /// Host name of the device server, which has the hub's record.
        server_device: Field<String> = "Server_Device",
        /// Host name of the alternate device server.
        server_device_alt: Field<String> = "Server_Device_Alt",
        /// Installation that the hub belongs to; text.
        installation: Field<Loose<u64>> = "PK_Installation",
        /// Name of the hub; absent for Ezlo firmware.
        name: Field<String> = "Name",
        /// `Using_2G`: text `"0"` or `"1"`; absent for Ezlo firmware.
        using_2g: Field<Loose<i64>> = "Using_2G",
        /// Time of the assignment, `YYYY-MM-DD HH:MM:SS` (UTC inferred).
        device_assigned: Field<String> = "DeviceAssigned",
        /// 1 if the hub is blocked, else 0; a number.
        blocked: Field<Loose<i64>> = "Blocked",
    }
}

wire! {
    /// The response to the claim of a hub. It is inferred: the vendor shows the request only.
    ClaimAnswer {
        /// Installation that the hub now belongs to.
        installation: Field<Loose<u64>> = "PK_Installation",
        /// Serial of the hub.
        serial: Field<Loose<Serial>> = "PK_Device",
    }
}
