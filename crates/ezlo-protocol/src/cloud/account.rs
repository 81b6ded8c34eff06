//! Documents of the auth and account servers.

use crate::identity::IdentityPair;
use crate::mac::MacAddress;
use crate::secret::{IdentitySignature, IdentityToken};
use crate::serial::Serial;
use crate::wire::{Field, Loose};

wire! {
    /// The answer to a login, and (with `PK_Phone_User`) to creating an account.
    ///
    /// `PK_Account` is not here: it is inside the decoded `Identity`.
    LoginAnswer {
        /// Who the caller is now.
        identity: IdentityToken = "Identity",
        /// Belongs to it.
        signature: IdentitySignature = "IdentitySignature",
        /// Event server, a bare host name.
        server_event: Field<String> = "Server_Event",
        /// Its alternate.
        server_event_alt: Field<String> = "Server_Event_Alt",
        /// Account server, a bare host name.
        server_account: Field<String> = "Server_Account",
        /// Its alternate.
        server_account_alt: Field<String> = "Server_Account_Alt",
        /// Only when an account was created: the phone record made with it.
        phone_user: Field<Loose<u64>> = "PK_Phone_User",
    }
}

impl LoginAnswer {
    /// The pair that authenticates what follows.
    pub fn pair(&self) -> IdentityPair {
        IdentityPair { identity: self.identity.clone(), signature: self.signature.clone() }
    }
}

wire! {
    /// An account, as it is read and as changes to it are sent. All members are optional in a change.
    ///
    /// The member list is the vendor's own change request; that a read answers with the same is inferred.
    AccountRecord {
        /// The account.
        account: Field<Loose<u64>> = "PK_Account",
        /// Reseller chain, level 1.
        parent: Field<Loose<i64>> = "PK_Account_Parent",
        /// Reseller chain, level 2.
        parent2: Field<Loose<i64>> = "PK_Account_Parent2",
        /// 5 = end customer.
        account_type: Field<Loose<i64>> = "PK_AccountType",
        /// 1 = Vera and Ezlo.
        oem: Field<Loose<i64>> = "PK_Oem",
        /// Where bills go.
        billing: Field<Address> = "Billing",
        /// Event server.
        server_event: Field<String> = "Server_Event",
        /// Its alternate.
        server_event_alt: Field<String> = "Server_Event_Alt",
        /// Account server.
        server_account: Field<String> = "Server_Account",
        /// Its alternate.
        server_account_alt: Field<String> = "Server_Account_Alt",
        /// 0 or 1.
        blocked: Field<Loose<i64>> = "Blocked",
        /// Where mail goes.
        mailing: Field<Address> = "Mailing",
        /// The phone record.
        phone: Field<Phone> = "Phone",
    }
}

wire! {
    /// A postal address inside an account.
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
        /// Country, the service's own number.
        country: Field<Loose<i64>> = "PK_Country",
    }
}

wire! {
    /// The phone record of an account.
    Phone {
        /// Its number in the service's table, not a telephone number.
        phone: Field<Loose<u64>> = "PK_Phone",
    }
}

wire! {
    /// The users of an account. The shape is inferred: the vendor's note has the title, its URL is illegible.
    UserList {
        /// The users.
        users: Vec<UserRecord> = "Users",
    }
}

wire! {
    /// One user of an account.
    UserRecord {
        /// The user.
        user: Loose<u64> = "PK_User",
        /// As registered.
        username: Field<String> = "Username",
        /// 10 = account owner.
        permission_role: Field<Loose<i64>> = "PK_PermissionRole",
        /// Mail address.
        email: Field<String> = "Email",
    }
}

wire! {
    /// The hubs of an account.
    HubList {
        /// The hubs; empty for a new account.
        devices: Vec<HubListEntry> = "Devices",
    }
}

wire! {
    /// One hub in an account's list. Most numbers are text here.
    HubListEntry {
        /// The hub's serial; text here, a number in the locator.
        serial: Loose<Serial> = "PK_Device",
        /// Text; 7 for an Atom-class gateway.
        device_type: Field<Loose<i64>> = "PK_DeviceType",
        /// Text; 2 for an Atom-class gateway.
        device_sub_type: Field<Loose<i64>> = "PK_DeviceSubType",
        /// Hardware address.
        mac: Field<MacAddress> = "MacAddress",
        /// Where hub info is read, a bare host name.
        server_device: Field<String> = "Server_Device",
        /// Its alternate.
        server_device_alt: Field<String> = "Server_Device_Alt",
        /// The installation the hub belongs to; text.
        installation: Field<Loose<u64>> = "PK_Installation",
        /// Absent for hubs that run Ezlo firmware.
        name: Field<String> = "Name",
        /// Text `"0"` or `"1"`; absent for hubs that run Ezlo firmware.
        using_2g: Field<Loose<i64>> = "Using_2G",
        /// `YYYY-MM-DD HH:MM:SS`, UTC assumed.
        device_assigned: Field<String> = "DeviceAssigned",
        /// 0 or 1, a number.
        blocked: Field<Loose<i64>> = "Blocked",
    }
}

wire! {
    /// The answer to claiming a hub. Inferred: the vendor shows only the request.
    ClaimAnswer {
        /// The installation the hub now belongs to.
        installation: Field<Loose<u64>> = "PK_Installation",
        /// The hub's serial.
        serial: Field<Loose<Serial>> = "PK_Device",
    }
}
