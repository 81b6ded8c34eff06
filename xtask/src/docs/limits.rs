//! The generated page of limits, from the constants of the code.

use std::fmt::Write as _;
use std::fs;

use quote::ToTokens as _;
use syn::{BinOp, Expr, Item, Lit};

use super::generated::{cell, docs};
use crate::{Failure, root};

/// Sections of the page: heading, and the constants by file and name.
const SECTIONS: &[(&str, &[(&str, &str)])] = &[
    (
        "One connection",
        &[
            ("mock-cloud/src/server.rs", "MAX_HEAD"),
            ("mock-cloud/src/server/http/message.rs", "MAX_BODY"),
            ("mock-cloud/src/server/ws/types.rs", "MAX_MESSAGE"),
            ("mock-cloud/src/world/outbox.rs", "OUTBOX_CAPACITY"),
            ("mock-cloud/src/world/outbox.rs", "HIGH_WATER"),
            ("mock-cloud/src/server.rs", "HANDSHAKE_TIME"),
            ("mock-cloud/src/server.rs", "HEAD_TIME"),
            ("mock-cloud/src/server/http.rs", "BODY_TIME"),
            ("mock-cloud/src/server/ws/write.rs", "WRITE_TIME"),
        ],
    ),
    (
        "One user or account",
        &[("mock-cloud/src/world/accounts.rs", "MAX_RECORD"), ("mock-cloud/src/server/control/users.rs", "LONGEST")],
    ),
    (
        "One hub",
        &[
            ("crates/ezlo-hub-sim/src/hub.rs", "MAX_DEVICES"),
            ("crates/ezlo-hub-sim/src/hub.rs", "MAX_ROOMS"),
            ("crates/ezlo-hub-sim/src/hub.rs", "MAX_SCENES"),
            ("crates/ezlo-hub-sim/src/hub.rs", "MAX_SCENE_BYTES"),
            ("crates/ezlo-hub-sim/src/hub/scenes.rs", "MAX_CONDITIONS"),
            ("crates/ezlo-hub-sim/src/hub.rs", "BUS_LIMIT"),
            ("crates/ezlo-hub-sim/src/hub/dictionary.rs", "MAX_ELEMENTS"),
            ("crates/ezlo-hub-sim/src/hub/groups.rs", "MAX_GROUPS"),
            ("crates/ezlo-hub-sim/src/hub/expressions.rs", "MAX_EXPRESSIONS"),
            ("crates/ezlo-hub-sim/src/state/newer.rs", "MAX_ENTRY"),
            ("crates/ezlo-hub-sim/src/hub/expressions.rs", "MAX_SCRIPTS"),
            ("crates/ezlo-hub-sim/src/hub/expressions.rs", "MAX_SCRIPT"),
            ("crates/ezlo-hub-sim/src/hub/scene_run.rs", "MAX_RUNS"),
            ("crates/ezlo-hub-sim/src/state/scene_work.rs", "MAX_ACTIONS"),
            ("crates/ezlo-hub-sim/src/state/scene_work.rs", "MAX_ACTION_BYTES"),
            ("mock-cloud/src/world/hub_actor/subscribers.rs", "MAX_SUBSCRIBERS"),
            ("mock-cloud/src/world/hub_actor.rs", "OPEN_REQUESTS"),
        ],
    ),
    (
        "One cloud",
        &[
            ("mock-cloud/src/world.rs", "MAX_HUBS"),
            ("mock-cloud/src/world.rs", "MAX_REGISTERED_HUBS"),
            ("mock-cloud/src/world/accounts.rs", "MAX_USERS"),
            ("mock-cloud/src/world/sessions.rs", "MAX_SESSIONS"),
            ("mock-cloud/src/journal/ring.rs", "MOST_ENTRIES"),
            ("mock-cloud/src/journal/ring.rs", "MOST_BYTES"),
            ("mock-cloud/src/server/control/worlds.rs", "MOST_COPIES"),
            ("mock-cloud/src/server/control/worlds.rs", "MOST_STATES"),
            ("mock-cloud/src/world/outbound_http.rs", "MAX_CALLS"),
            ("mock-cloud/src/world/outbound_http.rs", "MAX_ANSWER"),
            ("crates/ezlo-hub-sim/src/world_file.rs", "MAX_BYTES"),
        ],
    ),
    (
        "The process",
        &[
            ("mock-cloud/src/core/process_limits.rs", "MAX_QUEUED_BYTES"),
            ("mock-cloud/src/core/process_limits.rs", "QUEUE_STEP"),
            ("mock-cloud/src/core/process_limits.rs", "MAX_SCENE_BYTES"),
        ],
    ),
    (
        "The SDK",
        &[
            ("crates/ezlo-relay/src/transport.rs", "MAX_MESSAGE"),
            ("crates/ezlo/src/model.rs", "MAX_DEVICES"),
            ("crates/ezlo/src/model.rs", "MAX_ITEMS"),
            ("crates/ezlo/src/model.rs", "MAX_ROOMS"),
            ("crates/ezlo/src/model.rs", "MAX_SCENES"),
            ("crates/ezlo/src/sync.rs", "MAX_GROWTH"),
            ("crates/ezlo/src/sync.rs", "EVENTS"),
            ("crates/ezlo/src/sync.rs", "EVENT_BYTES"),
            ("crates/ezlo/src/sync.rs", "MEANWHILE"),
            ("crates/ezlo/src/sync.rs", "MEANWHILE_BYTES"),
        ],
    ),
];

pub(super) fn page() -> Result<String, Failure> {
    let mut text = "# Limits\n\n`cargo xtask docs --write` generates this page from the constants of the code.\n\n\
        Every queue, list and message has a limit, so a client cannot fill the memory of the simulator. A request above a limit is refused\n\
        with an error. A connection whose queue is full is closed with code 1013.\n\n\
        Numbers of connections depend on the limit of file descriptors: a listener accepts 60 % of it, all listeners together 80 %, and the\n\
        control API has 10 % of its own.\n\n\
        The settings of the SDK are in [`SessionConfig`](sdk.md): `event_capacity` and `event_bytes` limit the events of a slow subscriber.\n"
        .to_owned();
    for (heading, limits) in SECTIONS {
        let _ = write!(text, "\n## {heading}\n\n| limit | value |\n|---|---|\n");
        for (file, name) in *limits {
            text += &row(file, name)?;
        }
    }
    Ok(text)
}

fn row(file: &str, name: &str) -> Result<String, Failure> {
    let path = root().join(file);
    let source = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let parsed = syn::parse_file(&source).map_err(|error| format!("{}: {error}", path.display()))?;
    let found = parsed.items.iter().find_map(|item| match item {
        Item::Const(item) if item.ident == name => Some(item),
        _ => None,
    });
    let item = found.ok_or_else(|| format!("{file} has no constant {name}"))?;
    let meaning = docs(&item.attrs);
    if meaning.is_empty() {
        return Err(format!("{name} in {file} has no documentation").into());
    }
    let value = value(&item.expr).ok_or_else(|| format!("{name} in {file} is not a number or a time"))?;
    Ok(format!("| {} | {value} |\n", cell(&meaning)))
}

/// Returns the value of a constant in words.
fn value(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Tuple(tuple) => {
            let parts: Option<Vec<_>> = tuple.elems.iter().map(value).collect();
            parts.map(|parts| parts.join(" and "))
        }
        Expr::Call(call) if call.func.to_token_stream().to_string().ends_with("from_secs") => {
            call.args.first().and_then(number).map(|seconds| format!("{seconds} s"))
        }
        other => number(other).map(grouped),
    }
}

fn number(expression: &Expr) -> Option<u64> {
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => number.base10_parse().ok(),
            _ => None,
        },
        Expr::Binary(binary) => {
            let (left, right) = (number(&binary.left)?, number(&binary.right)?);
            match binary.op {
                BinOp::Mul(_) => left.checked_mul(right),
                BinOp::Shl(_) => left.checked_shl(u32::try_from(right).ok()?),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Writes a number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_constants_are_computed() {
        let value = |text: &str| value(&syn::parse_str(text).unwrap());
        assert_eq!(value("16 * 1024 * 1024").as_deref(), Some("16,777,216"));
        assert_eq!(value("1 << 20").as_deref(), Some("1,048,576"));
        assert_eq!(value("(128, 1024)").as_deref(), Some("128 and 1,024"));
        assert_eq!(value("Duration::from_secs(90)").as_deref(), Some("90 s"));
        assert_eq!((value("other()"), value("100").as_deref()), (None, Some("100")));
    }
}
