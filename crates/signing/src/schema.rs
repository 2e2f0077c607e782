//! The tables of signing. Keys of domains begin with the domain. Private keys are sealed; nothing here is of use
//! without the installation secret, which is not in the store.

use platform::store::{Component, Migration};

/// What `Store::open` is given for this crate.
pub const SCHEMA: Component = Component {
    name: "signing",
    migrations: &[Migration {
        number: 1,
        name: "keys of domains",
        sql: "
CREATE TABLE signing_numbers (
    name {text} NOT NULL PRIMARY KEY,
    value {int} NOT NULL
) {clustered};
INSERT INTO signing_numbers (name, value) VALUES ('revision', 1);
CREATE TABLE signing_marks (
    name {text} NOT NULL PRIMARY KEY,
    value {bytes} NOT NULL
) {clustered};
CREATE TABLE signing_keys (
    domain {text} NOT NULL,
    selector {text} NOT NULL,
    algorithm {int} NOT NULL,
    state {int} NOT NULL,
    sealed {bytes},
    public_key {bytes} NOT NULL,
    created {int} NOT NULL,
    seen {int},
    seen_ttl {int},
    activated {int},
    retired {int},
    checked {int},
    publication {int} NOT NULL,
    finding {text} NOT NULL,
    PRIMARY KEY (domain, selector)
) {clustered};
CREATE INDEX signing_keys_due ON signing_keys (state, checked)",
    }],
};
