//! mock-cloud as a contestant: a world for the purpose, and what its clients say first.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use serde_json::{Value, json};

use crate::contest::Contestant;

/// The world's one user, with hubs of their own.
const USER: &str = "bench.user";
const PASSWORD: &str = "bench-password";
/// First serial of the virtual hubs, each a house with one lamp.
pub(crate) const VIRTUAL: u64 = 90_000_001;
/// First serial of the hubs that processes of their own speak for.
pub(crate) const FOREIGN: u64 = 91_000_001;

/// How much of what is in the world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) virtual_hubs: u64,
    pub(crate) foreign_hubs: u64,
    /// Users beside the one that logs in.
    pub(crate) other_users: u64,
    pub(crate) journal: bool,
    pub(crate) core: Option<usize>,
    /// In place of tokio-tungstenite.
    pub(crate) own_framing: bool,
}

impl Wish {
    /// Nobody but the one who logs in; the journal is on, as it is by default.
    pub(crate) const NOTHING: Self =
        Self { virtual_hubs: 0, foreign_hubs: 0, other_users: 0, journal: true, core: None, own_framing: false };
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A running mock-cloud, and who may log in.
pub(crate) struct Mock {
    pub(crate) contestant: Contestant,
    pub(crate) identity: Value,
    _folder: tempfile::TempDir,
}

fn world(wish: Wish) -> String {
    let mut world = format!(
        "[[users]]\nusername = \"{USER}\"\npassword = \"{PASSWORD}\"\nemail = \"bench@example.com\"\naccount = 1200001\n\
         user = 2800001\n"
    );
    if wish.other_users > 0 {
        world.push_str(&format!(
            "[[users]]\nusername = \"other{{n}}\"\npassword = \"{PASSWORD}\"\nemail = \"other{{n}}@example.com\"\n\
             account = 1300001\nuser = 2900001\ncopies = {}\n",
            wish.other_users
        ));
    }
    if wish.virtual_hubs > 0 {
        world.push_str(&format!(
            "[[hubs]]\nserial = \"{VIRTUAL}\"\nmac = \"AA:BB:CC:00:00:01\"\nkind = \"linux\"\nmodel = \"h2.1\"\n\
             owner = \"{USER}\"\nonline = true\ncopies = {}\nrooms = [\"Room\"]\n\
             devices = [{{ template = \"switch\", name = \"Lamp\", room = \"Room\" }}]\n",
            wish.virtual_hubs
        ));
    }
    if wish.foreign_hubs > 0 {
        world.push_str(&format!(
            "[[hubs]]\nserial = \"{FOREIGN}\"\nmac = \"AB:BB:CC:00:00:01\"\nkind = \"linux\"\nmodel = \"h2.1\"\n\
             owner = \"{USER}\"\ncopies = {}\n",
            wish.foreign_hubs
        ));
    }
    world
}

impl Mock {
    pub(crate) fn start(wish: Wish) -> Result<Self, String> {
        Self::start_in(wish, None)
    }

    /// Under valgrind, which writes to that file what it has counted.
    pub(crate) fn start_counted(wish: Wish, out: &Path) -> Result<Self, String> {
        Self::start_as(wish, None, |path| Contestant::counted("mock-cloud", &["mock", path, "--quiet"], out))
    }

    /// As one process of the cluster that meets at that NATS server.
    pub(crate) fn start_in(wish: Wish, cluster: Option<&str>) -> Result<Self, String> {
        Self::start_as(wish, cluster, |path| Contestant::peer("mock-cloud", wish.core, &["mock", path, "--quiet"]))
    }

    fn start_as(
        wish: Wish,
        cluster: Option<&str>,
        start: impl FnOnce(&str) -> Result<Contestant, String>,
    ) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(text)?;
        let (world_path, config_path) = (folder.path().join("world.toml"), folder.path().join("config.toml"));
        std::fs::write(&world_path, world(wish)).map_err(text)?;
        let mut config = format!("world = {:?}\njournal = {}\n", world_path.display().to_string(), wish.journal);
        if wish.own_framing {
            config.push_str("framing = \"own\"\n");
        }
        config.extend(cluster.map(|url| format!("cluster = {url:?}\n")));
        std::fs::write(&config_path, config).map_err(text)?;
        let path = config_path.display().to_string();
        let contestant = start(&path)?;
        let identity = log_in(contestant.address)?;
        Ok(Self { contestant, identity, _folder: folder })
    }

    /// The program, and the folder that it needs.
    pub(crate) fn into_parts(self) -> (Contestant, tempfile::TempDir) {
        (self.contestant, self._folder)
    }

    /// What a client says before it is at its hub.
    pub(crate) fn at_hub(&self, serial: u64) -> Vec<String> {
        let params = json!({"MMSAuth": self.identity["Identity"], "MMSAuthSig": self.identity["IdentitySignature"]});
        let login = json!({"id": "s", "method": "loginUserMios", "params": params});
        let register = json!({"id": "s", "method": "register", "params": {"serial": serial.to_string()}});
        vec![login.to_string(), register.to_string()]
    }

    /// What a hub says that is a process of its own.
    pub(crate) fn as_hub(&self, serial: u64) -> Vec<String> {
        let number = serial - FOREIGN + 1;
        let mac = format!("AB:BB:CC:{:02X}:{:02X}:{:02X}", number >> 16 & 255, number >> 8 & 255, number & 255);
        let params = json!({"serial": serial.to_string(), "mac_address": mac, "hubType": "h2.1"});
        vec![json!({"id": "s", "method": "register", "params": params}).to_string()]
    }
}

/// The request of a login, and the same as one asks all the time.
pub(crate) fn login_request() -> Vec<u8> {
    let hash = ezlo::protocol::password::sha1_password(USER, &PASSWORD.into());
    let path = format!("/autha/auth/username/{USER}?SHA1Password={}&PK_Oem=1&TokenVersion=2", hash.expose());
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").into_bytes()
}

/// The request of the account, with that identity.
pub(crate) fn account_request(identity: &Value) -> Vec<u8> {
    let header = |name: &str| identity[name].as_str().unwrap_or_default().to_owned();
    format!(
        "GET /account/account/account/1200001 HTTP/1.1\r\nhost: 127.0.0.1\r\nmmsauth: {}\r\nmmsauthsig: {}\r\n\r\n",
        header("Identity"),
        header("IdentitySignature")
    )
    .into_bytes()
}

/// One request on a connection of its own, and the body of its answer.
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
            return Err("no answer".into());
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
}

fn log_in(to: SocketAddr) -> Result<Value, String> {
    serde_json::from_slice(&once(to, &login_request())?).map_err(text)
}
