//! A hub one is connected to: devices, rooms, scenes, modes, and what happens there.

use std::sync::Arc;
use std::time::Duration;

use ezlo_protocol::hub::Empty;
use ezlo_protocol::hub::broadcast::Event;
use ezlo_protocol::hub::info::HubInfo;
use ezlo_protocol::hub::method::{InfoGet, ModesGet, SceneRunNow};
use ezlo_protocol::hub::mode::ModesState;
use ezlo_protocol::hub::room::Room;
use ezlo_protocol::hub::scene::{RunStatus, Scene, SceneRun};
use ezlo_protocol::serial::Serial;
use ezlo_relay::{RelaySession, Status};
use tokio::sync::watch;

use crate::account_connector::{ConnectionPath, PathState};
use crate::error::Error;
use crate::model::HubModel;
use crate::sync::{HubEvents, ModelSync, SyncProgress};
use crate::wait::wait_for;

/// How long a scene may run; a public client waits 60 s.
const SCENE_TIME: Duration = Duration::from_secs(60);
/// How long the model may lag behind a conversation.
const SHOWN_TIME: Duration = Duration::from_secs(5);
/// How long everything may take to be read for the first time.
const SYNC_TIME: Duration = Duration::from_secs(60);

/// A hub one is connected to, over the relay or the local network. Works the same over both. Cheap to clone; clones share the
/// link and the model.
#[derive(Debug, Clone)]
pub struct Hub {
    session: RelaySession,
    live: Arc<ModelSync>,
    taken: watch::Receiver<PathState>,
}

impl Hub {
    /// Over a session that is there already; its model begins to be read.
    pub fn from_session(session: RelaySession) -> Self {
        Self::with_path(session, None, watch::Sender::default().subscribe())
    }

    pub(crate) fn with_path(session: RelaySession, serial: Option<Serial>, taken: watch::Receiver<PathState>) -> Self {
        let live = ModelSync::start(&session, serial);
        Self { session, live, taken }
    }

    /// Which way the link goes, or went last. For a session of one's own ([`Hub::new`]) it is not known and said to be the
    /// relay.
    pub fn connection_path(&self) -> ConnectionPath {
        self.taken.borrow().way
    }

    /// The session underneath, for methods that have no name here.
    pub const fn session(&self) -> &RelaySession {
        &self.session
    }

    /// What the link is doing.
    pub fn status(&self) -> Status {
        self.session.status()
    }

    /// Listens to what happens from now on.
    pub fn events(&self) -> HubEvents {
        self.live.events()
    }

    /// Counts the changes of the model: whoever keeps a copy knows by it whether there is something newer.
    pub fn version(&self) -> u64 {
        self.live.progress.borrow().version
    }

    /// The model as it is now: empty before [`Hub::synced`], what was last known while the link is down. It may be held across
    /// an await.
    pub fn snapshot(&self) -> Arc<HubModel> {
        self.live.snapshot()
    }

    /// Waits until the model is the hub: everything was read and nothing was missed since.
    pub async fn synced(&self) -> Result<(), Error> {
        let mut progress = self.live.progress.subscribe();
        let synced = progress.wait_for(|progress| progress.in_sync || progress.closed);
        match tokio::time::timeout(SYNC_TIME, synced).await {
            Ok(Ok(progress)) if !progress.closed => Ok(()),
            Ok(_) => Err(Error::SessionClosed),
            Err(_) => Err(Error::ConfirmationTimeout { what: "reading the hub".into(), limit: SYNC_TIME }),
        }
    }

    pub(crate) fn progress(&self) -> watch::Receiver<SyncProgress> {
        self.live.progress.subscribe()
    }

    /// Waits until the model shows what a conversation has been told already; the two listen side by side.
    pub(crate) async fn until(&self, shown: impl Fn(&HubModel) -> bool) {
        let mut progress = self.progress();
        let waiting = async {
            while !shown(&self.snapshot()) {
                if progress.changed().await.is_err() {
                    return;
                }
            }
        };
        // A model that never shows it is out of step and says so itself.
        let _ = tokio::time::timeout(SHOWN_TIME, waiting).await;
    }

    pub(crate) fn resync(&self) -> u64 {
        self.live.resync()
    }

    /// What the hub says of itself.
    pub async fn info(&self) -> Result<HubInfo, Error> {
        Ok(self.session.call(InfoGet, Empty::default()).await?)
    }

    /// The rooms, in order.
    pub async fn rooms(&self) -> Result<Vec<Room>, Error> {
        self.synced().await?;
        Ok(self.snapshot().rooms.values().cloned().collect())
    }

    /// The scenes.
    pub async fn scenes(&self) -> Result<Vec<Scene>, Error> {
        self.synced().await?;
        Ok(self.snapshot().scenes.values().cloned().collect())
    }

    /// The house modes.
    pub async fn modes(&self) -> Result<ModesState, Error> {
        Ok(self.session.call(ModesGet, Empty::default()).await?)
    }

    /// Closes the link in good order.
    pub async fn close(self) {
        let Self { session, live, .. } = self;
        drop(live);
        session.close().await;
    }

    /// Runs a scene by name and waits until it has run.
    pub async fn run_scene(&self, name: &str) -> Result<(), Error> {
        let scenes = self.scenes().await?;
        let named = |scene: &&Scene| scene.name.as_deref() == Some(name);
        let Some(id) = scenes.iter().find(named).and_then(|scene| scene.id.get()).cloned() else {
            let known = scenes.iter().filter_map(|scene| scene.name.as_deref().map(str::to_owned)).collect();
            return Err(Error::NotFound { what: "scene", name: name.into(), known });
        };
        let events = self.session.events();
        self.session.call(SceneRunNow, SceneRun { scene_id: id.clone(), ..SceneRun::default() }).await?;
        let over = |event: &Event| match event {
            Event::SceneRunProgress(progress) if progress.scene_id.get() == Some(&id) => match progress.status.get()? {
                RunStatus::Started => None,
                RunStatus::Finished => Some(Ok(())),
                other => Some(Err(other.to_string())),
            },
            _ => None,
        };
        wait_for(events, format!("scene {name}"), SCENE_TIME, over).await
    }
}
