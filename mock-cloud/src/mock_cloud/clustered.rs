//! A cloud that is one process of several.

use std::sync::Arc;

use crate::cluster::nats::Nats;
use crate::config::{ClusterUrl, Config};
use crate::core::clock::Clock;
use crate::core::rng::Random;
use crate::mock_cloud::{CloudContext, StartError, write_certificate};
use crate::persistence::rows::PersistedState;
use crate::persistence::writer::StateWriter;
use crate::tls::Authority;
use crate::tls::names::TlsNames;
use crate::world::World;
use ezlo_hub_sim::world_file::WorldFile;

/// Joins the cluster at that NATS server, or begins it.
pub(crate) async fn join(
    mut config: Config,
    file: WorldFile,
    clock: Option<Clock>,
    url: &ClusterUrl,
) -> Result<(Arc<World>, Arc<CloudContext>), StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError::Cluster(format!("{url}: {error}"));
    let nats =
        Nats::connect(url.expose(), &file.digest[..16.min(file.digest.len())]).await.map_err(|error| failed(&error))?;
    let clock = clock.unwrap_or_else(Clock::real);
    if nats.is_first().await.map_err(|error| failed(&error))? {
        let names = TlsNames::new(config.bind, &config.tls_names);
        let origin = origin(config, file, Authority::new(&clock, names)?, clock.now_ms())?;
        let beginning = World::new(origin.world_config(clock.clone()));
        let rows = beginning.kept(origin.about(), origin.authority.to_persisted()).rows();
        beginning.stop();
        nats.begins_with(rows).await.map_err(|error| failed(&error))?;
        config = origin.config.clone();
    } else {
        config.seed = 0;
    }
    let (rows, news) = nats.rows().await.map_err(|error| failed(&error))?;
    let mut state = PersistedState::from_rows(rows).map_err(|error| failed(&error))?;
    if state.about.living != config.assumptions.simulate_behaviours {
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
    let keeper = StateWriter::new(origin.about(), origin.authority.to_persisted());
    let world_config =
        crate::world::WorldConfig { keeper: Some(Arc::clone(&keeper)), asleep: true, ..origin.world_config(clock) };
    let world = World::from_snapshot(state.snapshot, world_config);
    nats.begin(&world, news).await.map_err(|error| failed(&error))?;
    if let Some(store) = nats.shared_rows() {
        keeper.begin(Box::new(store), Arc::downgrade(&world)).map_err(|error| failed(&error))?;
    }
    world.join(Arc::new(nats));
    Ok((world, origin))
}

fn origin(
    config: Config,
    file: WorldFile,
    authority: Authority,
    begun_ms: i64,
) -> Result<Arc<CloudContext>, StartError> {
    let (folder, ca_path) = write_certificate(&config, authority.pem())?;
    Ok(Arc::new(CloudContext { config, file: Arc::new(file), authority, _folder: folder, ca_path, begun_ms }))
}
