//! `[[listener]]`: where connections are taken, in which mode and role.

use super::file::{Keys, Problem, Written};
use super::types::{Addresses, Choice, Network, Networks, Raw, Value, Words};
use std::net::SocketAddr;

/// How TLS begins on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// From the first byte (RFC 8314 §3).
    ImplicitTls,
    /// After the command STARTTLS or STLS.
    StartTls,
}

impl Words for Mode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("tls", Self::ImplicitTls), ("starttls", Self::StartTls)];
    const KIND: &'static str = "\"tls\" or \"starttls\"";
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Mail from other servers.
    Mx,
    /// Mail from our users (RFC 6409).
    Submission,
    /// Reading with IMAP.
    Imap,
    /// Reading with POP3.
    Pop3,
}

impl Words for Role {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("mx", Self::Mx),
        ("submission", Self::Submission),
        ("imap", Self::Imap),
        ("pop3", Self::Pop3),
    ];
    const KIND: &'static str = "\"mx\", \"submission\", \"imap\" or \"pop3\"";
}

/// Which versions, suites and groups of TLS a listener agrees on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// TLS 1.2 and 1.3 as Mozilla's guidelines 6.0 call intermediate.
    Default,
}

impl Words for Profile {
    const WORDS: &'static [(&'static str, Self)] = &[("default", Self::Default)];
    const KIND: &'static str = "\"default\"";
}

/// One place where connections are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// Address and port.
    pub address: SocketAddr,
    /// How TLS begins.
    pub mode: Mode,
    /// What it speaks.
    pub role: Role,
    /// The TLS profile.
    pub profile: Profile,
    /// Load balancers that speak PROXY protocol version 2 here.
    pub proxy_from: Vec<Network>,
}

/// Keys of `[[listener]]`: name, type, example, meaning.
pub(super) const KEYS: &[(&str, &str, &str, &str)] = &[
    (
        "address",
        "address:port",
        "\"[::]:25\"",
        "Where to listen. [::] takes IPv4 as well.",
    ),
    (
        "mode",
        Mode::KIND,
        "\"starttls\"",
        "How TLS begins. There is no cleartext for client protocols.",
    ),
    ("role", Role::KIND, "\"mx\"", "What is spoken there."),
    (
        "profile",
        Profile::KIND,
        "\"default\"",
        "The TLS profile: \"default\" is TLS 1.2 and 1.3, Mozilla 6.0 intermediate.",
    ),
    (
        "proxy_from",
        Networks::KIND,
        "[]",
        "Load balancers whose PROXY protocol version 2 header is believed. Connections from them must begin with it.",
    ),
];

/// The ports of RFC 8314, 6409 and 5321 on all addresses.
const DEFAULT: &[(u16, Mode, Role)] = &[
    (25, Mode::StartTls, Role::Mx),
    (587, Mode::StartTls, Role::Submission),
    (465, Mode::ImplicitTls, Role::Submission),
    (143, Mode::StartTls, Role::Imap),
    (993, Mode::ImplicitTls, Role::Imap),
    (110, Mode::StartTls, Role::Pop3),
    (995, Mode::ImplicitTls, Role::Pop3),
];

pub(super) fn default() -> Vec<Listener> {
    let listener = |&(port, mode, role): &(u16, Mode, Role)| Listener {
        address: SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)),
        mode,
        role,
        profile: Profile::Default,
        proxy_from: Vec::new(),
    };
    DEFAULT.iter().map(listener).collect()
}

pub(super) fn resolve(written: &Written, problems: &mut Vec<Problem>) -> Vec<Listener> {
    if written.listeners.is_empty() {
        return default();
    }
    let mut listeners = Vec::new();
    for (line, keys) in &written.listeners {
        let before = problems.len();
        for (key, (at, _)) in keys {
            if KEYS.iter().all(|known| known.0 != key) {
                let known: Vec<_> = KEYS.iter().map(|k| k.0).collect();
                let text = format!("[[listener]] has no key {key}; it has {}", known.join(", "));
                problems.push(Problem { line: *at, text });
            }
        }
        let mut reader = Reader {
            keys,
            line: *line,
            problems,
        };
        let address: Option<Addresses> = reader.one_of_list("address");
        let mode: Option<Choice<Mode>> = reader.value("mode", None);
        let role: Option<Choice<Role>> = reader.value("role", None);
        let profile: Option<Choice<Profile>> =
            reader.value("profile", Some(Raw::Text("default".into())));
        let proxy: Option<Networks> = reader.value("proxy_from", Some(Raw::List(Vec::new())));
        if let (Some(address), Some(mode), Some(role), Some(profile), Some(proxy), true) = (
            address,
            mode,
            role,
            profile,
            proxy,
            before == problems.len(),
        ) {
            listeners.extend(address.0.first().map(|address| Listener {
                address: *address,
                mode: mode.0,
                role: role.0,
                profile: profile.0,
                proxy_from: proxy.0,
            }));
        }
    }
    listeners
}

struct Reader<'a> {
    keys: &'a Keys,
    line: usize,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn value<T: Value>(&mut self, key: &str, default: Option<Raw>) -> Option<T> {
        let written = self.keys.get(key).cloned();
        let found = written.or_else(|| default.map(|raw| (self.line, raw)));
        let example = KEYS.iter().find(|k| k.0 == key).map_or("", |k| k.2);
        let Some((line, raw)) = found else {
            let text = format!("[[listener]] needs {key}; example: {key} = {example}");
            self.problems.push(Problem {
                line: self.line,
                text,
            });
            return None;
        };
        T::read(&raw)
            .map_err(|text| {
                let text = format!("listener {key}: {text}; example: {key} = {example}");
                self.problems.push(Problem { line, text });
            })
            .ok()
    }

    /// A single address, read by the type of address lists.
    fn one_of_list<T: Value>(&mut self, key: &str) -> Option<T> {
        match self.keys.get(key).cloned() {
            Some((line, Raw::Text(text))) => {
                let keys = [(key.to_owned(), (line, Raw::List(vec![text])))].into();
                Reader {
                    keys: &keys,
                    line,
                    problems: self.problems,
                }
                .value(key, None)
            }
            _ => self.value(key, None),
        }
    }
}
