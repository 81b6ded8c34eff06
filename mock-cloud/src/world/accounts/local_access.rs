//! Access to hubs on the local network. Each user of the owner's account has one local key for each hub. Keys are derived on
//! request from the signing key of the world, so that hubs store none.

use ezlo_protocol::secret::LocalToken;
use ezlo_protocol::serial::Serial;

use crate::world::accounts::Accounts;
use crate::world::tokens::Tokens;

impl Accounts {
    /// Returns the user's local key for a hub, or `None` if the hub does not belong to the user's account.
    pub(crate) fn local_token(&self, tokens: &Tokens, serial: &Serial, user: u64) -> Option<LocalToken> {
        let account = self.user(user)?.account;
        let is_own = self.ownership(serial).is_some_and(|ownership| ownership.account == account);
        is_own.then(|| tokens.local(serial, user))
    }

    /// Returns whether a user uuid and local key give access to the hub.
    pub(crate) fn opens(&self, tokens: &Tokens, serial: &Serial, user_uuid: &str, token: &LocalToken) -> bool {
        let user = self.index.by_uuid(user_uuid).and_then(|key| self.users.get(key));
        user.and_then(|user| self.local_token(tokens, serial, user.id)).is_some_and(|own| own == *token)
    }

    /// Returns whether the local key of any user of the owner's account gives access to the hub.
    pub(crate) fn opens_for_any(&self, tokens: &Tokens, serial: &Serial, token: &LocalToken) -> bool {
        let owner = self.ownership(serial).map(|ownership| ownership.account);
        let mut users = owner.into_iter().flat_map(|account| self.users_of(account));
        users.any(|user| tokens.local(serial, user.id) == *token)
    }
}
