//! What a node's own file may say: one typed line per setting, with default, limits, when it is
//! read, and its meaning. The sample file and the reference page are made from these lines.
//! The file holds only what a node needs before it can open the store; the rest is in the store.

mod file;
mod listeners;
mod reference;
mod types;

pub(crate) use file::{Problem, load};
pub(crate) use listeners::Listener;
pub(crate) use listeners::{Mode, Profile, Role};
pub(crate) use reference::{reference_page, sample_file};
pub(crate) use types::{
    Bytes, Choice, Count, HostName, Name, Network, Networks, Raw, Span, StoreEngine, Switch, Value,
    Words,
};

use std::path::PathBuf;

/// When a changed setting takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// At the start of the program.
    AtStart,
    /// At the start of each connection, after `rohrpost reload`.
    PerConnection,
}

impl Read {
    /// In words, for the reference page.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::AtStart => "at the start of the program",
            Self::PerConnection => "at the start of each connection",
        }
    }
}

/// One setting as the reference page shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Description {
    /// `section.name`.
    pub name: &'static str,
    /// The type in words, with unit.
    pub kind: &'static str,
    /// As written in the file.
    pub default: &'static str,
    /// Smallest and largest, where the type has an order.
    pub limits: Option<(&'static str, &'static str)>,
    /// When it is read.
    pub read: Read,
    /// What it is for.
    pub doc: &'static str,
}

macro_rules! settings {
    ($($name:literal $field:ident: $type:ty = $default:literal
        $(in $min:literal ..= $max:literal)?, $read:ident, $doc:literal;)*) => {
        /// Every setting, resolved: typed, within its limits, defaults filled in.
        #[derive(Debug, Clone)]
        pub(crate) struct Settings {
            $(#[doc = $doc] pub $field: $type,)*
            /// Where connections are taken; see `[[listener]]`.
            pub listeners: Vec<Listener>,
        }

        /// All settings in the order of the sample file.
        pub(crate) const DESCRIPTIONS: &[Description] = &[
            $(Description {
                name: $name,
                kind: <$type as Value>::KIND,
                default: $default,
                limits: settings!(@limits $($min, $max)?),
                read: Read::$read,
                doc: $doc,
            },)*
        ];

        impl Settings {
            /// From written values; every setting that is not written has its default.
            fn resolve(written: &file::Written) -> Result<Self, Vec<Problem>> {
                let mut problems = Vec::new();
                $(let $field = written.value::<$type>(
                    $name, $default, settings!(@limits $($min, $max)?), &mut problems,
                );)*
                let listeners = listeners::resolve(written, &mut problems);
                match ($($field,)*) {
                    ($(Some($field),)*) if problems.is_empty() => Ok(Self { $($field,)* listeners }),
                    _ => Err(problems),
                }
            }
        }
    };
    (@limits $min:literal, $max:literal) => { Some(($min, $max)) };
    (@limits) => { None };
}

settings! {
    "node.host_name" host_name: HostName = "\"mail.example.org\"", AtStart,
        "The name this node says in greetings, Received lines and notices. Peers look it up, so it should resolve to this machine.";
    "node.data_dir" data_dir: PathBuf = "\"/var/lib/rohrpost\"", AtStart,
        "Where the embedded store, message segments, temporary files and the control socket lie. One node per directory.";
    "node.connections_max" connections_max: Count = "20000" in "16" ..= "1000000", AtStart,
        "Connections of all listeners together. Past it new ones are closed at once, so that existing ones keep working.";
    "node.connections_per_address_max" connections_per_address_max: Count = "100" in "1" ..= "100000", AtStart,
        "Connections from one IPv4 address or one IPv6 /64 network. Offices behind one address need some dozens.";
    "store.engine" store_engine: Choice<types::StoreEngine> = "\"sqlite\"", AtStart,
        "Where rows are kept: \"sqlite\" (a file in the data directory) or \"postgresql\" (see store.url).";
    "store.url" store_url: Name = "\"\"", AtStart,
        "PostgreSQL connection, for example \"host=/run/postgresql user=rohrpost dbname=rohrpost\". Only read with store.engine = \"postgresql\".";
    "store.readers" store_readers: Count = "2" in "1" ..= "64", AtStart,
        "Connections that only read. More than the number of cores rarely helps.";
    "store.gather_time_max" store_gather_time_max: Span = "\"4 ms\"" in "0 ms" ..= "20 ms", AtStart,
        "How long a commit waits for other sessions that are about to finish a message, so that they share one flush to disk. 0 ms turns it off.";
    "store.segment_size" segment_size: Bytes = "\"256 MiB\"" in "1 MiB" ..= "4 GiB", AtStart,
        "Size at which a file of message bytes is closed and a new one begun.";
    "tls.certificate_dir" certificate_dir: PathBuf = "\"/etc/rohrpost/tls\"", AtStart,
        "Certificates and keys in PEM: NAME.crt and NAME.key, several pairs may serve one host name (ECDSA and RSA side by side). `rohrpost reload` reads them again.";
    "tls.prefer_server_order" prefer_server_order: Switch = "true", AtStart,
        "Whether the order of cipher suites is ours (true) or the client's.";
    "tls.handshake_time_max" handshake_time_max: Span = "\"30 s\"" in "1 s" ..= "5 min", AtStart,
        "How long a TLS handshake may take.";
    "tls.ca_file" ca_file: types::MaybePath = "\"\"", AtStart,
        "Certificates (PEM) trusted for connections to other servers. Empty: the system's.";
    "tls.mta_sts_port" mta_sts_port: Count = "443" in "1" ..= "65535", AtStart,
        "The port of the hosts that MTA-STS policies are fetched from. Another one than 443 is for tests only.";
    "smtp.message_size_max" message_size_max: Bytes = "\"50 MiB\"" in "64 KiB" ..= "1 GiB", PerConnection,
        "Largest message taken, as announced with SIZE (RFC 1870).";
    "smtp.recipients_max" recipients_max: Count = "1000" in "100" ..= "50000", PerConnection,
        "Recipients of one message (RFC 5321 section 4.5.3.1.8 demands at least 100).";
    "smtp.idle_time_max" smtp_idle_time_max: Span = "\"5 min\"" in "10 s" ..= "1 h", PerConnection,
        "How long the server waits for the next command (RFC 5321 section 4.5.3.2.7: at least 5 minutes in normal operation).";
    "smtp.message_memory" message_memory: Bytes = "\"1 MiB\"" in "64 KiB" ..= "64 MiB", PerConnection,
        "How much of one message is held in memory while it arrives; the rest goes to a temporary file.";
    "smtp.message_memory_total" message_memory_total: Bytes = "\"256 MiB\"" in "8 MiB" ..= "64 GiB", AtStart,
        "The same for all sessions together.";
    "smtp.test_peers" test_peers: Networks = "[]", AtStart,
        "Addresses that may use XCLIENT. For tests only; empty in production.";
    "directory.subaddress_separator" subaddress_separator: Name = "\"+\"", AtStart,
        "The character that separates a detail from the local part (anna+list@…). Empty: no details.";
    "directory.postmaster" postmaster: types::MaybeAddress = "\"\"", AtStart,
        "The account that gets mail for postmaster@ and abuse@ of domains that name no contact of their own. Empty: the account that was made first.";
    "login.never_slowed" never_slowed: Networks = "[]", AtStart,
        "Addresses that never wait after wrong passwords: your own offices, proxies, monitoring. Everybody else waits longer after each different wrong password, per account and address block.";
    "login.workers" login_workers: Count = "2" in "1" ..= "64", AtStart,
        "Threads that check passwords. Each needs 19 MiB while it works.";
    "login.remember_time" login_remember_time: Span = "\"5 min\"" in "0 s" ..= "1 h", AtStart,
        "How long a correct login is remembered (as a keyed digest in memory), so that a client that connects often costs little.";
    "pop3.idle_time_max" pop3_idle_time_max: Span = "\"10 min\"" in "10 min" ..= "1 h", PerConnection,
        "How long a POP3 session may be silent (RFC 1939 section 3: at least 10 minutes).";
    "queue.attempts_max" attempts_max: Count = "300" in "1" ..= "10000", AtStart,
        "Messages handed to other servers at the same time.";
    "queue.attempts_per_domain_max" attempts_per_domain_max: Count = "20" in "1" ..= "1000", AtStart,
        "The most to one domain. Begins with 5, grows while the domain answers, halves when it asks to slow down.";
    "queue.entries_max" queue_entries_max: Count = "2000000" in "10000" ..= "100000000", AtStart,
        "Waiting pairs of message and domain held in memory, about 40 bytes each. More wait in the store until there is room; nothing is lost or refused by it.";
    "queue.next_hop" next_hop: Name = "\"\"", AtStart,
        "A server that takes all outgoing mail, as \"host:port\". Empty: the MX of each domain.";
    "queue.smtp_port" smtp_port: Count = "25" in "1" ..= "65535", AtStart,
        "The port of other domains' mail exchangers. Another one than 25 is for tests only.";
    "queue.forbidden_networks" forbidden_networks: Networks = "[\"169.254.0.0/16\", \"fe80::/10\"]", AtStart,
        "Networks that mail is never sent to and policies are never fetched from, whatever the DNS says. Add the internal networks that this host reaches (10.0.0.0/8, 127.0.0.0/8 …), or a DNS entry of a stranger leads mail there. This server's own listeners are never mailed to, nor addresses written instead of a domain (user@[10.0.0.1]) that are not of the Internet. Next hops named by you are exempt, and so is all mail where queue.next_hop is set.";
    "queue.retry_first" retry_first: Span = "\"5 min\"" in "1 s" ..= "4 h", AtStart,
        "Wait after the first failed attempt; it doubles up to queue.retry_longest.";
    "queue.retry_longest" retry_longest: Span = "\"4000 s\"" in "1 s" ..= "1 d", AtStart,
        "Longest wait between two attempts.";
    "queue.warn_after" warn_after: Span = "\"4 h\"" in "1 s" ..= "5 d", AtStart,
        "Age at which the sender is told that a message is late.";
    "queue.give_up_after" give_up_after: Span = "\"5 d\"" in "1 s" ..= "14 d", AtStart,
        "Age at which a message is returned (RFC 5321 section 4.5.4.1: at least 4 to 5 days).";
    "queue.tls_warn_after" tls_warn_after: Span = "\"1 h\"" in "1 s" ..= "5 d", AtStart,
        "Age at which the sender is told that a message is late because the TLS it must travel over is not to be had.";
    "queue.tls_give_up_after" tls_give_up_after: Span = "\"24 h\"" in "1 s" ..= "14 d", AtStart,
        "Age at which such a message is returned; never later than queue.give_up_after.";
    "dns.servers" dns_servers: types::Addresses = "[]", AtStart,
        "Resolvers asked for MX and addresses, as \"address:port\". Empty: the system's.";
    "dns.validate" dns_validate: Switch = "true", AtStart,
        "Whether answers are validated by DNSSEC, which DANE needs. Where the servers pass no signatures on and no dns.trust_anchor_file is named, mail leaves without DANE and the log says so.";
    "dns.trust_anchor_file" trust_anchor_file: types::MaybePath = "\"\"", AtStart,
        "Keys from which validation starts: DS or DNSKEY records in zone-file form, for the root or zones below it. Empty: the root's keys that this program knows.";
    "dns.update_zones" update_zones: types::Texts = "[]", AtStart,
        "Zones this program may change on their primary server (RFC 2136), such as [\"firma.example\"]: for planned changes of DMARC records. Empty: people change all zones, and this program looks whether they did.";
    "dns.update_servers" update_servers: types::Addresses = "[]", AtStart,
        "The primary server of dns.update_zones, as [\"address:port\"]; the first one is asked.";
    "dns.update_key_file" update_key_file: types::MaybePath = "\"\"", AtStart,
        "The key for changing them, as tsig-keygen writes it (hmac-sha256). Keep it as closed as the server.";
    "notices.first_language" notices_first: Choice<types::NoticeLanguage> = "\"german\"", AtStart,
        "Which language stands first in notices to senders: \"german\" or \"english\". The other one follows.";
    "reports.send_tls" reports_send_tls: Switch = "true", AtStart,
        "Whether domains that ask for it are sent TLS reports (RFC 8460) about yesterday's sessions.";
    "reports.organization" reports_organization: Name = "\"\"", AtStart,
        "The name reports are sent in. Empty: node.host_name.";
    "reports.contact" reports_contact: types::MaybeAddress = "\"\"", AtStart,
        "The sender of reports, whom their readers may ask; its domain should have DKIM keys. Empty: postmaster@ node.host_name.";
    "reports.address" reports_address: types::MaybeAddress = "\"\"", AtStart,
        "The account that TLS and DMARC reports about hosted domains come to (`rua` of their records, directly or by aliases). They are read out of its INBOX into figures (`rohrpost reports`) and stay there. Empty: none are read.";
    "legacy.socket" legacy_socket: types::MaybePath = "\"\"", AtStart,
        "Where the legacy gateway (`rohrpost-legacy`, a program of its own) reaches this node, for example \"/run/rohrpost/legacy.sock\". Empty: there is no gateway, and no TLS below 1.2 anywhere.";
    "legacy.user" legacy_user: Name = "\"\"", AtStart,
        "The user the gateway runs as, by name or number; only this one (and root) is spoken to at legacy.socket. Empty: the one this program runs as, which is for tests.";
    "legacy.names" legacy_names: types::Texts = "[]", AtStart,
        "Host names of the legacy gateway, for `rohrpost legacy dns` and texts. Empty: smtp-legacy, imap-legacy and pop3-legacy beside node.host_name.";
    "clients.ports" client_ports: types::CustomerPorts = "[]", AtStart,
        "The ports customers' programs are told to use (pages, autoconfig, Autodiscover, profiles, SRV records), as [\"imap tls 993\", \"smtp starttls 587\"]: where a load balancer takes other ports than the listeners, or other nodes take customers. Empty: those of this node's listeners. The host names are those of `rohrpost rollout voice`.";
    "trace.kept" trace_kept: Span = "\"28 d\"" in "1 h" ..= "3650 d", AtStart,
        "How long the stories of messages are kept (`rohrpost trace`).";
    "trace.addresses_kept" trace_addresses_kept: Span = "\"7 d\"" in "1 h" ..= "90 d", AtStart,
        "How long the client's address and EHLO name belong to a story. After that it says that they are expired.";
    "trace.views_kept" trace_views_kept: Span = "\"180 d\"" in "7 d" ..= "3650 d", AtStart,
        "How long it is kept who looked at which story (`rohrpost trace --views`).";
    "findings.kept" findings_kept: Span = "\"400 d\"" in "30 d" ..= "3650 d", AtStart,
        "How long it is kept what measures found and how accounts connect, counted from the last day it was seen \
         (`rohrpost findings`, `rohrpost audit`). No addresses are in it.";
    "rules.record_facts" rules_record_facts: types::Switch = "true", AtStart,
        "Whether it is kept for at most 7 days what rules could have asked about (addresses of clients and mailboxes, \
         sizes, hashes of header values; no content), so that `rohrpost rules replay` can tell what a change would do.";
    "log.level" log_level: Choice<types::LogLevel> = "\"info\"", AtStart,
        "How much is logged: \"error\", \"warn\", \"info\" or \"debug\".";
}

/// What the names of the legacy gateway's hosts are made of where none are set.
const LEGACY_LABELS: [&str; 3] = ["smtp-legacy", "imap-legacy", "pop3-legacy"];

impl Settings {
    /// The host names of the legacy gateway: as set, otherwise beside this node's own.
    pub(crate) fn legacy_host_names(&self) -> Vec<String> {
        if !self.legacy_names.0.is_empty() {
            return self.legacy_names.0.clone();
        }
        let host = self.host_name.0.as_str();
        let parent = host.split_once('.').map_or(host, |(_, parent)| parent);
        LEGACY_LABELS
            .map(|label| format!("{label}.{parent}"))
            .into()
    }
}
