//! Access to hubs on the local network. Each user of the owner's account has one local key for each hub. Keys are derived on
//! request from the signing key of the world, so that hubs store none.

use ezlo_protocol::secret::LocalToken;
use ezlo_protocol::serial::Serial;

use crate::persistence::rows::RowKey;
use crate::world::accounts::{Accounts, Claim};
use crate::world::tokens::Tokens;

/// Reason why the local key of a user cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LocalKeyError {
    NoUser,
    /// The hub does not belong to the user's account.
    NotOwned,
}

impl Accounts {
    /// Returns the user's local key for a hub, or `None` if the hub does not belong to the user's account.
    pub(crate) fn local_token(&self, tokens: &Tokens, serial: &Serial, user: u64) -> Option<LocalToken> {
        let found = self.user(user)?;
        let is_own = self.ownership(serial).is_some_and(|ownership| ownership.account == found.account);
        (is_own && !found.missing_keys.contains(serial)).then(|| tokens.local(serial, user))
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
        users.any(|user| !user.missing_keys.contains(serial) && tokens.local(serial, user.id) == *token)
    }

    /// Removes the local key of a user for a hub of the user's account, or restores it.
    pub(crate) fn set_local_key(
        &mut self,
        username: &str,
        serial: &Serial,
        is_present: bool,
    ) -> Result<(), LocalKeyError> {
        let key = username.to_lowercase();
        let account = self.users.get(&key).map(|user| user.account).ok_or(LocalKeyError::NoUser)?;
        if self.ownership(serial).is_none_or(|ownership| ownership.account != account) {
            return Err(LocalKeyError::NotOwned);
        }
        self.mark([RowKey::User(key.clone())]);
        let user = self.users.get_mut(&key).ok_or(LocalKeyError::NoUser)?;
        if is_present {
            user.missing_keys.remove(serial);
        } else {
            user.missing_keys.insert(serial.clone());
        }
        Ok(())
    }

    /// Restores the local keys of a hub for the users of the account that claims it (users: the only known repair).
    pub(super) fn restore_keys(&mut self, claim: &Claim<'_>) {
        let lacking = self.users_of(claim.account).filter(|user| user.missing_keys.contains(claim.serial));
        for key in lacking.map(|user| user.username.to_lowercase()).collect::<Vec<_>>() {
            self.mark([RowKey::User(key.clone())]);
            if let Some(user) = self.users.get_mut(&key) {
                user.missing_keys.remove(claim.serial);
            }
        }
    }
}
