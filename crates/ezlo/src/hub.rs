//! A connected hub: its model, events, scenes and modes.

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
use crate::hub_event::HubEvents;
use crate::model::HubModel;
use crate::sync::{ModelSync, SyncProgress};
use crate::wait::wait_for;

/// Time allowed for a scene run; a public client waits 60 s.
const SCENE_TIME: Duration = Duration::from_secs(60);
/// Time allowed for the model to show what the events of an operation have already reported.
const SHOWN_TIME: Duration = Duration::from_secs(5);
/// Time allowed for the model to come into sync.
const SYNC_TIME: Duration = Duration::from_secs(60);

/// A connection to a hub, over the relay or the local network. Cheap to clone; clones share the session and the model.
///
/// The session reconnects by itself. The model ([`HubModel`]) is read after each connection with five calls
/// (`hub.devices.list`, `hub.items.list`, `hub.room.list`, `hub.scenes.list`, `hub.modes.get`), and broadcasts keep it current.
///
/// Each call to the hub has a timeout of 20 s (`SessionConfig::call_timeout`), including the wait for a connection. Reads are
/// sent again after a reconnect. A command is never sent twice: if the connection is lost, its outcome is unknown.
///
/// The session is closed when the last clone is dropped. [`Device`](crate::Device), [`ItemHandle`](crate::ItemHandle),
/// [`ItemWatch`](crate::ItemWatch) and [`Inclusion`](crate::Inclusion) hold a clone; [`HubEvents`] does not.
///
/// ```no_run
/// use ezlo::prelude::*;
///
/// # async fn example(account: &Account) -> Result<(), Box<dyn std::error::Error>> {
/// let serial: Serial = "90000001".parse()?;
/// let hub = account.connect(&serial).await?;
/// for device in hub.devices().await? {
///     println!("{} has {} items", device.name(), device.items.len());
/// }
/// hub.run_scene("Good night").await?;
/// hub.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Hub {
    session: RelaySession,
    sync: Arc<ModelSync>,
    path: watch::Receiver<PathState>,
}

impl Hub {
    /// Wraps an existing session and starts to read the model in the background.
    ///
    /// [`Hub::connection_path`] always returns the relay for such a hub. Presence notices of the relay about any hub count for
    /// this one.
    ///
    /// # Panics
    ///
    /// Panics if it is called outside of a Tokio runtime.
    pub fn from_session(session: RelaySession) -> Self {
        Self::with_path(session, None, watch::Sender::default().subscribe())
    }

    pub(crate) fn with_path(session: RelaySession, serial: Option<Serial>, path: watch::Receiver<PathState>) -> Self {
        let sync = ModelSync::start(&session, serial);
        Self { session, sync, path }
    }

    /// Returns the network path of the current or last connection. No network traffic.
    ///
    /// The path of a session passed to [`Hub::from_session`] is not known; it is reported as the relay.
    pub fn connection_path(&self) -> ConnectionPath {
        self.path.borrow().current
    }

    /// Returns the underlying session, for hub methods that have no method on this type. No network traffic.
    pub const fn session(&self) -> &RelaySession {
        &self.session
    }

    /// Returns the current state of the session. No network traffic.
    pub fn status(&self) -> Status {
        self.session.status()
    }

    /// Subscribes to the events of the hub, starting now. No network traffic.
    ///
    /// Await [`Hub::synced`] first; otherwise the first read reports the whole house as changes.
    pub fn events(&self) -> HubEvents {
        self.sync.events()
    }

    /// Returns the version of the model, which grows with each change. No network traffic.
    ///
    /// A cache is current as long as the version is the same.
    pub fn version(&self) -> u64 {
        self.sync.progress.borrow().version
    }

    /// Returns the current model. Reads the local model; no network traffic, and no wait.
    ///
    /// The model is empty before the first sync, and it is the last known state while disconnected. The snapshot does not
    /// change. It may be held across an await; while it is held, the next change of the model copies the model once.
    pub fn snapshot(&self) -> Arc<HubModel> {
        self.sync.snapshot()
    }

    /// Waits until the model is in sync with the hub: all lists were read, and no broadcast was missed since.
    ///
    /// Waits up to 60 s. Returns immediately if the model is in sync. Sends nothing itself.
    ///
    /// # Errors
    ///
    /// - [`Error::SessionClosed`] if the session is closed.
    /// - [`Error::ConfirmationTimeout`] if the model is not in sync after 60 s, for example because the hub is offline.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: only the wait is dropped.
    pub async fn synced(&self) -> Result<(), Error> {
        let mut progress = self.sync.progress.subscribe();
        let synced = progress.wait_for(|progress| progress.in_sync || progress.closed);
        match tokio::time::timeout(SYNC_TIME, synced).await {
            Ok(Ok(progress)) if !progress.closed => Ok(()),
            Ok(_) => Err(Error::SessionClosed),
            Err(_) => Err(Error::ConfirmationTimeout { what: "the model sync".into(), limit: SYNC_TIME }),
        }
    }

    pub(crate) fn progress(&self) -> watch::Receiver<SyncProgress> {
        self.sync.progress.subscribe()
    }

    /// Waits until the model satisfies `shown`, for at most 5 s. The model and an operation receive the same broadcasts
    /// independently, so the model can be behind.
    pub(crate) async fn until(&self, shown: impl Fn(&HubModel) -> bool) {
        let mut progress = self.progress();
        let waiting = async {
            while !shown(&self.snapshot()) {
                if progress.changed().await.is_err() {
                    return;
                }
            }
        };
        // A model that never satisfies it is out of sync, and reports that itself.
        let _ = tokio::time::timeout(SHOWN_TIME, waiting).await;
    }

    pub(crate) fn resync(&self) -> u64 {
        self.sync.resync()
    }

    /// Fetches the description of the hub: model, firmware, uptime and so on.
    ///
    /// Sends one `hub.info.get` call; the result is not cached.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] if the hub or the relay refuses the call, or if it times out (20 s).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the call only reads.
    pub async fn info(&self) -> Result<HubInfo, Error> {
        Ok(self.session.call(InfoGet, Empty::default()).await?)
    }

    /// Returns the rooms, in the hub's order.
    ///
    /// Reads the local model; no network traffic. Waits up to 60 s until the model is in sync.
    ///
    /// # Errors
    ///
    /// The errors of [`Hub::synced`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: only the wait is dropped.
    pub async fn rooms(&self) -> Result<Vec<Room>, Error> {
        self.synced().await?;
        Ok(self.snapshot().rooms.values().cloned().collect())
    }

    /// Returns the scenes, in the hub's order.
    ///
    /// Reads the local model; no network traffic. Waits up to 60 s until the model is in sync.
    ///
    /// # Errors
    ///
    /// The errors of [`Hub::synced`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: only the wait is dropped.
    pub async fn scenes(&self) -> Result<Vec<Scene>, Error> {
        self.synced().await?;
        Ok(self.snapshot().scenes.values().cloned().collect())
    }

    /// Fetches the house modes and the current mode.
    ///
    /// Sends one `hub.modes.get` call; the result is not cached. The current mode alone is in [`HubModel::mode`].
    ///
    /// # Errors
    ///
    /// [`Error::Call`] if the hub or the relay refuses the call, or if it times out (20 s).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the call only reads.
    pub async fn modes(&self) -> Result<ModesState, Error> {
        Ok(self.session.call(ModesGet, Empty::default()).await?)
    }

    /// Closes the session for all clones and waits until the connection is closed (at most 2 s for the closing handshake).
    ///
    /// Pending calls end with [`Error::Call`]. Subscribers receive [`HubEvent::Closed`](crate::HubEvent::Closed).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the session may stay open for other clones if the future is dropped.
    pub async fn close(self) {
        let Self { session, sync, .. } = self;
        drop(sync);
        session.close().await;
    }

    /// Runs the scene with the given name and waits until it has finished, for at most 60 s.
    ///
    /// Waits up to 60 s until the model is in sync, and sends one `hub.scenes.run` call (default timeout: 20 s). Then waits for
    /// the broadcast `hub.scene.run.progress`. The first scene counts if several have the name.
    ///
    /// # Errors
    ///
    /// - [`Error::NotFound`] if no scene has this name; nothing was run.
    /// - The errors of [`Hub::synced`]; nothing was run.
    /// - [`Error::Call`] if the call fails, or with `CallError::OutcomeUnknown` if the connection is lost during the run.
    /// - [`Error::Failed`] if the hub reports another end than `finished`, such as `failed` or `stopped`.
    /// - [`Error::ConfirmationTimeout`] if the hub does not report the end of the run in time.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the scene may run even if the future is dropped.
    pub async fn run_scene(&self, name: &str) -> Result<(), Error> {
        let scenes = self.scenes().await?;
        let named = |scene: &&Scene| scene.name.as_deref() == Some(name);
        let Some(id) = scenes.iter().find(named).and_then(|scene| scene.id.get()).cloned() else {
            let known = scenes.iter().filter_map(|scene| scene.name.as_deref().map(str::to_owned)).collect();
            return Err(Error::NotFound { what: "scene", name: name.into(), known });
        };
        let events = self.session.events();
        self.session.call(SceneRunNow, SceneRun { scene_id: id.clone(), ..SceneRun::default() }).await?;
        let end = |event: &Event| match event {
            Event::SceneRunProgress(progress) if progress.scene_id.get() == Some(&id) => match progress.status.get()? {
                RunStatus::Started => None,
                RunStatus::Finished => Some(Ok(())),
                other => Some(Err(other.to_string())),
            },
            _ => None,
        };
        wait_for(events, format!("scene {name}"), SCENE_TIME, end).await
    }
}
