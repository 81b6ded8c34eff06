//! The start of a cluster: the address of the server, and the initial state, which one process writes.

use std::time::Instant;

use async_nats::jetstream::kv;
use async_nats::{ConnectOptions, ServerAddr, Subscriber};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::cluster::nats::{BEAT, Inner, Nats, SILENCE, Unreachable, number, shared_rows, unreachable};
use crate::persistence::rows::Row;
use crate::world::backplane::Node;

/// Number of rows of the initial state that are written at the same time.
const WRITES: usize = 64;
/// Entry of the bucket `homes` that the first process creates.
const BEGUN: &str = "_begun";
/// Entry of the bucket `homes` that exists when the initial state is complete.
const READY: &str = "_ready";

impl Nats {
    /// Returns true if this process must write the initial state: it is the first, or the first one ended while it wrote. Otherwise
    /// waits until the state is complete.
    pub(crate) async fn is_first(&self) -> Result<bool, Unreachable> {
        match self.inner.homes.create(BEGUN, self.inner.own_number()).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => self.inner.takes_over_beginning().await,
            Err(error) => Err(unreachable(error)),
        }
    }

    /// Writes the initial state and announces that it is complete. Heartbeats tell the other processes that it is in progress.
    pub(crate) async fn begins_with(&self, rows: Vec<Row>) -> Result<(), Unreachable> {
        let beats = async {
            loop {
                self.inner.send_beat().await;
                tokio::time::sleep(BEAT).await;
            }
        };
        let writes = rows.iter().filter_map(|row| Some((shared_rows::name(&row.key), row.value.as_deref()?)));
        let writes = stream::iter(writes).map(Ok).try_for_each_concurrent(WRITES, |(name, value)| async move {
            self.inner.put(&name, value).await.map(drop)
        });
        tokio::select! {
            written = writes => written?,
            () = beats => {}
        }
        shared_rows::again(async || self.inner.homes.put(READY, self.inner.own_number()).await).await.map(drop)
    }

    /// Returns all rows and a stream of later ones. The initial state is complete.
    pub(crate) async fn rows(&self) -> Result<(Vec<Row>, kv::Watch), Unreachable> {
        self.inner.all_rows().await
    }
}

impl Inner {
    /// Waits until the initial state is complete and returns false, or returns true if the process that writes it has ended and this
    /// one has taken its place.
    async fn takes_over_beginning(&self) -> Result<bool, Unreachable> {
        let mut beats = self.subscribe(format!("{}.beat", self.name)).await?;
        let (mut heard, mut begun) = (Instant::now(), None);
        loop {
            let progress = self.beginning(&mut begun).await;
            // The server can be slow while it stores the rows of a large world. Heartbeats still arrive.
            let writer = begun.map(|(writer, _)| writer);
            if self.hears(&mut beats, writer).await? {
                heard = Instant::now();
            }
            match progress {
                Ok(true) => return Ok(false),
                Err(error) if heard.elapsed() > SILENCE => return Err(error),
                Err(error) => tracing::warn!(%error, "waiting for the initial state"),
                Ok(false) if heard.elapsed() <= SILENCE => {}
                Ok(false) => {
                    let revision = begun.take().map_or(0, |(_, revision)| revision);
                    // A compare-and-swap: one process takes the place, the others wait for it.
                    match self.homes.update(BEGUN, self.own_number(), revision).await {
                        Ok(_) => return Ok(true),
                        Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => heard = Instant::now(),
                        Err(error) => return Err(unreachable(error)),
                    }
                }
            }
        }
    }

    /// Returns whether the initial state is complete. Reads the process that writes it, and the revision of its entry, if they are
    /// not known.
    async fn beginning(&self, begun: &mut Option<(Node, u64)>) -> Result<bool, Unreachable> {
        if begun.is_none() {
            let entry = self.homes.entry(BEGUN).await.map_err(unreachable)?;
            *begun = entry.and_then(|entry| Some((number(&entry.value)?, entry.revision)));
            if begun.is_none() {
                return Err(Unreachable("the entry of the first process cannot be decoded".into()));
            }
        }
        Ok(self.homes.get(READY).await.map_err(unreachable)?.is_some())
    }

    /// Waits a moment and returns whether a heartbeat of the writer arrived, or of any process if the writer is not known.
    async fn hears(&self, beats: &mut Subscriber, writer: Option<Node>) -> Result<bool, Unreachable> {
        let until = tokio::time::sleep(BEAT / 5);
        tokio::pin!(until);
        let mut is_heard = false;
        loop {
            tokio::select! {
                biased;
                beat = beats.next() => match beat.map(|beat| number(&beat.payload)) {
                    Some(node) => is_heard |= node.is_some() && (writer.is_none() || node == writer),
                    None => return Err(Unreachable("the connection to the server ended".into())),
                },
                () = &mut until => return Ok(is_heard),
            }
        }
    }
}

/// Returns the address of the server without user and password, and the options with them. Otherwise the library logs them.
pub(crate) fn with_credentials(
    url: &str,
    options: ConnectOptions,
) -> Result<(ServerAddr, ConnectOptions), Unreachable> {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let server: ServerAddr = url.parse().map_err(unreachable)?;
    let options = match (server.username().map(decoded), server.password().map(decoded)) {
        (Some(user), Some(password)) => options.user_and_password(user, password),
        // nats://TOKEN@HOST
        (Some(token), None) => options.token(token),
        _ => options,
    };
    let mut bare = server.into_inner();
    let failed = || Unreachable("the URL of the server is not valid".into());
    bare.set_username("").map_err(|()| failed())?;
    bare.set_password(None).map_err(|()| failed())?;
    Ok((ServerAddr::from_url(bare).map_err(unreachable)?, options))
}
