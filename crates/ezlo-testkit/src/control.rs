//! A client of the control API: what a test in another language would do by hand, with names.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{Answer, address, http};

/// The control API of a simulated cloud.
#[derive(Debug, Clone, Copy)]
pub struct Control(SocketAddr);

/// The control API refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// HTTP status; 0 when nothing came.
    pub status: u16,
    /// What it said.
    pub text: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HTTP {}: {}", self.status, self.text)
    }
}

impl std::error::Error for Refused {}

fn body(answer: Answer) -> Result<String, Refused> {
    if answer.status == 200 {
        return Ok(answer.body);
    }
    let said = answer.json()["error"].as_str().map(str::to_owned);
    Err(Refused { status: answer.status, text: said.unwrap_or(answer.body) })
}

impl Control {
    /// At that URL, the member `control` of the ready line.
    ///
    /// # Panics
    /// When there is no address in it.
    pub fn at(url: &str) -> Self {
        Self(address(url))
    }

    /// Any call: what the methods below do, and what they do not.
    pub async fn call(&self, method: &str, path: &str, wish: &Value) -> Result<Value, Refused> {
        let wish = if wish.is_null() { String::new() } else { wish.to_string() };
        let text = body(http(self.0, &format!("{method} {path}"), &[], wish.as_bytes()).await)?;
        serde_json::from_str(&text).map_err(|error| Refused { status: 200, text: format!("not JSON: {error}") })
    }

    async fn get(&self, path: &str) -> Result<Value, Refused> {
        self.call("GET", path, &Value::Null).await
    }

    async fn post(&self, path: &str, wish: Value) -> Result<Value, Refused> {
        self.call("POST", path, &wish).await
    }

    /// The ready line.
    pub async fn endpoints(&self) -> Result<Value, Refused> {
        self.get("/endpoints").await
    }

    /// The time: `{now, unix, frozen, speed}`.
    pub async fn clock(&self) -> Result<Value, Refused> {
        self.get("/clock").await
    }

    /// Lets time pass at that speed; 0 stands still.
    pub async fn set_speed(&self, speed: f64) -> Result<Value, Refused> {
        self.post("/clock", json!({"speed": speed})).await
    }

    /// Moves the time on, in seconds; ends when everything that became due has happened.
    pub async fn advance(&self, seconds: f64) -> Result<Value, Refused> {
        self.post("/clock/advance", json!({"seconds": seconds})).await
    }

    /// Lets something go wrong: `{"fault": "abort", "when": {"first": 1}}`. Gives its number.
    pub async fn add_fault(&self, fault: Value) -> Result<u64, Refused> {
        Ok(self.post("/faults", fault).await?["id"].as_u64().unwrap_or_default())
    }

    /// What goes wrong now, with how often it matched and fired.
    pub async fn faults(&self) -> Result<Value, Refused> {
        self.get("/faults").await
    }

    /// Ends a fault, or all with `None`.
    pub async fn remove_fault(&self, id: Option<u64>) -> Result<Value, Refused> {
        let path = id.map_or_else(|| "/faults".to_owned(), |id| format!("/faults/{id}"));
        self.call("DELETE", &path, &Value::Null).await
    }

    /// Entries of the journal for a query such as `kind=request&since=7`.
    pub async fn journal(&self, query: &str) -> Result<Vec<Value>, Refused> {
        let lines = body(http(self.0, &format!("GET /journal?{query}"), &[], b"").await)?;
        let entry = |line: &str| {
            serde_json::from_str(line).map_err(|error| Refused { status: 200, text: format!("{line}: {error}") })
        };
        lines.lines().map(entry).collect()
    }

    /// Waits that long, in seconds, for an entry of the journal: `{"kind": "request", "name": "/info"}`.
    pub async fn expect(&self, filter: Value, within: f64) -> Result<Value, Refused> {
        self.post("/expectations", json!({"match": filter, "within": within})).await
    }

    /// What nobody answered, and what made no difference.
    pub async fn report(&self) -> Result<Value, Refused> {
        self.get("/report").await
    }

    /// The hubs.
    pub async fn hubs(&self) -> Result<Value, Refused> {
        self.get("/hubs").await
    }

    /// What happens around a hub: `include`, `exclude`, `press`, `trip`, `report`, `reachable`,
    /// `offline`, `reboot`, `unplug`, `plug-in`, `setup-fault`.
    pub async fn hub(&self, serial: &str, what: &str, wish: Value) -> Result<Value, Refused> {
        self.post(&format!("/hubs/{serial}/{what}"), wish).await
    }

    /// The world, which is number 0, its copies, and the states that are kept.
    pub async fn worlds(&self) -> Result<Value, Refused> {
        self.get("/worlds").await
    }

    /// A copy of a world: its number and its ready line.
    pub async fn fork(&self, world: u64) -> Result<(u64, Value), Refused> {
        let mut made = self.post(&format!("/worlds/{world}/fork"), Value::Null).await?;
        Ok((made["id"].as_u64().unwrap_or_default(), made["ready"].take()))
    }

    /// Keeps the state of a world under a name.
    pub async fn snapshot(&self, world: u64, name: &str) -> Result<Value, Refused> {
        self.post(&format!("/worlds/{world}/snapshot"), json!({"name": name})).await
    }

    /// Puts a state back that was kept.
    pub async fn restore(&self, world: u64, name: &str) -> Result<Value, Refused> {
        self.post(&format!("/worlds/{world}/restore"), json!({"name": name})).await
    }

    /// Puts the state back that a world began with.
    pub async fn reset(&self, world: u64) -> Result<Value, Refused> {
        self.post(&format!("/worlds/{world}/reset"), Value::Null).await
    }

    /// Ends a copy.
    pub async fn end(&self, world: u64) -> Result<Value, Refused> {
        self.call("DELETE", &format!("/worlds/{world}"), &Value::Null).await
    }

    /// The whole state of a world as one document, for `mock-cloud state import`.
    pub async fn export(&self, world: u64) -> Result<Value, Refused> {
        self.get(&format!("/worlds/{world}/export")).await
    }

    /// How each simulated answer is known.
    pub async fn evidence(&self) -> Result<Value, Refused> {
        self.get("/evidence").await
    }
}
