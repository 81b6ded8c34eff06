//! Former names. Input that uses one is rejected with an error that states the present name.

/// A former name and its present one.
pub(crate) type Renamed = (&'static str, &'static str);

/// Keys of a configuration file.
pub(crate) const CONFIG_KEYS: &[Renamed] = &[
    ("guesses", "`assumptions`"),
    ("access_point_beside_network", "`access_point_always_open`"),
    ("living_houses", "`simulate_behaviours`"),
    ("scene_http_anywhere", "`allow_external_scene_http`"),
    ("rtos_malformed_every", "`rtos_truncate_every_nth_reply`"),
    ("only_proven", "`min_evidence`"),
    ("framing", "was removed: one library reads and writes all WebSocket frames"),
];

/// Kinds of journal entries.
pub(crate) const JOURNAL_KINDS: &[Renamed] = &[
    ("spared", "`fault-skipped`"),
    ("closed", "`peer-closed`"),
    ("ignored", "`unknown-fields`"),
    ("unanswered", "`unmatched`"),
];

/// Names of faults.
pub(crate) const FAULTS: &[Renamed] = &[
    ("slices", "`fragment_writes`"),
    ("half_open", "`unresponsive`"),
    ("storm", "`broadcast_storm`"),
    ("slow_head", "`slow_headers`"),
    ("foreign_answer", "`unsolicited_reply`"),
    ("no_answer", "`drop_reply`"),
    ("refuse", "`connection_refused`"),
];

/// Paths of control calls.
pub(crate) const CONTROL_CALLS: &[Renamed] = &[
    ("POST /hubs/{}/restart", "`POST /hubs/{serial}/reboot`"),
    ("POST /hubs/{}/internet", "`POST /hubs/{serial}/offline`"),
    ("POST /worlds", "`POST /worlds/0/fork`"),
];

/// Returns the present name of `former`, or `None` if it is not in the table.
pub(crate) fn present(table: &[Renamed], former: &str) -> Option<&'static str> {
    table.iter().find(|(old, _)| *old == former).map(|(_, new)| *new)
}

/// Adds the present name to a parser's error that quotes a former one in backticks.
pub(crate) fn explain(table: &[Renamed], error: String) -> String {
    let Some(former) = error.split('`').nth(1) else { return error };
    match present(table, former) {
        Some(new) if new.starts_with("was removed") => format!("{error}\n`{former}` {new}"),
        Some(new) => format!("{error}\n`{former}` is now {new}"),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_about_a_removed_key_says_so() {
        let text = explain(CONFIG_KEYS, "unknown field `framing`, expected one of `bind`".into());
        assert!(text.ends_with("\n`framing` was removed: one library reads and writes all WebSocket frames"), "{text}");
    }

    #[test]
    fn an_error_about_a_former_name_states_the_present_one() {
        let error = explain(CONFIG_KEYS, "unknown field `guesses`, expected `bind`".into());
        assert_eq!(error, "unknown field `guesses`, expected `bind`\n`guesses` is now `assumptions`");
        assert_eq!(explain(CONFIG_KEYS, "unknown field `sede`".into()), "unknown field `sede`");
        assert_eq!(explain(CONFIG_KEYS, "expected a string".into()), "expected a string");
    }
}
