//! Model synchronisation with hubs that send undecodable messages or do not support every list.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ezlo::{Hub, HubEvent};
use ezlo_relay::{CloseReason, HubCredentials, Incoming, RelaySession, Transport};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// A transport to a hub in memory that replies to every call and sends the given frames.
struct Pipe {
    answers: mpsc::Sender<String>,
    frames: mpsc::Receiver<String>,
    answer: fn(&str, u32) -> Value,
    readings: Arc<AtomicU32>,
}

impl Transport for Pipe {
    async fn receive(&mut self) -> Result<Incoming, CloseReason> {
        self.frames.recv().await.map(Incoming::Text).ok_or(CloseReason::ClosedLocally)
    }

    async fn send(&mut self, text: String) -> Result<(), CloseReason> {
        let call: Value = serde_json::from_str(&text).unwrap();
        let method = call["method"].as_str().unwrap();
        let reading = self.readings.fetch_add(u32::from(method == "hub.devices.list"), Ordering::Relaxed);
        let mut answer = (self.answer)(method, reading);
        answer["id"] = call["id"].clone();
        answer["method"] = call["method"].clone();
        self.answers.send(answer.to_string()).await.map_err(|_| CloseReason::ClosedLocally)
    }

    async fn close(&mut self) {}
}

struct Bench {
    hub: Hub,
    say: mpsc::Sender<String>,
    readings: Arc<AtomicU32>,
}

impl Bench {
    async fn new(answer: fn(&str, u32) -> Value) -> Self {
        let (say, frames) = mpsc::channel(64);
        let readings = Arc::new(AtomicU32::new(0));
        let pipe = Pipe { answers: say.clone(), frames, answer, readings: Arc::clone(&readings) };
        let session = RelaySession::from_transport(pipe, &HubCredentials::Anonymous).await.unwrap();
        let hub = Hub::from_session(session);
        hub.synced().await.unwrap();
        Self { hub, say, readings }
    }

    fn says(&self, text: impl Into<String>) {
        self.say.try_send(text.into()).unwrap();
    }

    /// Advances the clock and returns the number of reads of the lists since the start.
    async fn read_after(&self, seconds: u64) -> u32 {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.readings.load(Ordering::Relaxed)
    }
}

fn item(value: bool) -> Value {
    json!({"_id": "a", "deviceId": "d", "name": "switch", "valueType": "bool", "value": value, "hasGetter": true})
}

fn lists(method: &str, value: bool) -> Value {
    json!({"error": null, "result": match method {
        "hub.devices.list" => json!({"devices": [{"_id": "d", "name": "Lamp"}]}),
        "hub.items.list" => json!({"items": [item(value)]}),
        "hub.room.list" => json!([]),
        "hub.scenes.list" => json!({"scenes": []}),
        "hub.modes.get" => json!({"current": "1", "modes": []}),
        _ => json!({}),
    }})
}

#[tokio::test(start_paused = true)]
async fn undecodable_broadcasts_cause_a_rate_limited_resync() {
    let bench = Bench::new(|method, _| lists(method, true)).await;
    assert_eq!(bench.read_after(0).await, 1);
    bench.says("{cut");
    assert_eq!(bench.read_after(0).await, 2, "the frame may have been a change");
    for _ in 0..9 {
        bench.says("{cut");
        bench.says(json!({"msg_subclass": "hub.item.updated", "result": {"_id": "nobody", "value": 1}}).to_string());
        assert_eq!(bench.read_after(1).await, 2, "at most one read every 10 s");
        bench.hub.synced().await.unwrap();
    }
    assert_eq!(bench.read_after(1).await, 3, "the delayed read");
    assert_eq!(bench.read_after(60).await, 3, "only one delayed read");
}

#[tokio::test(start_paused = true)]
async fn change_hidden_by_an_undecodable_frame_is_reported() {
    // The first read reports the switch as on, all later ones as off.
    let bench = Bench::new(|method, reading| lists(method, reading < 2)).await;
    let mut events = bench.hub.events();
    bench.says("{\"msg_subclass\": \"hub.item.upda");
    let changed = loop {
        if let HubEvent::Changed(change) = events.next().await.unwrap() {
            break change;
        }
    };
    assert!(format!("{changed:?}").contains("Bool(false)"), "{changed:?}");
    assert!(matches!(events.next().await, Some(HubEvent::Resynced { changes: 1 })));
}

#[tokio::test(start_paused = true)]
async fn unsupported_lists_are_empty() {
    let answer = |method: &str, _| match method {
        "hub.room.list" | "hub.modes.get" => json!({"error": {"code": -32600, "data": "rpc.method.notfound"}}),
        "hub.scenes.list" => json!({"error": {"code": -32500, "data": "user.permission.doesnothave"}}),
        _ => lists(method, true),
    };
    let bench = Bench::new(answer).await;
    assert_eq!(bench.hub.devices().await.unwrap().len(), 1);
    assert!(bench.hub.rooms().await.unwrap().is_empty() && bench.hub.scenes().await.unwrap().is_empty());
}

/// A hub, or a machine in its place, cannot fill the memory of a client: the model has limits.
#[tokio::test(start_paused = true)]
async fn endless_additions_end_in_one_event_and_a_new_read() {
    let bench = Bench::new(|method, _| lists(method, true)).await;
    assert_eq!(bench.read_after(10).await, 1);
    let mut events = bench.hub.events();
    for at in 0..10_100 {
        let room = json!({"msg_subclass": "hub.room.created", "result": {"_id": format!("r{at}"), "name": "Room"}});
        bench.say.send(room.to_string()).await.unwrap();
    }
    loop {
        match events.next().await.unwrap() {
            HubEvent::LimitReached => break,
            HubEvent::Changed(_) | HubEvent::Lagged(_) => {}
            other => panic!("{other:?}"),
        }
    }
    bench.hub.synced().await.unwrap();
    assert_eq!(bench.read_after(60).await, 2, "one read");
    assert!(bench.hub.snapshot().rooms.len() <= 10_000);
    loop {
        match events.next().await.unwrap() {
            HubEvent::LimitReached => panic!("reported twice"),
            HubEvent::Resynced { .. } => break,
            _ => {}
        }
    }
}

/// The bytes that broadcasts add between two reads are limited as well.
#[tokio::test(start_paused = true)]
async fn growing_values_are_limited_in_bytes() {
    let bench = Bench::new(|method, _| lists(method, true)).await;
    assert_eq!(bench.read_after(10).await, 1);
    let mut events = bench.hub.events();
    let text = "x".repeat(1 << 20);
    for at in 0..70 {
        let value =
            json!({"_id": format!("i{at}"), "deviceId": "d", "name": "text", "valueType": "string", "value": text});
        let message = json!({"msg_subclass": "hub.item.added", "result": value});
        bench.say.send(message.to_string()).await.unwrap();
        // Reads the events, so that the queues stay short.
        tokio::task::yield_now().await;
        while let Ok(Some(HubEvent::Changed(_))) = tokio::time::timeout(Duration::ZERO, events.next()).await {}
    }
    bench.hub.synced().await.unwrap();
    assert!(bench.read_after(60).await >= 2, "the limit causes a read");
    assert!(bench.hub.snapshot().items.len() < 10, "the items of the last read, and what came since");
}
