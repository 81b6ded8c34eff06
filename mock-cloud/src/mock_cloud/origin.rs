//! The context of a new cloud, with the file of its CA certificate.

use std::path::Path;
use std::sync::Arc;

use ezlo_hub_sim::world_file::WorldFile;

use crate::config::Config;
use crate::core::control_token::ControlToken;
use crate::mock_cloud::error::StartError;
use crate::server::context::CloudContext;
use crate::tls::Authority;

/// Creates the context of a new cloud and writes its CA certificate.
pub(crate) fn context(
    config: Config,
    file: WorldFile,
    authority: Authority,
    begun_ms: i64,
) -> Result<Arc<CloudContext>, StartError> {
    let (folder, ca_path) = write_certificate(&config, authority.pem())?;
    let is_exposed = !config.control_bind.is_loopback();
    let control_token = config.control_token.clone().or_else(|| is_exposed.then(ControlToken::random));
    let (file, authority) = (Arc::new(file), Arc::new(authority));
    Ok(Arc::new(CloudContext { config, file, authority, _folder: folder, control_token, ca_path, begun_ms }))
}

/// Writes the CA certificate to the state directory, or to a temporary directory without one.
fn write_certificate(config: &Config, pem: &str) -> Result<(Option<tempfile::TempDir>, String), StartError> {
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| StartError::Tls(format!("cannot write {path}: {error}").into())
    };
    let (folder, path) = match &config.state_dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(at(dir))?;
            (None, dir.join("ca.pem"))
        }
        None => {
            let folder = tempfile::Builder::new().prefix("mock-cloud-").tempdir().map_err(at(&std::env::temp_dir()))?;
            let path = folder.path().join("ca.pem");
            (Some(folder), path)
        }
    };
    // Renamed into place, so that readers never see a part of it.
    let beside = path.with_extension("pem.new");
    std::fs::write(&beside, pem).and_then(|()| std::fs::rename(&beside, &path)).map_err(at(&path))?;
    // Clients run in other directories.
    let path = std::path::absolute(&path).map_err(at(&path))?;
    Ok((folder, path.display().to_string()))
}
