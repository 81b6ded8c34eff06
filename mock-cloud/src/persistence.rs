//! The state of a world outside of it: kept in a folder through any end of the program, written out as one readable file,
//! read in again.
//!
//! Both forms are the same rows, a key and a JSON document each; what is read back is the state that was written, or an
//! error that says what to do. They hold everything a world does, tokens and password digests too: never share one of a
//! world with real secrets in it.

use crate::persistence::redb_store::StateFile;
use crate::persistence::rows::PersistedState;
use crate::persistence::writer::Store;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub(crate) mod export;
pub(crate) mod redb_store;
pub(crate) mod rows;
#[cfg(test)]
mod tests;
pub(crate) mod writer;

/// Name of the file in a state folder.
const FILE: &str = "state.redb";

/// A state cannot be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The system did not let it be read or written.
    #[error("cannot read or write the state in {}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another program has it open.
    #[error("{} is in use by another mock-cloud; stop that one, or take another --state-dir", path.display())]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// It is no state, or not whole any more.
    #[error(
        "{} is damaged or no state of mock-cloud: {reason}. Nothing of it was used. Move it away to begin anew, or \
         put an export in its place: mock-cloud state import --replace", path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A document is no exported state.
    #[error("not a state as `mock-cloud state export` writes it: {reason}")]
    Document {
        /// What is wrong with it.
        reason: String,
    },
    /// Houses lived, or did not, when it was made.
    #[error(
        "{} goes on with living houses {}; start it {} --living", path.display(),
        if *living { "on" } else { "off" }, if *living { "with" } else { "without" }
    )]
    Living {
        /// Which file.
        path: PathBuf,
        /// Whether they live in it.
        living: bool,
    },
    /// It was made from another world than the one to start with.
    #[error(
        "{} goes on from the world {world:?} as it was when it was made; start with that one, or take another \
         --state-dir", path.display()
    )]
    OtherWorld {
        /// Which file.
        path: PathBuf,
        /// Name or path of the world that it was made from.
        world: String,
    },
    /// There is a state already.
    #[error("{} is there already; --replace puts the new one in its place", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// The processes of a cluster cannot share it.
    #[error("cannot share the state with the cluster: {reason}")]
    Cluster {
        /// Why.
        reason: String,
    },
    /// There is none.
    #[error("there is no state in {}; `mock-cloud serve --state-dir` makes one", path.display())]
    Missing {
        /// Which folder.
        path: PathBuf,
    },
}

/// What a kept state holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Name or path of the world that it was made from.
    pub world: String,
    /// The time in it, as RFC 3339.
    pub time: String,
    /// User names.
    pub users: usize,
    /// Hubs that somebody has touched; those of many that nobody has are not kept.
    pub hubs: usize,
    /// Hubs with an owner, touched or not.
    pub owned: usize,
    /// Devices of the touched hubs.
    pub devices: usize,
    /// Session tokens, expired ones too.
    pub sessions: usize,
}

/// The state kept in a folder, as one readable file (JSON).
pub fn export(folder: &Path) -> Result<String, StateError> {
    Ok(export::write(&existing(folder)?.read()?))
}

/// Puts an exported state into a folder. Whatever was there stays unless it is to be replaced; then it goes only once the
/// new one is complete. What is damaged, or no state at all, is moved aside.
pub fn import(folder: &Path, text: &str, replace: bool) -> Result<Summary, StateError> {
    // Read whole before anything is touched.
    let kept = export::read(text).map_err(|reason| StateError::Document { reason })?;
    if !StateFile::is_in(folder) {
        StateFile::create(folder, &kept.rows())?;
    } else if replace {
        match StateFile::open(folder) {
            Ok(file) => file.replace(&kept.rows(), 0)?,
            Err(StateError::Damaged { .. }) => {
                let aside = StateFile::move_aside(folder)?;
                tracing::warn!(aside = %aside.display(), "what was damaged is kept beside");
                StateFile::create(folder, &kept.rows())?;
            }
            Err(error) => return Err(error),
        }
    } else {
        return Err(StateError::Exists { path: folder.join(FILE) });
    }
    Ok(kept.summary())
}

/// What the state kept in a folder holds.
pub fn summary(folder: &Path) -> Result<Summary, StateError> {
    Ok(existing(folder)?.read()?.summary())
}

fn existing(folder: &Path) -> Result<StateFile, StateError> {
    if StateFile::is_in(folder) {
        StateFile::open(folder)
    } else {
        Err(StateError::Missing { path: folder.to_owned() })
    }
}

impl PersistedState {
    pub(crate) fn to_document(&self) -> String {
        export::write(self)
    }
}
