//! The load generator: one thread and epoll, with connections that request, reply or listen. Its own cost is low, because it
//! shares the machine with the measured process.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

pub(crate) mod frame;
pub(crate) mod http;
pub(crate) mod socket;
mod tls;

use tls::Stream;

/// The behaviour of one connection.
pub(crate) trait Side {
    /// Consumes whole messages from the front of the received bytes and returns the number of consumed bytes. Bytes written
    /// to `out` are sent.
    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>, tally: &mut Tally) -> Result<usize, String>;

    /// Writes the first bytes that are sent.
    fn greet(&mut self, out: &mut Vec<u8>);

    /// Starts the measured operations. Called when every connection is ready.
    fn begin(&mut self, _out: &mut Vec<u8>, _tally: &mut Tally) {}
}

/// The totals of all connections.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Connections that are ready to start.
    pub(crate) ready: usize,
    /// Completed operations.
    pub(crate) done: u64,
    /// Durations of the timed operations in seconds.
    pub(crate) times: Vec<f64>,
    /// Deliveries that are pending before the source sends again.
    pub(crate) outstanding: u64,
    /// Greater than 0 if the source may send again.
    pub(crate) due: u64,
    /// Send times of the events in flight, oldest first.
    pub(crate) sent: std::collections::VecDeque<Instant>,
    /// Operations that started before this time are not timed, because other processes were measured in between.
    pub(crate) since: Option<Instant>,
}

struct Connection<S> {
    stream: Stream,
    side: S,
    /// The start of an incomplete message.
    rest: Vec<u8>,
    out: Vec<u8>,
}

/// Connections to one server.
pub(crate) struct Driver<S> {
    poll: Poll,
    /// The TLS configuration, if the connections use TLS.
    tls: Option<Arc<rustls::ClientConfig>>,
    events: Events,
    connections: Vec<Connection<S>>,
    scratch: Vec<u8>,
    pub(crate) tally: Tally,
}

/// Time limit for everything that is not a measurement.
const PATIENCE: Duration = Duration::from_secs(60);

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Tally {
    /// Records the duration of an operation that started at `began`.
    pub(crate) fn took(&mut self, began: Option<Instant>) {
        let counts = |began: &Instant| self.since.is_none_or(|since| *began >= since);
        self.times.extend(began.filter(counts).map(|began| began.elapsed().as_secs_f64()));
    }
}

impl<S: Side> Driver<S> {
    pub(crate) fn new() -> Result<Self, String> {
        let (poll, events) = (Poll::new().map_err(text)?, Events::with_capacity(4096));
        let (connections, tally) = (Vec::new(), Tally::default());
        Ok(Self { poll, tls: None, events, connections, scratch: vec![0; 256 * 1024], tally })
    }

    /// Creates a driver for TLS connections that accept every certificate.
    pub(crate) fn with_tls() -> Result<Self, String> {
        Ok(Self { tls: Some(tls::config()?), ..Self::new()? })
    }

    /// Adds one connection and waits until it is ready.
    pub(crate) fn connect(&mut self, to: SocketAddr, side: S) -> Result<(), String> {
        self.start(to, side)?;
        let wanted = self.connections.len();
        self.until(PATIENCE, |tally| tally.ready >= wanted)
    }

    /// Adds connections in groups of 100 and waits until all are ready.
    pub(crate) fn connect_all(&mut self, to: SocketAddr, sides: impl Iterator<Item = S>) -> Result<(), String> {
        for side in sides {
            self.start(to, side)?;
            let wanted = self.connections.len();
            if wanted.is_multiple_of(100) {
                self.until(PATIENCE, |tally| tally.ready >= wanted)?;
            }
        }
        let wanted = self.connections.len();
        self.until(PATIENCE, |tally| tally.ready >= wanted)
    }

    fn start(&mut self, to: SocketAddr, mut side: S) -> Result<(), String> {
        let stream = std::net::TcpStream::connect(to).map_err(text)?;
        stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).map_err(text)?;
        let mut stream = TcpStream::from_std(stream);
        let token = Token(self.connections.len());
        self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).map_err(text)?;
        let stream = match &self.tls {
            Some(config) => tls::stream(config, stream)?,
            None => Stream::Plain(stream),
        };
        let mut out = Vec::new();
        side.greet(&mut out);
        self.connections.push(Connection { stream, side, rest: Vec::new(), out });
        flush(&mut self.connections[token.0])
    }

    /// Starts the measured operations of every connection.
    pub(crate) fn begin(&mut self) -> Result<(), String> {
        for connection in &mut self.connections {
            connection.side.begin(&mut connection.out, &mut self.tally);
            flush(connection)?;
        }
        Ok(())
    }

    /// Runs for a time and returns the operations per second.
    #[expect(clippy::cast_precision_loss, reason = "counts of a second fit")]
    pub(crate) fn run(&mut self, time: Duration) -> Result<f64, String> {
        let (began, before) = (Instant::now(), self.tally.done);
        self.tally.since = Some(began);
        while began.elapsed() < time {
            self.turn(Duration::from_millis(20))?;
        }
        Ok((self.tally.done - before) as f64 / began.elapsed().as_secs_f64())
    }

    /// Runs until a condition holds.
    ///
    /// # Errors
    /// If the condition does not hold within `limit`, or a connection fails.
    pub(crate) fn until(&mut self, limit: Duration, is_so: impl Fn(&Tally) -> bool) -> Result<(), String> {
        let began = Instant::now();
        while !is_so(&self.tally) {
            if began.elapsed() > limit {
                return Err(format!("condition not reached within {limit:?}: {:?}", self.tally));
            }
            self.turn(Duration::from_millis(20))?;
        }
        Ok(())
    }

    fn turn(&mut self, wait: Duration) -> Result<(), String> {
        let Self { poll, events, connections, scratch, tally, .. } = self;
        match poll.poll(events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other.map_err(text)?,
        }
        for event in events.iter() {
            let connection = &mut connections[event.token().0];
            if event.is_readable() {
                receive(connection, scratch, tally)?;
            }
            flush(connection)?;
        }
        // The source, which is the first connection, sends again when all deliveries have arrived.
        if tally.due > 0
            && let Some(source) = connections.first_mut()
        {
            source.side.begin(&mut source.out, tally);
            flush(source)?;
        }
        Ok(())
    }
}

fn receive<S: Side>(connection: &mut Connection<S>, scratch: &mut [u8], tally: &mut Tally) -> Result<(), String> {
    let Connection { stream, side, rest, out } = connection;
    loop {
        let read = match stream.read(scratch) {
            Ok(0) => return Err("the server ended a connection".into()),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        if rest.is_empty() {
            let taken = all(side, &scratch[..read], out, tally)?;
            rest.extend_from_slice(&scratch[taken..read]);
        } else {
            rest.extend_from_slice(&scratch[..read]);
            let taken = all(side, rest, out, tally)?;
            rest.drain(..taken);
        }
        // A TLS stream can hold more decrypted bytes.
        if read < scratch.len() && matches!(stream, Stream::Plain(_)) {
            return Ok(());
        }
    }
}

fn all<S: Side>(side: &mut S, bytes: &[u8], out: &mut Vec<u8>, tally: &mut Tally) -> Result<usize, String> {
    let mut taken = 0;
    loop {
        match side.take(&bytes[taken..], out, tally)? {
            0 => return Ok(taken),
            more => taken += more,
        }
    }
}

fn flush<S>(connection: &mut Connection<S>) -> Result<(), String> {
    while !connection.out.is_empty() {
        match connection.stream.write(&connection.out) {
            Ok(written) if written == connection.out.len() => connection.out.clear(),
            Ok(written) => drop(connection.out.drain(..written)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
    match connection.stream.flush() {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error.to_string()),
        _ => Ok(()),
    }
}
