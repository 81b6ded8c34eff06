//! A keep-alive HTTP connection with one request in flight.

use std::sync::Arc;

use super::{Side, Tally};

pub(crate) struct Asker {
    requests: Arc<Vec<Vec<u8>>>,
    at: usize,
}

impl Asker {
    /// Creates a connection that sends these requests in turn, each after the previous response.
    pub(crate) const fn new(requests: Arc<Vec<Vec<u8>>>) -> Self {
        Self { requests, at: 0 }
    }

    fn ask(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.requests[self.at % self.requests.len()]);
        self.at += 1;
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Returns the length of the first response, or `None` if it is incomplete.
///
/// # Errors
/// If the status is not 200 or the header `content-length` is missing.
pub(crate) fn answer_length(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(head) = find(bytes, b"\r\n\r\n").map(|at| at + 4) else { return Ok(None) };
    if !bytes.starts_with(b"HTTP/1.1 200") {
        return Err(String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned());
    }
    let text = std::str::from_utf8(&bytes[..head]).map_err(|error| error.to_string())?;
    let length = text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok()).flatten()
    });
    let whole = head + length.ok_or("the response has no content-length")?;
    Ok((bytes.len() >= whole).then_some(whole))
}

impl Side for Asker {
    fn greet(&mut self, out: &mut Vec<u8>) {
        self.ask(out);
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>, tally: &mut Tally) -> Result<usize, String> {
        let Some(length) = answer_length(bytes)? else { return Ok(0) };
        if self.at == 1 {
            tally.ready += 1;
        }
        tally.done += 1;
        self.ask(out);
        Ok(length)
    }
}
