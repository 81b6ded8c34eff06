//! Who gets into a hub on its local network: each user of its owner's account, by a token for that hub alone. Tokens are
//! worked out from the key of all others when somebody asks, so that hubs hold none.

use ezlo_protocol::secret::LocalToken;
use ezlo_protocol::serial::Serial;

use crate::world::accounts::Accounts;
use crate::world::tokens::Tokens;

impl Accounts {
    /// The user's token for a hub; `None` when the hub is not the account's.
    pub(crate) fn local_token(&self, tokens: &Tokens, serial: &Serial, user: u64) -> Option<LocalToken> {
        let account = self.user(user)?.account;
        let is_own = self.ownership(serial).is_some_and(|ownership| ownership.account == account);
        is_own.then(|| tokens.local(serial, user))
    }

    /// Whether that user's uuid and token open the hub on its local network.
    pub(crate) fn opens(&self, tokens: &Tokens, serial: &Serial, user_uuid: &str, token: &LocalToken) -> bool {
        let user = self.index.by_uuid(user_uuid).and_then(|key| self.users.get(key));
        user.and_then(|user| self.local_token(tokens, serial, user.id)).is_some_and(|own| own == *token)
    }

    /// Whether the token opens the hub, whoever's it is.
    pub(crate) fn opens_for_any(&self, tokens: &Tokens, serial: &Serial, token: &LocalToken) -> bool {
        let owner = self.ownership(serial).map(|ownership| ownership.account);
        let mut users = owner.into_iter().flat_map(|account| self.users_of(account));
        users.any(|user| tokens.local(serial, user.id) == *token)
    }
}
