//! The tables of policy. Keys begin with the scope or the account; the installation's own few rows
//! (settings for everybody, counters) have none.

use platform::store::{Component, Migration};

/// What `Store::open` is given for this crate.
pub const SCHEMA: Component = Component {
    name: "policy",
    migrations: &[SETTINGS, MEASURES, FINDING_SERVERS],
};

const SETTINGS: Migration = Migration {
    number: 1,
    name: "settings, their history, findings, identities, usage",
    // scope_kind: 0 installation, 1 group, 2 domain, 3 account. item: what of the name, such as
    // the destination of a rule; empty for most names. Days count from 1970-01-01, other times
    // are milliseconds. A consent to inbound TLS is the text_version of a row of the history.
    sql: "
CREATE TABLE policy_numbers (
    name {text} NOT NULL PRIMARY KEY,
    value {int} NOT NULL
) {clustered};
INSERT INTO policy_numbers (name, value) VALUES ('revision', 1), ('last_change', 0);
CREATE TABLE policy_settings (
    scope_kind {int} NOT NULL,
    scope {text} NOT NULL,
    name {text} NOT NULL,
    item {text} NOT NULL,
    value {text} NOT NULL,
    expires_at {int},
    changed_at {int} NOT NULL,
    changed_by {text} NOT NULL,
    reason {text} NOT NULL,
    consent {text},
    PRIMARY KEY (scope_kind, scope, name, item)
) {clustered};
CREATE TABLE policy_changes (
    scope_kind {int} NOT NULL,
    scope {text} NOT NULL,
    change {int} NOT NULL,
    name {text} NOT NULL,
    item {text} NOT NULL,
    value_before {text},
    value_after {text},
    changed_at {int} NOT NULL,
    changed_by {text} NOT NULL,
    reason {text} NOT NULL,
    consent {text},
    PRIMARY KEY (scope_kind, scope, change)
) {clustered};
CREATE TABLE policy_findings (
    account {int} NOT NULL,
    measure {text} NOT NULL,
    detail {text} NOT NULL,
    seen {int} NOT NULL,
    first_day {int} NOT NULL,
    last_day {int} NOT NULL,
    PRIMARY KEY (account, measure, detail)
) {clustered};
CREATE TABLE policy_identities (
    account {int} NOT NULL,
    domain {text} NOT NULL,
    local {text} NOT NULL,
    kind {int} NOT NULL,
    code_hash {bytes},
    attempts {int} NOT NULL,
    expires_at {int},
    created_at {int} NOT NULL,
    created_by {text} NOT NULL,
    reason {text} NOT NULL,
    PRIMARY KEY (account, domain, local)
) {clustered};
CREATE TABLE policy_usage (
    scope_kind {int} NOT NULL,
    scope {text} NOT NULL,
    measure {int} NOT NULL,
    period {int} NOT NULL,
    used {int} NOT NULL,
    PRIMARY KEY (scope_kind, scope, measure)
) {clustered};
CREATE TABLE policy_recipients (
    account {int} NOT NULL,
    recipient {int} NOT NULL,
    last_day {int} NOT NULL,
    PRIMARY KEY (account, recipient)
) {clustered}",
};

/// owner: who answers for an exception. expires_before: when what was set before a change would have ended.
/// A node writes which revision of the settings it holds, when it last saw that no newer one is there
/// (current_at), when it last wrote (seen_at), and why it cannot read newer ones.
const MEASURES: Migration = Migration {
    number: 2,
    name: "exceptions and their owners, and what each node holds",
    sql: "
ALTER TABLE policy_settings ADD COLUMN owner {text};
ALTER TABLE policy_changes ADD COLUMN expires_before {int};
CREATE TABLE policy_nodes (
    node {text} NOT NULL PRIMARY KEY,
    revision {int} NOT NULL,
    current_at {int} NOT NULL,
    seen_at {int} NOT NULL,
    trouble {text}
) {clustered}",
};

/// What measures found of mail that other servers brought. Days count from 1970-01-01. theirs: a host name and the
/// domain of the envelope's sender.
const FINDING_SERVERS: Migration = Migration {
    number: 3,
    name: "what measures found of mail of other servers",
    sql: "
CREATE TABLE policy_finding_servers (
    measure {text} NOT NULL,
    ours {text} NOT NULL,
    theirs {text} NOT NULL,
    seen {int} NOT NULL,
    first_day {int} NOT NULL,
    last_day {int} NOT NULL,
    PRIMARY KEY (measure, ours, theirs)
) {clustered}",
};
