//! ID (RFC 2971): says who we are and notes what the client says it is, for support and letters; also where
//! that comes after the login.

use crate::imap::reply::Reply;
use crate::imap::session::Session;
use admission::{Told, Visit};

/// How much of what a client calls itself goes into the log.
const LOGGED_BYTES_MAX: usize = 100;

pub(super) fn run(session: &mut Session, pairs: &[(Vec<u8>, Option<Vec<u8>>)]) -> Reply {
    let (name, version) = (value_of(pairs, b"name"), value_of(pairs, b"version"));
    if !name.is_empty() {
        tracing::debug!(target: "imap", name, version, "client identified itself");
    }
    note(session, pairs);
    let settings = &session.wire.context.settings;
    let answer = format!(
        "* ID (\"name\" \"{}\" \"version\" \"{}\")\r\n",
        settings.product_name, settings.product_version
    );
    session.wire.out().extend_from_slice(answer.as_bytes());
    Reply::ok("Nice to meet you.")
}

fn note(session: &mut Session, pairs: &[(Vec<u8>, Option<Vec<u8>>)]) {
    let value = |field: &[u8]| {
        let mut named = pairs
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(field));
        named.find_map(|(_, value)| Told::value(value.as_deref()?))
    };
    // Apps of Android use the TLS of the system, so that its version says what they can.
    let id_os = match (value(b"os"), value(b"os-version")) {
        (Some(os), Some(version)) => Told::value(format!("{os} {version}").as_bytes()),
        (os, _) => os,
    };
    let told = Told {
        id_name: value(b"name"),
        id_version: value(b"version"),
        id_os,
        ..Told::default()
    };
    if told == Told::default() {
        return;
    }
    let before = session.told.replace(Box::new(told));
    if let Some(identity) = session.state.identity() {
        let before = Visit::of(&session.wire.connection, before.as_deref());
        let after = session.visit();
        let desk = &session.wire.context.desk;
        desk.recognised(&before, &after, identity);
    }
}

fn value_of(pairs: &[(Vec<u8>, Option<Vec<u8>>)], field: &[u8]) -> String {
    pairs
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(field))
        .and_then(|(_, value)| value.as_deref())
        .map(|value| {
            let value = value.get(..LOGGED_BYTES_MAX).unwrap_or(value);
            String::from_utf8_lossy(value).escape_default().to_string()
        })
        .unwrap_or_default()
}
