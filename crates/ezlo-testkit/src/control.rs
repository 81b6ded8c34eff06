//! A client of the control API. It uses plain HTTP and JSON, as a test in another language does.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{Answer, address, http};

/// A client of the control API of a simulated cloud.
#[derive(Debug, Clone, Copy)]
pub struct Control(SocketAddr);

/// The error of a call that the control API refused, or whose response cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// HTTP status; 0 if no response was received.
    pub status: u16,
    /// Error text of the response, or the reason of a parse failure.
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
    let reason = answer.json()["error"].as_str().map(str::to_owned);
    Err(Refused { status: answer.status, text: reason.unwrap_or(answer.body) })
}

impl Control {
    /// Creates a client for this URL, the member `control` of the ready line.
    ///
    /// # Panics
    ///
    /// Panics if the URL does not contain an IP address and a port.
    pub fn at(url: &str) -> Self {
        Self(address(url))
    }

    /// Sends any call. `null` sends no body. The response must be JSON.
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

    /// Reads the ready line.
    pub async fn endpoints(&self) -> Result<Value, Refused> {
        self.get("/endpoints").await
    }

    /// Reads the clock: `{now, unix, frozen, speed}`.
    pub async fn clock(&self) -> Result<Value, Refused> {
        self.get("/clock").await
    }

    /// Sets the speed of the clock; 0 stops it.
    pub async fn set_speed(&self, speed: f64) -> Result<Value, Refused> {
        self.post("/clock", json!({"speed": speed})).await
    }

    /// Advances the clock by this number of seconds. Returns after all timers that became due have run.
    pub async fn advance(&self, seconds: f64) -> Result<Value, Refused> {
        self.post("/clock/advance", json!({"seconds": seconds})).await
    }

    /// Adds a fault, such as `{"fault": "abort", "when": {"first": 1}}`, and returns its id.
    pub async fn add_fault(&self, fault: Value) -> Result<u64, Refused> {
        Ok(self.post("/faults", fault).await?["id"].as_u64().unwrap_or_default())
    }

    /// Lists the active faults with the numbers of matches and injections.
    pub async fn faults(&self) -> Result<Value, Refused> {
        self.get("/faults").await
    }

    /// Removes a fault, or all faults with `None`.
    pub async fn remove_fault(&self, id: Option<u64>) -> Result<Value, Refused> {
        let path = id.map_or_else(|| "/faults".to_owned(), |id| format!("/faults/{id}"));
        self.call("DELETE", &path, &Value::Null).await
    }

    /// Reads the journal entries that match a query such as `kind=request&since=7`.
    pub async fn journal(&self, query: &str) -> Result<Vec<Value>, Refused> {
        let lines = body(http(self.0, &format!("GET /journal?{query}"), &[], b"").await)?;
        let entry = |line: &str| {
            serde_json::from_str(line).map_err(|error| Refused { status: 200, text: format!("{line}: {error}") })
        };
        lines.lines().map(entry).collect()
    }

    /// Waits up to `within` seconds for a journal entry such as `{"kind": "request", "name": "/info"}`.
    pub async fn expect(&self, filter: Value, within: f64) -> Result<Value, Refused> {
        self.post("/expectations", json!({"match": filter, "within": within})).await
    }

    /// Reads the report of unmatched requests and of members without effect.
    pub async fn report(&self) -> Result<Value, Refused> {
        self.get("/report").await
    }

    /// Lists the hubs.
    pub async fn hubs(&self) -> Result<Value, Refused> {
        self.get("/hubs").await
    }

    /// Runs a physical action at a hub: `include`, `exclude`, `press`, `trip`, `report`, `reachable`, `offline`, `reboot`,
    /// `unplug`, `plug-in` or `setup-fault`.
    pub async fn hub(&self, serial: &str, what: &str, wish: Value) -> Result<Value, Refused> {
        self.post(&format!("/hubs/{serial}/{what}"), wish).await
    }

    /// Lists the worlds and the snapshots. The original world has number 0, the others are forks.
    pub async fn worlds(&self) -> Result<Value, Refused> {
        self.get("/worlds").await
    }

    /// Forks a world. Returns the number and the ready line of the fork.
    pub async fn fork(&self, world: u64) -> Result<(u64, Value), Refused> {
        let mut made = self.post(&format!("/worlds/{world}/fork"), Value::Null).await?;
        Ok((made["id"].as_u64().unwrap_or_default(), made["ready"].take()))
    }

    /// Stores a snapshot of a world under a name.
    pub async fn snapshot(&self, world: u64, name: &str) -> Result<Value, Refused> {
        self.post(&format!("/worlds/{world}/snapshot"), json!({"name": name})).await
    }

    /// Restores a named snapshot of a world.
    pub async fn restore(&self, world: u64, name: &str) -> Result<Value, Refused> {
        self.post(&format!("/worlds/{world}/restore"), json!({"name": name})).await
    }

    /// Restores the initial state of a world.
    pub async fn reset(&self, world: u64) -> Result<Value, Refused> {
        self.post(&format!("/worlds/{world}/reset"), Value::Null).await
    }

    /// Deletes a fork.
    pub async fn end(&self, world: u64) -> Result<Value, Refused> {
        self.call("DELETE", &format!("/worlds/{world}"), &Value::Null).await
    }

    /// Exports the state of a world as one document, for `mock-cloud state import`.
    pub async fn export(&self, world: u64) -> Result<Value, Refused> {
        self.get(&format!("/worlds/{world}/export")).await
    }

    /// Lists the evidence of each simulated response.
    pub async fn evidence(&self) -> Result<Value, Refused> {
        self.get("/evidence").await
    }
}
