//! The tables of connections: how accounts connected, exposed passwords, regressions, where accounts came
//! from in the last days, failures nobody could be named for, and the trend of previews.

use platform::store::{Component, Migration};

/// What `Store::open` is given for `connections`, `exposed`, `regression` and `impact`.
pub const SCHEMA: Component = Component {
    name: "policy-connections",
    migrations: &[Migration {
        number: 1,
        name: "connections, origins, exposed passwords, regressions, trend",
        // Days count from 1970-01-01 (UTC), other times are milliseconds. tls: 0 none, 10, 11, 12, 13.
        // believed: 1 the account itself, 0 somebody who named it. settled: 1 mended since.
        // policy_origins is the only table with addresses; its rows go after seven days.
        sql: "
CREATE TABLE policy_connections (
    account {int} NOT NULL,
    service {text} NOT NULL,
    client {text} NOT NULL,
    port {int} NOT NULL,
    encryption {text} NOT NULL,
    door {text} NOT NULL,
    tls {int} NOT NULL,
    cipher {text} NOT NULL,
    outcome {text} NOT NULL,
    believed {int} NOT NULL,
    settled {int} NOT NULL,
    seen {int} NOT NULL,
    first_day {int} NOT NULL,
    last_day {int} NOT NULL,
    PRIMARY KEY (account, service, client, port, encryption, door, tls, cipher, outcome)
) {clustered};
CREATE INDEX policy_connections_by_tls ON policy_connections (service, door, tls);
CREATE TABLE policy_origins (
    address {bytes} NOT NULL,
    account {int} NOT NULL,
    last_at {int} NOT NULL,
    PRIMARY KEY (address, account)
) {clustered};
CREATE INDEX policy_origins_by_account ON policy_origins (account, last_at);
CREATE INDEX policy_origins_by_age ON policy_origins (last_at);
CREATE TABLE policy_strangers (
    day {int} NOT NULL,
    service {text} NOT NULL,
    outcome {text} NOT NULL,
    encryption {text} NOT NULL,
    tls {int} NOT NULL,
    client {text} NOT NULL,
    seen {int} NOT NULL,
    PRIMARY KEY (day, service, outcome, encryption, tls, client)
) {clustered};
CREATE TABLE policy_exposed (
    account {int} NOT NULL PRIMARY KEY,
    service {text} NOT NULL,
    credential_revision {int} NOT NULL,
    believed {int} NOT NULL,
    seen {int} NOT NULL,
    first_day {int} NOT NULL,
    last_day {int} NOT NULL
) {clustered};
CREATE TABLE policy_regressions (
    account {int} NOT NULL PRIMARY KEY,
    day {int} NOT NULL,
    service {text} NOT NULL,
    client {text} NOT NULL,
    port {int} NOT NULL,
    encryption {text} NOT NULL,
    door {text} NOT NULL,
    tls {int} NOT NULL,
    cipher {text} NOT NULL,
    outcome {text} NOT NULL,
    noticed_at {int}
) {clustered};
CREATE TABLE policy_trend (
    measure {text} NOT NULL,
    day {int} NOT NULL,
    accounts {int} NOT NULL,
    domains {int} NOT NULL,
    PRIMARY KEY (measure, day)
) {clustered}",
    }],
};
