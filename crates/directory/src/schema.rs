//! The tables of the directory. Keys begin with the domain or the account, so that a distributed
//! engine can shard them; only the installation's own few rows (groups, counters) have no owner.

use platform::store::{Component, Migration};

/// What `Store::open` is given for this crate.
pub const SCHEMA: Component = Component {
    name: "directory",
    migrations: &[
        Migration {
            number: 1,
            name: "domains, accounts, addresses, credentials",
            sql: "
CREATE TABLE directory_numbers (
    name {text} NOT NULL PRIMARY KEY,
    value {int} NOT NULL
) {clustered};
INSERT INTO directory_numbers (name, value) VALUES ('revision', 1), ('last_account', 0);
CREATE TABLE directory_secrets (
    name {text} NOT NULL PRIMARY KEY,
    value {bytes} NOT NULL
) {clustered};
CREATE TABLE directory_groups (
    name {text} NOT NULL PRIMARY KEY,
    description {text} NOT NULL
) {clustered};
CREATE TABLE directory_domains (
    domain {text} NOT NULL PRIMARY KEY,
    status {int} NOT NULL,
    group_name {text},
    catch_all {text},
    contact {text},
    created {int} NOT NULL
) {clustered};
CREATE TABLE directory_addresses (
    domain {text} NOT NULL,
    local {text} NOT NULL,
    account {int},
    PRIMARY KEY (domain, local)
) {clustered};
CREATE TABLE directory_targets (
    domain {text} NOT NULL,
    local {text} NOT NULL,
    target {text} NOT NULL,
    PRIMARY KEY (domain, local, target)
) {clustered};
CREATE INDEX directory_targets_reverse ON directory_targets (target);
CREATE TABLE directory_accounts (
    account {int} NOT NULL PRIMARY KEY,
    domain {text} NOT NULL,
    local {text} NOT NULL,
    status {int} NOT NULL,
    group_name {text},
    pop3_delete {int} NOT NULL,
    created {int} NOT NULL,
    password {text},
    scram_salt {bytes} NOT NULL,
    scram_iterations {int} NOT NULL,
    scram_stored_key {bytes},
    scram_server_key {bytes},
    credential_revision {int} NOT NULL
) {clustered};
CREATE TABLE directory_app_passwords (
    account {int} NOT NULL,
    label {text} NOT NULL,
    hash {text} NOT NULL,
    scram_stored_key {bytes},
    scram_server_key {bytes},
    created {int} NOT NULL,
    last_used_day {int},
    PRIMARY KEY (account, label)
) {clustered}",
        },
        Migration {
            number: 2,
            name: "what app passwords may be used for",
            // limits: the text form of password::AppLimits, NULL for none. Then the hour and the day
            // (since 1970, UTC) of the last message sent with it, and how many there were in them.
            sql: "
ALTER TABLE directory_app_passwords ADD COLUMN limits {text};
ALTER TABLE directory_app_passwords ADD COLUMN sent_hour {int} NOT NULL DEFAULT 0;
ALTER TABLE directory_app_passwords ADD COLUMN sent_in_hour {int} NOT NULL DEFAULT 0;
ALTER TABLE directory_app_passwords ADD COLUMN sent_day {int} NOT NULL DEFAULT 0;
ALTER TABLE directory_app_passwords ADD COLUMN sent_in_day {int} NOT NULL DEFAULT 0",
        },
    ],
};
