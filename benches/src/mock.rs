//! mock-cloud as a measured process: its generated world and the first messages of its clients.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use serde_json::{Value, json};

use crate::contest::Contestant;

/// The user who logs in and owns all hubs.
const USER: &str = "bench.user";
const PASSWORD: &str = "bench-password";
/// First serial of the simulated hubs. Each has one lamp.
pub(crate) const VIRTUAL: u64 = 90_000_001;
/// First serial of the hubs that external processes connect as.
pub(crate) const FOREIGN: u64 = 91_000_001;

/// The size and the options of a generated world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) virtual_hubs: u64,
    pub(crate) foreign_hubs: u64,
    /// Number of users besides the one who logs in.
    pub(crate) other_users: u64,
    pub(crate) journal: bool,
    pub(crate) core: Option<usize>,
}

impl Wish {
    /// A world with one user and no hubs. The journal is on (default).
    pub(crate) const NOTHING: Self =
        Self { virtual_hubs: 0, foreign_hubs: 0, other_users: 0, journal: true, core: None };
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A running mock-cloud with the identity of its user.
pub(crate) struct Mock {
    pub(crate) contestant: Contestant,
    pub(crate) identity: Value,
    _folder: tempfile::TempDir,
}

fn world(size: Wish) -> String {
    let mut world = format!(
        "[[users]]\nusername = \"{USER}\"\npassword = \"{PASSWORD}\"\nemail = \"bench@example.com\"\naccount = 1200001\n\
         user = 2800001\n"
    );
    if size.other_users > 0 {
        world.push_str(&format!(
            "[[users]]\nusername = \"other{{n}}\"\npassword = \"{PASSWORD}\"\nemail = \"other{{n}}@example.com\"\n\
             account = 1300001\nuser = 2900001\ncopies = {}\n",
            size.other_users
        ));
    }
    if size.virtual_hubs > 0 {
        world.push_str(&format!(
            "[[hubs]]\nserial = \"{VIRTUAL}\"\nmac = \"AA:BB:CC:00:00:01\"\nkind = \"linux\"\nmodel = \"h2.1\"\n\
             owner = \"{USER}\"\nonline = true\ncopies = {}\nrooms = [\"Room\"]\n\
             devices = [{{ template = \"switch\", name = \"Lamp\", room = \"Room\" }}]\n",
            size.virtual_hubs
        ));
    }
    if size.foreign_hubs > 0 {
        world.push_str(&format!(
            "[[hubs]]\nserial = \"{FOREIGN}\"\nmac = \"AB:BB:CC:00:00:01\"\nkind = \"linux\"\nmodel = \"h2.1\"\n\
             owner = \"{USER}\"\ncopies = {}\n",
            size.foreign_hubs
        ));
    }
    world
}

impl Mock {
    pub(crate) fn start(size: Wish) -> Result<Self, String> {
        Self::start_in(size, None)
    }

    /// Starts mock-cloud under valgrind, which writes its counts to the file `out`.
    pub(crate) fn start_counted(size: Wish, out: &Path) -> Result<Self, String> {
        Self::start_as(size, None, |path| Contestant::counted("mock-cloud", &["mock", path, "--quiet"], out))
    }

    /// Starts mock-cloud, optionally as a process of the cluster at a NATS server.
    pub(crate) fn start_in(size: Wish, cluster: Option<&str>) -> Result<Self, String> {
        Self::start_as(size, cluster, |path| Contestant::peer("mock-cloud", size.core, &["mock", path, "--quiet"]))
    }

    fn start_as(
        size: Wish,
        cluster: Option<&str>,
        start: impl FnOnce(&str) -> Result<Contestant, String>,
    ) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(text)?;
        let (world_path, config_path) = (folder.path().join("world.toml"), folder.path().join("config.toml"));
        std::fs::write(&world_path, world(size)).map_err(text)?;
        let mut config = format!("world = {:?}\njournal = {}\n", world_path.display().to_string(), size.journal);
        config.extend(cluster.map(|url| format!("cluster = {url:?}\n")));
        std::fs::write(&config_path, config).map_err(text)?;
        let path = config_path.display().to_string();
        let contestant = start(&path)?;
        let identity = log_in(contestant.address)?;
        Ok(Self { contestant, identity, _folder: folder })
    }

    /// Returns the process and the folder that it needs.
    pub(crate) fn into_parts(self) -> (Contestant, tempfile::TempDir) {
        (self.contestant, self._folder)
    }

    /// Returns the messages that log a client in and register it with a hub.
    pub(crate) fn at_hub(&self, serial: u64) -> Vec<String> {
        let params = json!({"MMSAuth": self.identity["Identity"], "MMSAuthSig": self.identity["IdentitySignature"]});
        let login = json!({"id": "s", "method": "loginUserMios", "params": params});
        let register = json!({"id": "s", "method": "register", "params": {"serial": serial.to_string()}});
        vec![login.to_string(), register.to_string()]
    }

    /// Returns the message that registers an external process as a hub.
    pub(crate) fn as_hub(&self, serial: u64) -> Vec<String> {
        let number = serial - FOREIGN + 1;
        let mac = format!("AB:BB:CC:{:02X}:{:02X}:{:02X}", number >> 16 & 255, number >> 8 & 255, number & 255);
        let params = json!({"serial": serial.to_string(), "mac_address": mac, "hubType": "h2.1"});
        vec![json!({"id": "s", "method": "register", "params": params}).to_string()]
    }
}

/// Returns the request of a login.
pub(crate) fn login_request() -> Vec<u8> {
    let hash = ezlo::protocol::password::sha1_password(USER, &PASSWORD.into());
    let path = format!("/autha/auth/username/{USER}?SHA1Password={}&PK_Oem=1&TokenVersion=2", hash.expose());
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").into_bytes()
}

/// Returns the request that reads the account with an identity.
pub(crate) fn account_request(identity: &Value) -> Vec<u8> {
    let header = |name: &str| identity[name].as_str().unwrap_or_default().to_owned();
    format!(
        "GET /account/account/account/1200001 HTTP/1.1\r\nhost: 127.0.0.1\r\nmmsauth: {}\r\nmmsauthsig: {}\r\n\r\n",
        header("Identity"),
        header("IdentitySignature")
    )
    .into_bytes()
}

/// Sends one request on a new connection and returns the body of the response.
pub(crate) fn once(to: SocketAddr, request: &[u8]) -> Result<Vec<u8>, String> {
    let mut stream = TcpStream::connect(to).map_err(text)?;
    stream.write_all(request).map_err(text)?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    loop {
        if let Some(length) = crate::drive::http::answer_length(&bytes)? {
            let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_default() + 4;
            return Ok(bytes[head..length].to_vec());
        }
        let read = stream.read(&mut buffer).map_err(text)?;
        if read == 0 {
            return Err("the server closed the connection without a response".into());
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
}

fn log_in(to: SocketAddr) -> Result<Value, String> {
    serde_json::from_slice(&once(to, &login_request())?).map_err(text)
}
