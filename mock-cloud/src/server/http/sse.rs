//! The journal as a stream of server-sent events.

use crate::server::control::journal::line;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::sync::watch;

use crate::journal::Journal;
use crate::journal::filter::Filter;
use crate::server::http::message::Reply;
use crate::server::ws::connection;

/// Most entries in one frame of the stream.
const FOLLOWED_AT_ONCE: usize = 256;
/// Machine time for which new entries are collected.
const BATCH_TIME: Duration = Duration::from_millis(50);
/// Interval of keep-alive comments on an idle stream.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

impl Reply {
    /// Returns a reply that streams stored and new entries as server-sent events until the client disconnects.
    ///
    /// An event `gap` counts the entries that the journal dropped before the client read them. A comment every 15 s detects a
    /// closed connection.
    pub(crate) fn events(journal: Arc<Journal>, filter: Filter, stopped: watch::Receiver<bool>) -> Self {
        let newest = journal.newest();
        let frames = stream::unfold(
            (journal, filter, newest, stopped),
            |(journal, mut filter, mut newest, stopped)| async move {
                loop {
                    let seen = *newest.borrow_and_update();
                    let dropped = journal.dropped_since(filter.since);
                    let entries = journal.entries(&filter, FOLLOWED_AT_ONCE);
                    let last = entries.last().map_or(filter.since, |last| last.seq);
                    filter.since = if entries.len() < FOLLOWED_AT_ONCE { last.max(seen) } else { last };
                    let gap = dropped.map(|dropped| format!("event: gap\ndata: {{\"lost\": {dropped}}}\n\n"));
                    let events = entries.iter().map(|entry| format!("id: {}\ndata: {}\n\n", entry.seq, line(entry)));
                    let text: String = gap.into_iter().chain(events).collect();
                    if !text.is_empty() {
                        return Some((Ok(Frame::data(Bytes::from(text))), (journal, filter, newest, stopped)));
                    }
                    let next = async {
                        tokio::select! {
                            changed = newest.changed() => changed.ok(),
                            () = connection::ended(stopped.clone()) => None,
                        }
                    };
                    match tokio::time::timeout(SIGN_OF_LIFE, next).await {
                        // Entries are sent in batches: many followers would otherwise wake for each entry.
                        Ok(changed) => {
                            changed?;
                            tokio::time::sleep(BATCH_TIME).await;
                        }
                        Err(_) => {
                            return Some((
                                Ok(Frame::data(Bytes::from_static(b": still here\n\n"))),
                                (journal, filter, newest, stopped),
                            ));
                        }
                    }
                }
            },
        );
        let mut reply = Self::new(StatusCode::OK, "text/event-stream", "");
        reply.body = StreamBody::new(frames).boxed_unsync();
        reply
    }
}
