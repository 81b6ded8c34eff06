//! The database of a state directory: one table of rows, changed in transactions.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable as _, StorageBackend, StorageError,
    TableDefinition,
};

use crate::persistence::error::StateError;
use crate::persistence::rows::Row;
use crate::persistence::writer::Store;

/// Name of a new file until it is complete.
const BESIDE: &str = "state.redb.new";
/// Name of a damaged file after it was replaced.
const ASIDE: &str = "state.redb.damaged";

const ROWS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("rows");

/// Size of the page cache in bytes. It is small, because rows are read only at the start, all at once.
const CACHE: usize = 16 * 1024 * 1024;

/// An open state file, locked against other processes.
pub(crate) struct StateFile {
    path: PathBuf,
    database: Database,
    /// Identity of the file on disk; `None` for a copy in memory.
    identity: Option<FileIdentity>,
    /// Keeps the lock of a file that was copied.
    _locked: Option<File>,
}

/// The file system and the number of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileIdentity(u64, u64);

impl FileIdentity {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self(metadata.dev(), metadata.ino())
    }

    /// Returns the same value for every file: a removed file is not recognised.
    #[cfg(not(unix))]
    const fn of(_: &Metadata) -> Self {
        Self(0, 0)
    }
}

impl std::fmt::Debug for StateFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store for StateFile {
    fn write(&self, rows: &[Row], _: u64) -> Result<(), StateError> {
        self.transact(rows, false)
    }

    fn replace(&self, rows: &[Row], _: u64) -> Result<(), StateError> {
        self.transact(rows, true)
    }
}

impl StateFile {
    /// Returns true if the directory holds a state file, valid or not.
    pub(crate) fn is_in(folder: &Path) -> bool {
        folder.join(FILE).exists()
    }

    /// Opens the state of a directory and verifies the checksum of every page.
    pub(crate) fn open(folder: &Path) -> Result<Self, StateError> {
        let path = folder.join(FILE);
        let io = |source| StateError::Io { path: path.clone(), source };
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        check_file(&path, &metadata)?;
        let backend = FileBackend::new(file).map_err(|error| refused(&path, error))?;
        let database = database(&path, backend)?;
        Ok(Self { path, database, identity: Some(FileIdentity::of(&metadata)), _locked: None })
    }

    /// Opens a copy of the state of a directory in memory. The file is only read, and stays locked against writers.
    pub(crate) fn open_copy(folder: &Path) -> Result<Self, StateError> {
        let path = folder.join(FILE);
        let io = |source| StateError::Io { path: path.clone(), source };
        let mut file = File::open(&path).map_err(io)?;
        check_file(&path, &file.metadata().map_err(io)?)?;
        lock(&path, &file, true)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let memory = InMemoryBackend::new();
        memory.set_len(bytes.len() as u64).and_then(|()| memory.write(0, &bytes)).map_err(io)?;
        drop(bytes);
        let database = database(&path, memory)?;
        Ok(Self { path, database, identity: None, _locked: Some(file) })
    }

    /// Creates the state of a directory atomically.
    pub(crate) fn create(folder: &Path, rows: &[Row]) -> Result<Self, StateError> {
        let (path, beside) = (folder.join(FILE), folder.join(BESIDE));
        let io = |source| StateError::Io { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(io)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            // Another user may have prepared a link in a directory that all can write to.
            let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
            options.mode(0o600).custom_flags(no_link);
        }
        let file = options.open(&beside).map_err(io)?;
        lock(&beside, &file, false)?;
        // The remains of a process that crashed during creation.
        file.set_len(0).map_err(io)?;
        let backend = FileBackend::new(file).map_err(|error| refused(&beside, error))?;
        let made = Self { database: database(&beside, backend)?, path: beside.clone(), identity: None, _locked: None };
        made.write(rows, 0)?;
        drop(made);
        // A link, unlike a rename, does not overwrite a state that another process created meanwhile.
        match std::fs::hard_link(&beside, &path) {
            Ok(()) => std::fs::remove_file(&beside).map_err(io)?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Err(StateError::Exists { path }),
            // Some file systems have no hard links.
            Err(_) => std::fs::rename(&beside, &path).map_err(io)?,
        }
        #[cfg(unix)]
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        Self::open(folder)
    }

    /// Moves the state file of a directory aside, valid or not, and returns its new path.
    pub(crate) fn move_aside(folder: &Path) -> Result<PathBuf, StateError> {
        let (path, aside) = (folder.join(FILE), folder.join(ASIDE));
        std::fs::rename(&path, &aside).map_err(|source| StateError::Io { path, source })?;
        Ok(aside)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn rows(&self) -> Result<Vec<Row>, StateError> {
        careful(&self.path, || {
            let reading = self.database.begin_read()?;
            let table = match reading.open_table(ROWS) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(redb::Error::from(error)),
            };
            let mut rows = Vec::new();
            for row in table.iter()? {
                let (key, value) = row?;
                rows.push(Row { key: key.value().to_owned(), value: Some(value.value().to_owned()) });
            }
            Ok(rows)
        })?
        .map_err(|error| self.damaged(error.to_string()))
    }

    fn transact(&self, rows: &[Row], clear: bool) -> Result<(), StateError> {
        let written = || -> Result<(), redb::Error> {
            let mut writing = self.database.begin_write()?;
            writing.set_durability(Durability::Immediate)?;
            if clear {
                writing.delete_table(ROWS)?;
            }
            {
                let mut table = writing.open_table(ROWS)?;
                for Row { key, value } in rows {
                    match value {
                        Some(value) => drop(table.insert(key.as_str(), value.as_slice())?),
                        None => drop(table.remove(key.as_str())?),
                    }
                }
            }
            writing.commit()?;
            Ok(())
        };
        let io = |error: redb::Error| match error {
            redb::Error::Io(source) => source,
            other => std::io::Error::other(other.to_string()),
        };
        careful(&self.path, written)?.map_err(|error| StateError::Io { path: self.path.clone(), source: io(error) })?;
        self.check_presence()
    }

    /// Checks that the file that was opened is still in the directory. Without it, changes would be lost at the end of the process.
    fn check_presence(&self) -> Result<(), StateError> {
        let Some(identity) = self.identity else { return Ok(()) };
        let path = self.path.clone();
        match std::fs::metadata(&self.path) {
            Ok(metadata) if FileIdentity::of(&metadata) == identity => Ok(()),
            Ok(_) => Err(StateError::Io { path, source: std::io::Error::other("another file has replaced it") }),
            Err(source) => Err(StateError::Io { path, source }),
        }
    }

    pub(crate) fn damaged(&self, reason: String) -> StateError {
        StateError::Damaged { path: self.path.clone(), reason }
    }
}

/// Refuses a file that is empty, which redb would initialise, or that other users can change. Warns if they can read it.
fn check_file(path: &Path, metadata: &Metadata) -> Result<(), StateError> {
    if metadata.len() == 0 {
        return Err(StateError::Damaged { path: path.to_owned(), reason: "the file is empty".into() });
    }
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        if mode & 0o022 != 0 {
            return Err(StateError::Exposed { path: path.to_owned() });
        }
        if mode & 0o044 != 0 {
            tracing::warn!(path = %path.display(), "other users can read the state and its keys; make it private with chmod 600");
        }
    }
    Ok(())
}

/// Locks a file against other processes; `shared`: only against writers.
#[expect(clippy::incompatible_msrv, reason = "the feature `state` needs Rust 1.90 because of redb")]
fn lock(path: &Path, file: &File, shared: bool) -> Result<(), StateError> {
    let path = path.to_owned();
    match if shared { file.try_lock_shared() } else { file.try_lock() } {
        Ok(()) => Ok(()),
        Err(std::fs::TryLockError::WouldBlock) => Err(StateError::InUse { path }),
        Err(std::fs::TryLockError::Error(source)) => Err(StateError::Io { path, source }),
    }
}

/// Opens or initialises the database in a backend.
fn database(path: &Path, backend: impl StorageBackend) -> Result<Database, StateError> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
    let opened = careful(path, || builder.create_with_backend(backend))?;
    opened.map_err(|error| refused(path, error))
}

/// Runs an operation of redb. Damaged files can make redb panic; a panic is reported as [`StateError::Damaged`].
fn careful<R>(path: &Path, act: impl FnOnce() -> R) -> Result<R, StateError> {
    catch_unwind(AssertUnwindSafe(act))
        .map_err(|_| StateError::Damaged { path: path.to_owned(), reason: "its pages are inconsistent".into() })
}

fn refused(path: &Path, error: DatabaseError) -> StateError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => StateError::InUse { path },
        DatabaseError::Storage(StorageError::Io(source)) if !is_of_content(source.kind()) => {
            StateError::Io { path, source }
        }
        other => StateError::Damaged { path, reason: other.to_string() },
    }
}

/// Name of the file in a state directory.
pub(crate) const FILE: &str = "state.redb";

/// Returns true for errors that the content of the file causes, such as a reference to a page behind its end.
const fn is_of_content(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind;
    matches!(kind, ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof)
}
