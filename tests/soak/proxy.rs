//! A TCP proxy that drops, delays, refuses and discards on demand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

/// The faults that every connection checks.
#[derive(Debug, Clone, Copy)]
struct Weather {
    /// Number of drops so far. A connection ends when it changes.
    drops: u64,
    /// Bytes are delayed until this time.
    stalled_until: Instant,
    /// New connections are refused before this.
    refused_until: Instant,
    /// Bytes that arrive before this time are discarded, and so are all later bytes of the same stream.
    silent_until: Instant,
}

/// A proxy between clients and a server. Its faults can be changed at any time.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: Arc<watch::Sender<Weather>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Starts the proxy on a free local port.
    ///
    /// # Panics
    /// If no local port can be bound.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let now = Instant::now();
        let weather = Weather { drops: 0, stalled_until: now, refused_until: now, silent_until: now };
        let weather = Arc::new(watch::Sender::new(weather));
        let sender = Arc::clone(&weather);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                if sender.borrow().refused_until > Instant::now() {
                    continue;
                }
                connections.spawn(pass(stream, target, sender.subscribe()));
            }
        });
        Self { address, weather, task }
    }

    /// Returns the address to which clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drops every open connection.
    pub fn drop_all(&self) {
        self.weather.send_modify(|weather| weather.drops += 1);
    }

    /// Delays all bytes for a time. They are then delivered in order.
    pub fn stall(&self, time: Duration) {
        self.weather.send_modify(|weather| weather.stalled_until = Instant::now() + time);
    }

    /// Drops every connection and refuses new ones for a time.
    pub fn refuse(&self, time: Duration) {
        self.weather.send_modify(|weather| {
            weather.refused_until = Instant::now() + time;
            weather.drops += 1;
        });
    }

    /// Discards the bytes of both directions for a time, without closing the connections.
    pub fn go_silent(&self, time: Duration) {
        self.weather.send_modify(|weather| weather.silent_until = Instant::now() + time);
    }

    /// Ends all faults and drops every connection, so that clients reconnect.
    pub fn mend(&self) {
        let now = Instant::now();
        self.weather.send_modify(|weather| {
            weather.stalled_until = now;
            weather.refused_until = now;
            weather.silent_until = now;
            // Open streams can have gaps from discarded bytes.
            weather.drops += 1;
        });
    }
}

async fn pass(client: TcpStream, target: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let born = weather.borrow().drops;
    let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
    let (up, down) = (weather.clone(), weather.clone());
    let dropped = async move { while weather.changed().await.is_ok() && weather.borrow().drops == born {} };
    tokio::select! {
        () = dropped => {}
        () = copy(client_in, server_out, up) => {}
        () = copy(server_in, client_out, down) => {}
    }
}

async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    weather: watch::Receiver<Weather>,
) {
    let mut buffer = vec![0; 16 * 1024];
    // A stream with discarded bytes has a gap, and nothing may pass after it.
    let mut has_gap = false;
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let stalled = weather.borrow().stalled_until;
        tokio::time::sleep_until(stalled).await;
        has_gap |= weather.borrow().silent_until > Instant::now();
        if !has_gap && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
