//! Headers and bodies of HTTP requests and responses in the journal. They are masked when an entry is read.

use http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::journal::shown::shown;

/// Maximum length of a recorded body, in bytes. A longer body is recorded by its length only.
pub(crate) const MAX_BODY: usize = 16 * 1024;
/// Maximum length of the recorded headers of a message, in bytes. Further headers are omitted.
const MAX_HEADERS: usize = 4 * 1024;

/// Headers whose values are shown. All others can hold secrets.
const SHOWN_HEADERS: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "allow",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "origin",
    "retry-after",
    "sec-websocket-extensions",
    "sec-websocket-version",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// A request and its response, as far as they were not recorded when the head of the request arrived.
pub(crate) struct ExchangeRecord<'a> {
    /// Headers of the response as text, from [`header_lines`].
    pub(crate) headers: &'a str,
    /// Body of the request, from [`recorded`].
    pub(crate) request_body: &'a str,
    /// Body of the response, from [`recorded`].
    pub(crate) body: &'a str,
}

impl<'a> ExchangeRecord<'a> {
    /// Returns the parts: the headers, an empty line, the length of the first body, and both bodies.
    pub(crate) fn parts(&self, length: &'a str) -> [&'a str; 6] {
        [self.headers, "\n", length, "\n", self.request_body, self.body]
    }
}

/// Returns headers as lines `name: value`. Values that are not text, and values that can be secret, are replaced.
pub(crate) fn header_lines(headers: &HeaderMap) -> String {
    let mut lines = String::with_capacity(256);
    for (name, value) in headers {
        // The entry has the host without its port, which differs from run to run.
        if name == http::header::HOST {
            continue;
        }
        let is_shown = SHOWN_HEADERS.contains(&name.as_str());
        let value = value.to_str().ok().filter(|_| is_shown).unwrap_or("***");
        if lines.len() + name.as_str().len() + value.len() > MAX_HEADERS {
            break;
        }
        lines.extend([name.as_str(), ": ", value, "\n"]);
    }
    lines
}

/// Returns the headers of an entry as an object. Values of repeated headers are joined.
pub(crate) fn shown_headers(lines: &str) -> Value {
    let mut headers = Map::new();
    for (name, value) in lines.lines().filter_map(|line| line.split_once(": ")) {
        let value = match headers.get(name).and_then(Value::as_str) {
            Some(earlier) => format!("{earlier}, {value}"),
            None => value.to_owned(),
        };
        headers.insert(name.to_owned(), value.into());
    }
    headers.into()
}

/// Returns the text of a body to record. A long or binary body is recorded as an object with its length.
pub(crate) fn recorded(body: &[u8]) -> std::borrow::Cow<'_, str> {
    match str::from_utf8(body) {
        Ok(text) if text.len() <= MAX_BODY => text.into(),
        _ => json!({"bytes": body.len()}).to_string().into(),
    }
}

/// Returns the content of the entry of a response.
pub(crate) fn shown_exchange(rest: &str) -> Value {
    // Without headers, an empty line of a body must not be taken for the end of the headers.
    let (headers, bodies) = match rest.strip_prefix('\n') {
        Some(bodies) => ("", bodies),
        None => rest.split_once("\n\n").unwrap_or_default(),
    };
    let (length, bodies) = bodies.split_once('\n').unwrap_or_default();
    let length = length.parse::<usize>().unwrap_or_default();
    let (request_body, body) = bodies.split_at_checked(length).unwrap_or(("", bodies));
    json!({"headers": shown_headers(headers), "request_body": shown_body(request_body), "body": shown_body(body)})
}

/// Returns a body with masked secrets: JSON, the text of an error, or the length of any other text.
pub(crate) fn shown_body(body: &str) -> Value {
    match body {
        "" => Value::Null,
        text if text.starts_with(['{', '[']) => shown(text),
        text if text.starts_with("ERROR:") => text.into(),
        // Plain text can be a token.
        text => json!({"bytes": text.len()}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchange_is_restored_with_masked_secrets() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        headers.insert("set-cookie", "s1".parse().unwrap());
        let lines = header_lines(&headers);
        let exchange = ExchangeRecord {
            headers: &lines,
            request_body: r#"{"password":"s2","name":"Kim"}"#,
            body: r#"{"keys":{"k1":{"data":{"type":"string","string":"s3"}}}}"#,
        };
        let length = exchange.request_body.len().to_string();
        let content = shown_exchange(&exchange.parts(&length).concat());
        assert_eq!(
            content,
            json!({
                "headers": {"content-type": "application/json", "set-cookie": "***"},
                "request_body": {"password": "***", "name": "Kim"},
                "body": {"keys": {"k1": {"data": {"type": "string", "string": "***"}}}},
            })
        );
    }

    #[test]
    fn plain_text_and_long_bodies_are_recorded_by_length() {
        let none = ExchangeRecord { headers: "", request_body: "", body: "a-session-token" };
        let content = shown_exchange(&none.parts("0").concat());
        assert_eq!(content, json!({"headers": {}, "request_body": null, "body": {"bytes": 15}}));
        let blank_line = ExchangeRecord { body: "ERROR:a\n\nb", ..none };
        assert_eq!(shown_exchange(&blank_line.parts("0").concat())["body"], "ERROR:a\n\nb");
        assert_eq!(shown_body("ERROR:Bad password"), "ERROR:Bad password");
        assert_eq!(recorded(&[b'{'; MAX_BODY + 1]), format!(r#"{{"bytes":{}}}"#, MAX_BODY + 1));
        assert_eq!(recorded(&[0xff]), r#"{"bytes":1}"#);
    }
}
