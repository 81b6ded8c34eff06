//! The journal as a stream.

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
use crate::server::http::Reply;
use crate::server::ws::connection;

/// Entries that a follower gets in one piece.
const FOLLOWED_AT_ONCE: usize = 256;
/// How often a follower to whom nothing is said hears that it is still followed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

impl Reply {
    /// Entries of the journal as server-sent events, from those that are there to those that come, until the caller goes. A
    /// gap is told: who reads more slowly than the journal forgets has lost something. A comment now and then finds out that
    /// the caller has gone.
    pub(crate) fn events(journal: Arc<Journal>, filter: Filter, stopped: watch::Receiver<bool>) -> Self {
        let newest = journal.newest();
        let frames = stream::unfold(
            (journal, filter, newest, stopped),
            |(journal, mut filter, mut newest, stopped)| async move {
                loop {
                    let seen = *newest.borrow_and_update();
                    let lost = journal.lost_since(filter.since);
                    let entries = journal.entries(&filter, FOLLOWED_AT_ONCE);
                    let last = entries.last().map_or(filter.since, |last| last.seq);
                    filter.since = if entries.len() < FOLLOWED_AT_ONCE { last.max(seen) } else { last };
                    let gap = lost.map(|lost| format!("event: gap\ndata: {{\"lost\": {lost}}}\n\n"));
                    let events = entries.iter().map(|entry| format!("id: {}\ndata: {}\n\n", entry.seq, line(entry)));
                    let text: String = gap.into_iter().chain(events).collect();
                    if !text.is_empty() {
                        return Some((Ok(Frame::data(Bytes::from(text))), (journal, filter, newest, stopped)));
                    }
                    let news = async {
                        tokio::select! {
                            changed = newest.changed() => changed.ok(),
                            () = connection::ended(stopped.clone()) => None,
                        }
                    };
                    match tokio::time::timeout(SIGN_OF_LIFE, news).await {
                        Ok(changed) => changed?,
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
