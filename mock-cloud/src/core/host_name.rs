//! Syntax of host names.

use std::net::IpAddr;

/// Checks that `name` is an IP address or a DNS name, optionally with `*` as its first label.
///
/// # Errors
///
/// Returns the text of the refusal for any other name.
pub(crate) fn check_host_name(name: &str) -> Result<(), String> {
    if name.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let plain = name.strip_prefix("*.").unwrap_or(name);
    if plain.len() <= 253 && plain.split('.').all(label) {
        return Ok(());
    }
    Err(format!("{name:?} is neither a host name nor an IP address"))
}
