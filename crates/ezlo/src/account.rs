//! A user's account: who is in it, which hubs it has, and the way to each.

use std::net::SocketAddr;

use ezlo_mms::{Credentials, Environment, MmsClient, NewAccount, Session};
use ezlo_protocol::cloud::account::{AccountRecord, HubListEntry, UserRecord};
use ezlo_protocol::cloud::hub_record::{HubRecord, Relay};
use ezlo_protocol::cloud::keys::LocalCredentials;
use ezlo_protocol::identity::IdentityDocument;
use ezlo_protocol::mac::MacAddress;
use ezlo_protocol::serial::Serial;
use ezlo_relay::{Endpoint, Login, Trust};

use crate::error::Error;
use crate::hub::Hub;

/// A user who is logged in.
#[derive(Debug, Clone)]
pub struct Account {
    mms: MmsClient,
    session: Session,
}

impl Account {
    /// Logs in.
    pub async fn log_in(environment: Environment, credentials: &Credentials) -> Result<Self, Error> {
        let mms = MmsClient::new(environment)?;
        let session = mms.log_in(credentials).await?;
        Ok(Self { mms, session })
    }

    /// Makes an account and logs in.
    pub async fn create(environment: Environment, wish: &NewAccount) -> Result<Self, Error> {
        let mms = MmsClient::new(environment)?;
        let session = mms.create_account(wish).await?;
        Ok(Self { mms, session })
    }

    /// What the user's Identity says.
    pub const fn identity(&self) -> &IdentityDocument {
        self.session.identity()
    }

    /// The client underneath, for calls that have no method here.
    pub const fn mms(&self) -> (&MmsClient, &Session) {
        (&self.mms, &self.session)
    }

    /// Reads the account.
    pub async fn record(&self) -> Result<AccountRecord, Error> {
        Ok(self.mms.account(&self.session).await?)
    }

    /// Changes the account; only the members that are there change.
    pub async fn change(&self, change: &AccountRecord) -> Result<(), Error> {
        self.mms.change_account(&self.session, change).await?;
        Ok(())
    }

    /// Lists the users.
    pub async fn users(&self) -> Result<Vec<UserRecord>, Error> {
        Ok(self.mms.users(&self.session).await?)
    }

    /// Lists the hubs.
    pub async fn hubs(&self) -> Result<Vec<HubListEntry>, Error> {
        Ok(self.mms.hubs(&self.session).await?)
    }

    /// Claims a hub, with serial and MAC address from its label.
    pub async fn claim(&self, serial: &Serial, mac: MacAddress) -> Result<(), Error> {
        self.mms.claim(&self.session, serial, mac).await?;
        Ok(())
    }

    /// Reads what the cloud knows of a hub.
    pub async fn hub_record(&self, serial: &Serial) -> Result<HubRecord, Error> {
        Ok(self.mms.hub(&self.session, serial).await?)
    }

    /// Connects to a hub through the relay that the cloud names.
    pub async fn connect(&self, serial: &Serial) -> Result<Hub, Error> {
        let record = self.hub_record(serial).await?;
        let Some(Relay::Nma(url)) = record.relay() else { return Err(Error::NoRelay(serial.to_string())) };
        let environment = self.mms.environment();
        let mut endpoint = Endpoint::new(url).trust(Trust::PublicRootsAnd(environment.extra_roots().to_vec()));
        if let Some(address) = environment.mapped_address() {
            endpoint = endpoint.address(address);
        }
        let login = Login::Relay { pair: self.session.pair().clone(), serial: serial.clone() };
        Ok(Hub::new(ezlo_relay::Session::connect(&endpoint, &login).await?))
    }

    /// Fetches what a hub wants on its local network. Keep it: it changes only when the cloud rotates it.
    pub async fn local_credentials(&self, serial: &Serial) -> Result<LocalCredentials, Error> {
        let token = self.mms.exchange(&self.session).await?;
        let keys = self.mms.access_keys(&token).await?;
        keys.local_credentials(serial).ok_or_else(|| Error::NoLocalKey(serial.to_string()))
    }

    /// Connects to a hub on the local network, at its WebSocket port (17000 on a real hub). The hub's self-signed
    /// certificate must carry its serial; with a pin it must be that very one.
    pub async fn connect_local(
        serial: &Serial,
        address: SocketAddr,
        credentials: LocalCredentials,
        pin: Option<[u8; 32]>,
    ) -> Result<Hub, Error> {
        let trust = Trust::Hub { serial: serial.clone(), pin };
        let endpoint = Endpoint::new(format!("wss://{address}")).trust(trust);
        Ok(Hub::new(ezlo_relay::Session::connect(&endpoint, &Login::Local(credentials)).await?))
    }
}
