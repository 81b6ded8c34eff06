//! Token stores, which persist Identities between runs.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ezlo_protocol::identity::IdentityPair;
use ezlo_protocol::secret::{IdentitySignature, IdentityToken};
use serde::{Deserialize, Serialize};

/// A store of one Identity for each user name.
///
/// A stored Identity opens the account until it expires; treat it like a password. User names are compared without regard
/// to case. The methods may block: [`Authenticator`](crate::Authenticator) calls them on a blocking thread.
pub trait TokenStore: Send + Sync + 'static {
    /// Returns the stored Identity of a user; `None` if none is stored.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot be read.
    fn load(&self, username: &str) -> Result<Option<IdentityPair>, StoreError>;
    /// Stores the Identity of a user and replaces the previous one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot be read or written.
    fn save(&self, username: &str, pair: &IdentityPair) -> Result<(), StoreError>;
    /// Removes the Identity of a user, if one is stored.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot be read or written.
    fn clear(&self, username: &str) -> Result<(), StoreError>;
}

/// A failed access to a token store. No text contains a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file could not be read or written, or its folder could not be locked within 2 s.
    #[error("cannot access the token store {}", path.display())]
    Io {
        /// Path of the token file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The file is accessible to other users of the machine (Unix only).
    #[error("{} is accessible to other users (mode {mode:o}); run `chmod 600` on it and change the password", path.display())]
    InsecurePermissions {
        /// Path of the token file.
        path: PathBuf,
        /// Permission bits of the file.
        mode: u32,
    },
    /// The file was not written by this crate, is damaged, or is longer than 1 MiB.
    #[error("{} is not a token file; delete it and log in again", path.display())]
    Damaged {
        /// Path of the token file.
        path: PathBuf,
    },
    /// The keyring of the operating system failed. The text contains the cause.
    #[error("cannot access the keyring: {0}")]
    Keyring(String),
}

/// A token store in memory. Its content is lost when it is dropped.
#[derive(Default)]
pub struct MemoryStore(Mutex<HashMap<String, IdentityPair>>);

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryStore")
    }
}

impl TokenStore for MemoryStore {
    fn load(&self, username: &str) -> Result<Option<IdentityPair>, StoreError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&username.to_lowercase()).cloned())
    }

    fn save(&self, username: &str, pair: &IdentityPair) -> Result<(), StoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(username.to_lowercase(), pair.clone());
        Ok(())
    }

    fn clear(&self, username: &str) -> Result<(), StoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&username.to_lowercase());
        Ok(())
    }
}

/// A token store in a JSON file that only its owner can read (mode 0600 on Unix).
///
/// The file is replaced atomically. On Unix several processes can share it: a writer locks the folder and waits up to 2 s
/// for the lock. On other systems permissions are not checked, and only one process may write.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    /// Serialises the writers of this process; a lock on the folder excludes other processes.
    writing: Mutex<()>,
}

/// Maximum length of a token file in bytes; one Identity is a few kB.
const MAX_FILE: u64 = 1024 * 1024;

#[derive(Default, Serialize, Deserialize)]
struct StoredFile {
    version: u32,
    users: HashMap<String, StoredPair>,
}

#[derive(Serialize, Deserialize)]
struct StoredPair {
    identity: String,
    signature: String,
}

/// Version of the file format.
const VERSION: u32 = 1;

impl FileStore {
    /// Creates a store for a file path. No file access; the file and its folder are created by the first
    /// [`save`](TokenStore::save).
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), writing: Mutex::new(()) }
    }

    fn folder(&self) -> &Path {
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    fn io(&self, source: std::io::Error) -> StoreError {
        StoreError::Io { path: self.path.clone(), source }
    }

    fn read(&self) -> Result<StoredFile, StoreError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(StoredFile { version: VERSION, ..StoredFile::default() });
            }
            Err(error) => return Err(self.io(error)),
        };
        // Checks the open file, because another file may have this name by now.
        refuse_open(&self.path, &file.metadata().map_err(|error| self.io(error))?)?;
        let damaged = || StoreError::Damaged { path: self.path.clone() };
        let mut text = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut text).map_err(|error| self.io(error))?;
        if text.len() as u64 > MAX_FILE {
            return Err(damaged());
        }
        // The error of serde_json may quote a token, so it is dropped.
        let kept: StoredFile = serde_json::from_slice(&text).map_err(|_| damaged())?;
        if kept.version == VERSION { Ok(kept) } else { Err(damaged()) }
    }

    fn write(&self, kept: &StoredFile) -> Result<(), StoreError> {
        let folder = self.folder();
        // A temporary file with mode 0600 in the same folder replaces the old one atomically.
        let mut file = tempfile::Builder::new().prefix(".ezlo-").tempfile_in(folder).map_err(|error| self.io(error))?;
        let text = serde_json::to_vec(kept).map_err(|error| self.io(error.into()))?;
        file.write_all(&text).and_then(|()| file.as_file().sync_all()).map_err(|error| self.io(error))?;
        file.persist(&self.path).map_err(|error| self.io(error.error))?;
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<String, StoredPair>)) -> Result<(), StoreError> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        std::fs::create_dir_all(self.folder()).map_err(|error| self.io(error))?;
        let _only = lock(self.folder()).map_err(|error| self.io(error))?;
        let mut kept = self.read()?;
        change(&mut kept.users);
        self.write(&kept)
    }
}

impl TokenStore for FileStore {
    fn load(&self, username: &str) -> Result<Option<IdentityPair>, StoreError> {
        let kept = self.read()?;
        Ok(kept.users.get(&username.to_lowercase()).map(|pair| IdentityPair {
            identity: IdentityToken::new(pair.identity.clone()),
            signature: IdentitySignature::new(pair.signature.clone()),
        }))
    }

    fn save(&self, username: &str, pair: &IdentityPair) -> Result<(), StoreError> {
        let kept =
            StoredPair { identity: pair.identity.expose().to_owned(), signature: pair.signature.expose().to_owned() };
        self.change(|users| {
            users.insert(username.to_lowercase(), kept);
        })
    }

    fn clear(&self, username: &str) -> Result<(), StoreError> {
        self.change(|users| {
            users.remove(&username.to_lowercase());
        })
    }
}

/// Number of attempts to lock the folder, and the pause between them.
#[cfg(unix)]
const TRIES: (u32, std::time::Duration) = (100, std::time::Duration::from_millis(20));

/// Locks the folder against other processes until the result is dropped. A write takes milliseconds, so a lock that is held
/// for 2 s is reported as an error.
#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "another process's lock has no clock to wait by")]
fn lock(folder: &Path) -> std::io::Result<File> {
    let file = File::open(folder)?;
    let (tries, pause) = TRIES;
    for _ in 0..tries {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(pause),
            Err(error) => return Err(error.into()),
        }
    }
    Err(std::io::Error::new(std::io::ErrorKind::WouldBlock, "another process has locked the folder for more than 2 s"))
}

/// Folders cannot be locked on other systems.
#[cfg(not(unix))]
fn lock(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Refuses a file that other users can access, because its tokens may be compromised.
#[cfg(unix)]
fn refuse_open(path: &Path, metadata: &std::fs::Metadata) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(StoreError::InsecurePermissions { path: path.to_owned(), mode }) }
}

/// Permission bits exist on Unix only.
#[cfg(not(unix))]
fn refuse_open(_: &Path, _: &std::fs::Metadata) -> Result<(), StoreError> {
    Ok(())
}

/// A token store in the keyring of the operating system (feature `keyring`).
#[cfg(feature = "keyring")]
#[derive(Debug, Clone)]
pub struct KeyringStore {
    service: String,
}

#[cfg(feature = "keyring")]
impl KeyringStore {
    /// Creates a store under a service name, such as the name of the application. The keyring is not accessed.
    pub fn new(service: impl Into<String>) -> Self {
        Self { service: service.into() }
    }

    fn entry(&self, username: &str) -> Result<keyring::Entry, StoreError> {
        keyring::Entry::new(&self.service, &username.to_lowercase())
            .map_err(|error| StoreError::Keyring(error.to_string()))
    }
}

#[cfg(feature = "keyring")]
impl TokenStore for KeyringStore {
    fn load(&self, username: &str) -> Result<Option<IdentityPair>, StoreError> {
        let text = match self.entry(username)?.get_password() {
            Ok(text) => text,
            Err(keyring::Error::NoEntry) => return Ok(None),
            Err(error) => return Err(StoreError::Keyring(error.to_string())),
        };
        let damaged = |_| StoreError::Keyring("the entry was not written by this crate".into());
        let kept: StoredPair = serde_json::from_str(&text).map_err(damaged)?;
        Ok(Some(IdentityPair {
            identity: IdentityToken::new(kept.identity),
            signature: IdentitySignature::new(kept.signature),
        }))
    }

    fn save(&self, username: &str, pair: &IdentityPair) -> Result<(), StoreError> {
        let kept =
            StoredPair { identity: pair.identity.expose().to_owned(), signature: pair.signature.expose().to_owned() };
        let text = serde_json::to_string(&kept).map_err(|error| StoreError::Keyring(error.to_string()))?;
        self.entry(username)?.set_password(&text).map_err(|error| StoreError::Keyring(error.to_string()))
    }

    fn clear(&self, username: &str) -> Result<(), StoreError> {
        match self.entry(username)?.delete_credential() {
            Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
            Err(error) => Err(StoreError::Keyring(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(text: &str) -> IdentityPair {
        IdentityPair { identity: IdentityToken::new(text), signature: IdentitySignature::new("s") }
    }

    fn check(store: &dyn TokenStore) {
        assert_eq!(store.load("Demo.User").unwrap(), None);
        store.save("Demo.User", &pair("one")).unwrap();
        store.save("other", &pair("two")).unwrap();
        store.save("demo.user", &pair("three")).unwrap();
        assert_eq!(store.load("DEMO.USER").unwrap(), Some(pair("three")), "user names are case-insensitive");
        store.clear("demo.user").unwrap();
        assert_eq!((store.load("demo.user").unwrap(), store.load("other").unwrap()), (None, Some(pair("two"))));
    }

    #[test]
    fn stores_save_load_and_clear_identities() {
        let folder = tempfile::tempdir().unwrap();
        check(&MemoryStore::default());
        assert!(format!("{:?}", MemoryStore::default()).contains("MemoryStore"));
        check(&FileStore::new(folder.path().join("below/tokens.json")));
    }

    /// Each thread has a store of its own, so that the folder lock is tested and not the mutex.
    #[cfg(unix)]
    #[test]
    fn concurrent_stores_on_one_file_lose_no_entry() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    let store = FileStore::new(path);
                    for number in 0..10 {
                        store.save(&format!("user-{writer}-{number}"), &pair("x")).unwrap();
                    }
                });
            }
        });
        let store = FileStore::new(&path);
        for name in (0..8).flat_map(|writer| (0..10).map(move |number| format!("user-{writer}-{number}"))) {
            assert!(store.load(&name).unwrap().is_some(), "{name} is lost");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_accessible_to_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        let store = FileStore::new(&path);
        store.save("u", &pair("one")).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file remains");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = store.load("u").unwrap_err().to_string();
        assert!(error.contains("mode 640") && error.contains("chmod 600"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_damaged_file_is_refused_without_quoting_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        for text in ["{\"version\":1,\"users\":{\"u\":\"hunter2", "{\"version\":2,\"users\":{}}", "[]"] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let error = FileStore::new(&path).save("u", &pair("one")).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }) && !format!("{error:?}").contains("hunter2"));
        }
    }
}
