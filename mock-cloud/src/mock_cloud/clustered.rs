//! The start of a cloud that is one process of a cluster.

use std::sync::Arc;

use crate::cluster::nats::Nats;
use crate::config::{ClusterUrl, Config};
use crate::core::clock::Clock;
use crate::core::rng::Random;
use crate::mock_cloud::error::StartError;
use crate::mock_cloud::origin::context;
use crate::persistence::writer::StateWriter;
use crate::server::context::CloudContext;
use crate::tls::Authority;
use crate::tls::names::TlsNames;
use crate::world::World;
use crate::world::persisted_state::PersistedState;
use ezlo_hub_sim::world_file::WorldFile;

/// Joins the cluster at this NATS server. The first process writes the initial state; the others read it.
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
    let requested = config.seed;
    if nats.is_first().await.map_err(|error| failed(&error))? {
        let names = TlsNames::new(config.bind, &config.tls_names);
        let origin = context(config, file, Authority::new(&clock, names)?, clock.now_ms())?;
        let beginning = World::new(origin.world_config(clock.clone()));
        let rows = beginning.persisted_state(origin.about(), origin.authority.to_persisted()).rows();
        beginning.stop();
        nats.begins_with(rows).await.map_err(|error| failed(&error))?;
        config = origin.config.clone();
    } else {
        // The seed of the cluster is read below.
        config.seed = None;
    }
    let (rows, news) = nats.rows().await.map_err(|error| failed(&error))?;
    let mut state = PersistedState::from_rows(rows).map_err(|error| failed(&error))?;
    if state.about.living != config.assumptions.simulate_behaviours {
        return Err(failed(
            &"--simulate-behaviours differs from the first process of the cluster; give the same flag to all processes",
        ));
    }
    if let Some(requested) = requested.filter(|requested| *requested != state.about.seed) {
        let text = format!("it was begun with the seed {}, not {requested}; omit --seed", state.about.seed);
        return Err(failed(&text));
    }
    config.seed = Some(state.about.seed);
    let file = crate::worlds::load(&config.world)?;
    // All processes sign with the same authority, so no process may replace it, and it cannot permit the address of each machine.
    let names = TlsNames::new(config.bind, &config.tls_names);
    let authority = Authority::restore_as_is(&state.authority, &clock, names)?;
    let origin = context(config, file, authority, state.about.begun_ms)?;
    state.snapshot.add_copies(&origin.file, origin.begun_ms);
    // The processes share the seed, so each draws from a seed of its own: ids and tokens never collide.
    let own = state.about.seed ^ nats.node().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state.snapshot.random = Random::new(own);
    state.snapshot.accounts.number_from(nats.node());
    let keeper = StateWriter::new();
    let world_config =
        crate::world::WorldConfig { keeper: Some(Arc::clone(&keeper)), asleep: true, ..origin.world_config(clock) };
    let world = World::from_snapshot(state.snapshot, world_config);
    nats.begin(&world, news, crate::server::control::hub_calls::handler).await.map_err(|error| failed(&error))?;
    if let Some(store) = nats.shared_rows() {
        keeper.begin(Box::new(store), Box::new(origin.row_source(&world))).map_err(|error| failed(&error))?;
    }
    world.join(Arc::new(nats));
    Ok((world, origin))
}
