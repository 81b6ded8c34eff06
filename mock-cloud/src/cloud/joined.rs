//! A cloud that is one process of several.

use std::sync::Arc;

use super::{Origin, StartError, keep_certificate};
use crate::clock::Clock;
use crate::cluster::nats::Nats;
use crate::config::{ClusterUrl, Config};
use crate::random::Random;
use crate::state::{Keeper, KeptState};
use crate::tls::{Authority, TlsNames};
use crate::world::{World, WorldFile};

/// Joins the cluster at that NATS server, or begins it.
pub(super) async fn join(
    mut config: Config,
    file: WorldFile,
    clock: Option<Clock>,
    url: &ClusterUrl,
) -> Result<(Arc<World>, Arc<Origin>), StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError::Cluster(format!("{url}: {error}"));
    let nats =
        Nats::connect(url.expose(), &file.digest[..16.min(file.digest.len())]).await.map_err(|error| failed(&error))?;
    let clock = clock.unwrap_or_else(Clock::real);
    if nats.is_first().await.map_err(|error| failed(&error))? {
        let names = TlsNames::new(config.bind, &config.tls_names);
        let origin = origin(config, file, Authority::new(&clock, names)?, clock.now_ms())?;
        let beginning = World::new(origin.beginnings(clock.clone()));
        let rows = beginning.kept(origin.about(), origin.authority.to_keep()).rows();
        beginning.stop();
        nats.begins_with(rows).await.map_err(|error| failed(&error))?;
        config = origin.config.clone();
    } else {
        config.seed = 0;
    }
    let (rows, news) = nats.rows().await.map_err(|error| failed(&error))?;
    let mut state = KeptState::from_rows(rows).map_err(|error| failed(&error))?;
    if state.about.living != config.guesses.living_houses {
        return Err(failed(&"its houses live, or do not, as --living says: give the same to all processes"));
    }
    config.seed = state.about.seed;
    let file = config.load_world()?;
    // All processes present certificates of the same authority, so none of them may replace it.
    let names = TlsNames::new(config.bind, &config.tls_names);
    let authority = Authority::restore_as_is(&state.authority, &clock, names)?;
    let origin = origin(config, file, authority, state.about.begun_ms)?;
    state.snapshot.add_copies(&origin.file, origin.begun_ms);
    // What it gives out is not what the others give out.
    let own = origin.config.seed ^ nats.node().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state.snapshot.random = Random::new(own);
    state.snapshot.accounts.number_from(nats.node());
    let keeper = Keeper::new(origin.about(), origin.authority.to_keep());
    let beginnings =
        crate::world::Beginnings { keeper: Some(Arc::clone(&keeper)), asleep: true, ..origin.beginnings(clock) };
    let world = World::from_snapshot(state.snapshot, beginnings);
    nats.begin(&world, news).await.map_err(|error| failed(&error))?;
    if let Some(store) = nats.shared_rows() {
        keeper.begin(Box::new(store), Arc::downgrade(&world)).map_err(|error| failed(&error))?;
    }
    world.join(Arc::new(nats));
    Ok((world, origin))
}

fn origin(config: Config, file: WorldFile, authority: Authority, begun_ms: i64) -> Result<Arc<Origin>, StartError> {
    let (folder, ca_path) = keep_certificate(&config, authority.pem())?;
    Ok(Arc::new(Origin { config, file: Arc::new(file), authority, _folder: folder, ca_path, begun_ms }))
}
