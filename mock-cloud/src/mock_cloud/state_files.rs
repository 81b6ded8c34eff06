//! Summary, export and import of a state directory.

use std::path::Path;

use crate::persistence::error::StateError;
use crate::persistence::redb_store::{FILE, StateFile};
use crate::persistence::writer::Store as _;
use crate::world::persisted_state::{PersistedState, Summary};
use crate::world::state_document::{read, write};

/// Exports the state in a directory as one JSON document.
///
/// The document contains every token, password digest and private key of the world.
///
/// # Errors
///
/// - [`StateError::Missing`] if the directory holds no state.
/// - [`StateError::InUse`] if another process has it open.
/// - [`StateError::Damaged`] if the file is not a valid state.
/// - [`StateError::Io`] if it cannot be read.
pub fn export(folder: &Path) -> Result<String, StateError> {
    Ok(write(&read_file(&existing(folder)?)?))
}

/// Creates a state directory from an exported document and returns its summary.
///
/// The document is validated before anything is written. With `replace`, the new state replaces an existing one in a single
/// transaction. A damaged file is moved to `state.redb.damaged` first.
///
/// # Errors
///
/// - [`StateError::Document`] if the text is not a valid export.
/// - [`StateError::Exists`] if the directory holds a state and `replace` is false.
/// - [`StateError::InUse`] if another process has it open.
/// - [`StateError::Io`] if it cannot be written.
pub fn import(folder: &Path, text: &str, replace: bool) -> Result<Summary, StateError> {
    let kept = read(text).map_err(|reason| StateError::Document { reason })?;
    if !StateFile::is_in(folder) {
        StateFile::create(folder, &kept.rows())?;
    } else if replace {
        match StateFile::open(folder) {
            Ok(file) => file.replace(&kept.rows(), 0)?,
            Err(StateError::Damaged { .. }) => {
                let aside = StateFile::move_aside(folder)?;
                tracing::warn!(aside = %aside.display(), "moved the damaged state aside");
                StateFile::create(folder, &kept.rows())?;
            }
            Err(error) => return Err(error),
        }
    } else {
        return Err(StateError::Exists { path: folder.join(FILE) });
    }
    Ok(kept.summary())
}

/// Verifies the state in a directory and returns its summary.
///
/// # Errors
///
/// - [`StateError::Missing`] if the directory holds no state.
/// - [`StateError::InUse`] if another process has it open.
/// - [`StateError::Damaged`] if the file is not a valid state.
/// - [`StateError::Io`] if it cannot be read.
pub fn summary(folder: &Path) -> Result<Summary, StateError> {
    Ok(read_file(&existing(folder)?)?.summary())
}

fn existing(folder: &Path) -> Result<StateFile, StateError> {
    if StateFile::is_in(folder) {
        StateFile::open_copy(folder)
    } else {
        Err(StateError::Missing { path: folder.to_owned() })
    }
}

/// Reads the state of an open file.
pub(crate) fn read_file(file: &StateFile) -> Result<PersistedState, StateError> {
    PersistedState::from_rows(file.rows()?).map_err(|reason| file.damaged(reason))
}
