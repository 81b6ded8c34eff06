//! Users, accounts and the ownership of hubs.

use crate::world::accounts::owners::Ownership;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use ezlo_protocol::cloud::account::AccountRecord;
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::password::{sha1_password, sha1_password_case_sensitive};
use ezlo_protocol::secret::{Password, PasswordHash};
use ezlo_protocol::serial::Serial;
use ezlo_protocol::wire::Loose;
use jiff::Timestamp;

use crate::core::rng::Random;
use crate::journal::Journal;
use crate::persistence::rows::RowKey;
use crate::persistence::writer::StateWriter;
use ezlo_hub_sim::SerialRange;
use ezlo_hub_sim::world_file::UserFile;

use crate::world::accounts::index::Index;
use crate::world::accounts::owners::Owners;
use crate::world::accounts::response_cache::Written;

pub(crate) mod index;
pub(crate) mod local_access;
pub(crate) mod owners;
pub(crate) mod response_cache;
pub(crate) mod rows;

/// All users and accounts.
#[derive(Debug, Clone)]
pub(crate) struct Accounts {
    /// By lower-cased name: user names are case-insensitive.
    users: BTreeMap<String, User>,
    accounts: BTreeMap<u64, Account>,
    owners: Owners,
    index: Index,
    /// Number of the next user and account.
    next: u64,
    /// First number after the block of this process: another process of the cluster assigns it.
    end: u64,
    /// Number of the last login.
    logins: i64,
    /// Persists changes; `None` without a state directory.
    keeper: Option<Arc<StateWriter>>,
    journal: Option<Arc<Journal>>,
    written: Written,
}

/// Maximum number of users.
const MAX_USERS: usize = 1_000_000;

/// Maximum length of an account record, in bytes of JSON.
const MAX_RECORD: usize = 64 * 1024;

/// First number of users and accounts that are created at run time. Bundled worlds use lower numbers.
const FIRST_NEW: u64 = 3_000_000;

/// A user.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) uuid: String,
    pub(crate) username: String,
    pub(crate) email: String,
    pub(crate) account: u64,
    pub(crate) role: i64,
    /// Number of the first login whose tokens are valid.
    first_login: i64,
    hash: PasswordHash,
    hash_case_sensitive: PasswordHash,
    /// Hubs of the account that the user's list of local keys lacks.
    #[serde(default)]
    missing_keys: BTreeSet<Serial>,
    /// Brand of the account (`PK_Oem`).
    #[serde(default = "own_brand")]
    pub(crate) oem: i64,
}

/// Returns the brand of users that an earlier version persisted.
const fn own_brand() -> i64 {
    1
}

/// The role of an account's owner.
const OWNER: i64 = 10;

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Account {
    pub(crate) record: AccountRecord,
    pub(crate) installation: u64,
}

/// The parameters of a new account.
pub(crate) struct NewAccount<'a> {
    pub(crate) username: &'a str,
    pub(crate) email: &'a str,
    pub(crate) password: &'a Password,
    /// Brand of the account (`PK_Oem`).
    pub(crate) oem: i64,
}

/// The errors of the creation of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CreateError {
    /// The user name is empty, too long or has control characters.
    Username,
    /// The e-mail address is too long or not an address.
    Email,
    /// The password is empty, too long or has control characters.
    Password,
    /// The user name or e-mail address is in use.
    Exists,
    /// The maximum number of users is reached.
    Full,
}

/// The errors of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimError {
    /// The installation does not belong to the caller's account.
    Installation,
    /// The MAC address is not the one on the label.
    Mac,
    /// The hub belongs to another account.
    Owned,
}

impl User {
    fn new(id: u64, uuid: String, request: &NewAccount<'_>, account: u64) -> Self {
        let hash = sha1_password(request.username, request.password);
        let case_sensitive = sha1_password_case_sensitive(request.username, request.password);
        Self {
            id,
            uuid,
            username: request.username.to_owned(),
            email: request.email.to_owned(),
            account,
            role: OWNER,
            first_login: 0,
            hash_case_sensitive: case_sensitive.unwrap_or_else(|| hash.clone()),
            hash,
            missing_keys: BTreeSet::new(),
            oem: request.oem,
        }
    }

    #[cfg(test)]
    pub(crate) fn for_test(username: &str, id: u64, account: u64) -> Self {
        let request = NewAccount { username, email: "u@example.com", password: &"p".into(), oem: 1 };
        Self::new(id, "uuid".into(), &request, account)
    }
}

impl Account {
    fn new(id: u64, oem: i64) -> Self {
        let record = AccountRecord {
            account: Loose::number(id).into(),
            parent: Loose::number(2375).into(),
            parent2: Loose::number(1).into(),
            account_type: Loose::number(5).into(),
            oem: Loose::number(oem).into(),
            blocked: Loose::number(0).into(),
            ..AccountRecord::default()
        };
        Self { record, installation: id + 50_000 }
    }
}

impl Accounts {
    pub(crate) fn new(files: &[UserFile], random: &Random) -> Self {
        let mut all = Self {
            users: BTreeMap::new(),
            accounts: BTreeMap::new(),
            owners: Owners::default(),
            index: Index::default(),
            next: FIRST_NEW,
            end: u64::MAX,
            logins: 9_000_000,
            keeper: None,
            journal: None,
            written: Written::default(),
        };
        for file in files {
            let (password, oem) = (&file.password, file.oem);
            let request = NewAccount { username: &file.username, email: &file.email, password, oem };
            let mut user = User::new(file.user, random.uuid(), &request, file.account);
            user.missing_keys = file.missing_keys.iter().cloned().collect();
            // New accounts get later numbers than those of the world file, and installations of their own.
            all.next = all.next.max(file.user + 1).max(file.account + 1);
            all.add_user(file.username.to_lowercase(), user);
            all.accounts.entry(file.account).or_insert_with(|| Account::new(file.account, oem));
        }
        all
    }

    fn add_user(&mut self, key: String, user: User) {
        self.index.add_user(&key, &user);
        self.users.insert(key, user);
    }

    /// Creates an account with its first user.
    pub(crate) fn create(&mut self, request: &NewAccount<'_>, random: &Random) -> Result<User, CreateError> {
        let text =
            |text: &str, most: usize| (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        let checks = [
            (text(request.username, 64), CreateError::Username),
            (text(request.email, 254) && request.email.contains('@'), CreateError::Email),
            (text(request.password.expose(), 128), CreateError::Password),
            (self.users.len() < MAX_USERS && self.next < self.end, CreateError::Full),
        ];
        if let Some((_, error)) = checks.into_iter().find(|(good, _)| !good) {
            return Err(error);
        }
        let key = request.username.to_lowercase();
        if self.index.has_email(request.email) || self.users.contains_key(&key) {
            return Err(CreateError::Exists);
        }
        let id = self.next;
        self.next += 1;
        let user = User::new(id, random.uuid(), request, id);
        self.mark([RowKey::Counters, RowKey::Account(id), RowKey::User(key.clone())]);
        self.accounts.insert(id, Account::new(id, request.oem));
        self.add_user(key, user.clone());
        Ok(user)
    }

    /// Returns the user if a digest is correct: `hash` of the lower-cased name, or the other of the name as registered.
    pub(crate) fn log_in(&self, username: &str, hash: &str, hash_case_sensitive: Option<&str>) -> Option<User> {
        let user = self.users.get(&username.to_lowercase())?;
        let good = user.hash.expose().eq_ignore_ascii_case(hash)
            || hash_case_sensitive.is_some_and(|hash| user.hash_case_sensitive.expose().eq_ignore_ascii_case(hash));
        good.then(|| user.clone())
    }

    /// Returns the number of a new login.
    pub(crate) fn next_login(&mut self) -> i64 {
        self.mark([RowKey::Counters]);
        self.logins += 1;
        self.logins
    }

    /// Revokes the tokens of the user's logins before `seq`.
    pub(crate) fn evict(&mut self, user: &User, seq: i64) {
        let key = user.username.to_lowercase();
        self.mark([RowKey::User(key.clone())]);
        if let Some(user) = self.users.get_mut(&key) {
            user.first_login = seq;
        }
    }

    /// Returns whether the tokens of the login `seq` were revoked by a later login.
    pub(crate) fn is_evicted(&self, user: u64, seq: i64) -> bool {
        self.user(user).is_some_and(|user| seq < user.first_login)
    }

    /// Sets the password of a user. Returns false if no user has this name.
    pub(crate) fn set_password(&mut self, username: &str, password: &Password) -> bool {
        let key = username.to_lowercase();
        if !self.users.contains_key(&key) {
            return false;
        }
        self.mark([RowKey::User(key.clone())]);
        let Some(user) = self.users.get_mut(&key) else { return false };
        let name = user.username.clone();
        let request = NewAccount { username: &name, email: "", password, oem: 1 };
        let User { hash, hash_case_sensitive, .. } = User::new(0, String::new(), &request, 0);
        (user.hash, user.hash_case_sensitive) = (hash, hash_case_sensitive);
        true
    }

    pub(crate) fn user(&self, id: u64) -> Option<&User> {
        self.users.get(self.index.by_id(id)?)
    }

    pub(crate) fn account(&self, id: u64) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// Returns an account as serialised by `write`. The text is cached by account and authority until the account changes.
    pub(crate) fn account_text(
        &mut self,
        id: u64,
        authority: &str,
        write: impl FnOnce(&Account) -> Vec<u8>,
    ) -> Option<Bytes> {
        let account = self.accounts.get(&id)?;
        Some(self.written.get(id, authority, || write(account)))
    }

    pub(crate) fn users_of(&self, account: u64) -> impl Iterator<Item = &User> {
        self.index.members(account).filter_map(|key| self.users.get(key))
    }

    /// Merges a change into an account record; nested objects are merged by member. Returns false if the account does not exist
    /// or its record would be too long.
    pub(crate) fn update(&mut self, account: u64, change: &AccountRecord) -> bool {
        let Some(stored) = self.accounts.get(&account) else { return false };
        let id = stored.record.account.clone();
        let mut merged = ezlo_protocol::wire::to_value(&stored.record);
        merge(&mut merged, ezlo_protocol::wire::to_value(change));
        if merged.to_string().len() > MAX_RECORD {
            return false;
        }
        self.mark([RowKey::Account(account)]);
        // The merge of two records is a record, so decoding does not fail.
        if let Ok(record) = ezlo_protocol::wire::from_value::<AccountRecord>(&merged)
            && let Some(stored) = self.accounts.get_mut(&account)
        {
            stored.record = AccountRecord { account: id, ..record };
        }
        true
    }

    pub(crate) fn ownership(&self, serial: &Serial) -> Option<Ownership> {
        self.owners.get(serial)
    }

    /// Returns the hubs of an account in the order of their claims, which is the order of the hub list.
    pub(crate) fn hubs_of(&self, account: u64) -> impl Iterator<Item = (Serial, Ownership)> {
        self.owners.of(account)
    }

    /// Assigns `count` hubs with serials from `first` on to the account of a user of the world file.
    pub(crate) fn adopt(&mut self, username: &str, first: &Serial, count: u32, now: Timestamp) {
        let Some(account) = self.users.get(&username.to_lowercase()).map(|user| user.account) else { return };
        match SerialRange::from(first, count) {
            Some(serials) => self.owners.add_row(serials, account, now),
            None => self.owners.add(first, account, now),
        }
    }

    /// Claims a hub and returns its installation. Claiming an own hub again only restores its local keys.
    pub(crate) fn claim(&mut self, claim: &Claim<'_>, now: Timestamp) -> Result<u64, ClaimError> {
        let own = self.accounts.get(&claim.account).map(|account| account.installation);
        let installation = own.filter(|own| claim.installation == 0 || claim.installation == *own);
        let installation = installation.ok_or(ClaimError::Installation)?;
        if claim.mac != claim.label {
            return Err(ClaimError::Mac);
        }
        match self.owners.get(claim.serial) {
            Some(ownership) if ownership.account != claim.account => Err(ClaimError::Owned),
            Some(_) => {
                self.restore_keys(claim);
                Ok(installation)
            }
            None => {
                self.restore_keys(claim);
                self.owners.add(claim.serial, claim.account, now);
                self.mark([RowKey::Owner(claim.serial.clone())]);
                Ok(installation)
            }
        }
    }
}

/// The parameters of a claim. An installation of 0 selects that of the account.
pub(crate) struct Claim<'a> {
    pub(crate) account: u64,
    pub(crate) installation: u64,
    pub(crate) serial: &'a Serial,
    /// MAC address that the caller sent.
    pub(crate) mac: MacAddress,
    /// MAC address on the label of the hub.
    pub(crate) label: MacAddress,
}

/// Merges a JSON document into another one. Objects are merged by member, other values are replaced.
fn merge(target: &mut serde_json::Value, change: serde_json::Value) {
    match (target, change) {
        (serde_json::Value::Object(target), serde_json::Value::Object(change)) => {
            for (name, value) in change {
                merge(target.entry(name).or_insert(serde_json::Value::Null), value);
            }
        }
        (target, change) => *target = change,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts::new(&[], &Random::new(1))
    }

    fn create(accounts: &mut Accounts, username: &str, email: &str) -> Result<User, CreateError> {
        // One seed for each user, because equal seeds result in equal uuids.
        let seed = username.bytes().map(u64::from).sum();
        accounts.create(&NewAccount { username, email, password: &"secret-1".into(), oem: 1 }, &Random::new(seed))
    }

    #[test]
    fn user_names_and_emails_are_case_insensitive() {
        let mut accounts = accounts();
        let user = create(&mut accounts, "Some.One", "a@example.com").unwrap();
        assert_eq!(create(&mut accounts, "some.one", "b@example.com").unwrap_err(), CreateError::Exists);
        assert_eq!(create(&mut accounts, "other", "A@example.com").unwrap_err(), CreateError::Exists);
        let hash = sha1_password("SOME.ONE", &"secret-1".into());
        assert_eq!(accounts.log_in("SOME.one", hash.expose(), None).unwrap().id, user.id);
        let case_sensitive = sha1_password_case_sensitive("Some.One", &"secret-1".into()).unwrap();
        assert!(accounts.log_in("some.one", "0", Some(case_sensitive.expose())).is_some());
        assert!(accounts.log_in("some.one", "0", None).is_none());
    }

    #[test]
    fn local_key_is_valid_only_for_users_of_the_owner() {
        let (mut accounts, tokens) = (accounts(), crate::world::tokens::Tokens::new(&Random::new(1)));
        let owner = create(&mut accounts, "first", "a@example.com").unwrap();
        let other = create(&mut accounts, "second", "b@example.com").unwrap();
        let serial = "90000002".parse().unwrap();
        assert_eq!(accounts.local_token(&tokens, &serial, owner.id), None, "a hub without an owner");
        accounts.owners.add(&serial, owner.account, Timestamp::UNIX_EPOCH);
        let token = accounts.local_token(&tokens, &serial, owner.id).unwrap();
        assert_eq!(accounts.local_token(&tokens, &serial, other.id), None);
        assert!(
            accounts.opens(&tokens, &serial, &owner.uuid, &token) && accounts.opens_for_any(&tokens, &serial, &token)
        );
        let foreign = tokens.local(&serial, other.id);
        assert!(!accounts.opens(&tokens, &serial, &other.uuid, &foreign), "a user of another account");
        assert!(!accounts.opens(&tokens, &serial, &owner.uuid, &foreign), "the key of another user");
        assert!(!accounts.opens_for_any(&tokens, &serial, &foreign));
        let elsewhere = "90000003".parse().unwrap();
        assert!(!accounts.opens_for_any(&tokens, &elsewhere, &token), "another hub");
    }

    #[test]
    fn hub_is_claimed_once_and_only_with_its_label() {
        let mut accounts = accounts();
        let first = create(&mut accounts, "first", "a@example.com").unwrap().account;
        let second = create(&mut accounts, "second", "b@example.com").unwrap().account;
        let serial = "90000002".parse().unwrap();
        let (label, wrong) = (MacAddress::new([1; 6]), MacAddress::new([2; 6]));
        let mut claim = |account, mac, installation| {
            let claim = Claim { account, installation, serial: &serial, mac, label };
            accounts.claim(&claim, Timestamp::UNIX_EPOCH)
        };
        assert_eq!(claim(first, wrong, 0), Err(ClaimError::Mac));
        assert_eq!(claim(first, label, 7), Err(ClaimError::Installation));
        let installation = claim(first, label, 0).unwrap();
        assert_eq!(claim(first, label, installation), Ok(installation));
        assert_eq!(claim(second, label, 0), Err(ClaimError::Owned));
    }

    #[test]
    fn cached_account_text_reflects_a_change() {
        let mut accounts = accounts();
        let id = create(&mut accounts, "first", "a@example.com").unwrap().account;
        let read = |accounts: &mut Accounts| {
            accounts.account_text(id, "host", |account| serde_json::to_vec(&account.record).unwrap()).unwrap()
        };
        let before = read(&mut accounts);
        assert_eq!(read(&mut accounts), before);
        let change = ezlo_protocol::wire::from_slice(br#"{"Billing":{"City":"Bacau"}}"#).unwrap();
        assert!(accounts.update(id, &change));
        assert!(String::from_utf8_lossy(&read(&mut accounts)).contains("Bacau"));
        assert_eq!(accounts.account_text(0, "host", |_| Vec::new()), None, "no such account");
    }

    #[test]
    fn account_update_keeps_members_that_it_does_not_name() {
        let mut accounts = accounts();
        let id = create(&mut accounts, "first", "a@example.com").unwrap().account;
        let change = |json: &str| ezlo_protocol::wire::from_slice::<AccountRecord>(json.as_bytes()).unwrap();
        accounts.update(id, &change(r#"{"Billing":{"FirstName":"John","City":"Iasi"},"PK_Account":7}"#));
        accounts.update(id, &change(r#"{"Billing":{"City":"Bacau"},"New":true}"#));
        let record = &accounts.account(id).unwrap().record;
        let billing = record.billing.get().unwrap();
        assert_eq!((billing.first_name.as_deref(), billing.city.as_deref()), (Some("John"), Some("Bacau")));
        assert_eq!(record.account.get().map(|account| *account.get()), Some(id));
        assert_eq!(record.extra.get("New"), Some(&true.into()));
    }
}
