//! `[[listener]]`: where connections are taken, in which mode and role.

use super::file::{Keys, Problem, Written};
use super::types::{
    Addresses, Bytes, Choice, Count, HostName, Network, Networks, Raw, Texts, Value, Words,
};
use std::net::SocketAddr;

/// How TLS begins on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// From the first byte (RFC 8314 §3).
    ImplicitTls,
    /// After the command STARTTLS or STLS.
    StartTls,
    /// Never: HTTP in clear, which only leads to HTTPS.
    Redirect,
}

impl Words for Mode {
    const WORDS: &'static [(&'static str, Self)] =
        &[
            ("tls", Self::ImplicitTls),
            ("starttls", Self::StartTls),
            ("redirect", Self::Redirect),
        ];
    const KIND: &'static str = "\"tls\", \"starttls\" or \"redirect\"";
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Mail from other servers.
    Mx,
    /// Mail from other servers, over TLS only.
    SecureMx,
    /// Mail from our users (RFC 6409).
    Submission,
    /// Reading with IMAP.
    Imap,
    /// Reading with POP3.
    Pop3,
    /// The admin API and pages.
    Http,
}

impl Words for Role {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("mx", Self::Mx),
        ("securemx", Self::SecureMx),
        ("submission", Self::Submission),
        ("imap", Self::Imap),
        ("pop3", Self::Pop3),
        ("http", Self::Http),
    ];
    const KIND: &'static str =
        "\"mx\", \"securemx\", \"submission\", \"imap\", \"pop3\" or \"http\"";
}

/// Which versions, suites and groups of TLS a listener agrees on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// TLS 1.2 and 1.3 as Mozilla's guidelines 6.0 call intermediate.
    Default,
    /// TLS 1.3 only.
    Modern,
}

impl Words for Profile {
    const WORDS: &'static [(&'static str, Self)] =
        &[("default", Self::Default), ("modern", Self::Modern)];
    const KIND: &'static str = "\"default\" or \"modern\"";
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
    /// Its own host name, if it has one.
    pub host_name: Option<String>,
    /// Customer groups whose domains it takes mail for; empty: all.
    pub groups: Vec<String>,
    /// Recipients of one message, where other than `smtp.recipients_max`.
    pub recipients_max: Option<usize>,
    /// Largest message in bytes, where other than `smtp.message_size_max`.
    pub message_size_max: Option<u64>,
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
        "How TLS begins. There is no cleartext for client protocols; \"redirect\" is for role \"http\" and sends browsers to HTTPS.",
    ),
    (
        "role",
        Role::KIND,
        "\"mx\"",
        "What is spoken there. \"securemx\" is \"mx\" for domains that take mail over TLS only: it refuses every message before STARTTLS.",
    ),
    (
        "profile",
        Profile::KIND,
        "\"default\"",
        "The TLS profile: \"default\" is TLS 1.2 and 1.3, Mozilla 6.0 intermediate; \"modern\" is TLS 1.3 only.",
    ),
    (
        "proxy_from",
        Networks::KIND,
        "[]",
        "Load balancers whose PROXY protocol version 2 header is believed. Connections from them must begin with it.",
    ),
    (
        "host_name",
        HostName::KIND,
        "\"mx.example.org\"",
        "The name it says in greetings and Received lines instead of node.host_name; clients that name no host get the certificate for it.",
    ),
    (
        "groups",
        Texts::KIND,
        "[]",
        "Customer groups whose domains it takes mail for (mx and securemx); mail for others is put off with the name of the right host, so that a name server's old answer loses nothing. Empty: all.",
    ),
    (
        "recipients_max",
        Count::KIND,
        "1000",
        "Recipients of one message, at least 100, instead of smtp.recipients_max.",
    ),
    (
        "message_size_max",
        Bytes::KIND,
        "\"50 MiB\"",
        "Largest message, instead of smtp.message_size_max.",
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
    (443, Mode::ImplicitTls, Role::Http),
    (80, Mode::Redirect, Role::Http),
];

pub(super) fn default() -> Vec<Listener> {
    let listener = |&(port, mode, role): &(u16, Mode, Role)| {
        let address = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port));
        Listener::new(address, mode, role)
    };
    DEFAULT.iter().map(listener).collect()
}

impl Listener {
    fn new(address: SocketAddr, mode: Mode, role: Role) -> Self {
        Self {
            address,
            mode,
            role,
            profile: Profile::Default,
            proxy_from: Vec::new(),
            host_name: None,
            groups: Vec::new(),
            recipients_max: None,
            message_size_max: None,
        }
    }
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
        let read = reader.listener();
        listeners.extend(read.filter(|_| before == problems.len()));
    }
    listeners
}

struct Reader<'a> {
    keys: &'a Keys,
    line: usize,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    /// The listener, `None` after a problem.
    fn listener(&mut self) -> Option<Listener> {
        let address: Option<Addresses> = self.one_of_list("address");
        let mode: Option<Choice<Mode>> = self.value("mode");
        let role: Option<Choice<Role>> = self.value("role");
        let (address, mode, role) = (address?, mode?.0, role?.0);
        let fits = match mode {
            Mode::ImplicitTls => true,
            Mode::StartTls => role != Role::Http,
            Mode::Redirect => role == Role::Http,
        };
        if !fits {
            let text = "[[listener]] role \"http\" has mode \"tls\" or \"redirect\", and \
                        \"redirect\" is for role \"http\" only";
            self.problems.push(Problem {
                line: self.line,
                text: text.to_owned(),
            });
            return None;
        }
        let mut listener = Listener::new(*address.0.first()?, mode, role);
        if let Some(profile) = self.maybe::<Choice<Profile>>("profile")? {
            listener.profile = profile.0;
        }
        if let Some(proxies) = self.maybe::<Networks>("proxy_from")? {
            listener.proxy_from = proxies.0;
        }
        if let Some(groups) = self.maybe::<Texts>("groups")? {
            listener.groups = groups.0;
        }
        listener.host_name = self.maybe::<HostName>("host_name")?.map(|name| name.0);
        // RFC 5321 §4.5.3.1.8.
        listener.recipients_max = self.maybe::<Count>("recipients_max")?.map(|n| n.0.max(100));
        listener.message_size_max = self.maybe::<Bytes>("message_size_max")?.map(|n| n.0);
        Some(listener)
    }

    /// The value of a key that may be left out; `None` after a problem.
    fn maybe<T: Value>(&mut self, key: &str) -> Option<Option<T>> {
        if !self.keys.contains_key(key) {
            return Some(None);
        }
        self.value(key).map(Some)
    }

    fn value<T: Value>(&mut self, key: &str) -> Option<T> {
        let found = self.keys.get(key).cloned();
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
                .value(key)
            }
            _ => self.value(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::parse;
    use super::*;

    #[test]
    fn a_listener_has_what_it_is_given_and_nothing_else() {
        let text = "[[listener]]\naddress = \"192.0.2.1:25\"\nmode = \"starttls\"\nrole = \"securemx\"\n\
                    profile = \"modern\"\nhost_name = \"MX2.rp.test\"\ngroups = [\"business\"]\n\
                    recipients_max = 7\nmessage_size_max = \"1 MiB\"\n\n\
                    [[listener]]\naddress = \"[::1]:587\"\nmode = \"starttls\"\nrole = \"submission\"\n";
        let listeners = parse(text).unwrap().listeners;
        let mut first = Listener::new(
            "192.0.2.1:25".parse().unwrap(),
            Mode::StartTls,
            Role::SecureMx,
        );
        first.profile = Profile::Modern;
        first.host_name = Some("mx2.rp.test".into());
        first.groups = vec!["business".into()];
        // RFC 5321 §4.5.3.1.8: never fewer than 100.
        first.recipients_max = Some(100);
        first.message_size_max = Some(1 << 20);
        let second = Listener::new(
            "[::1]:587".parse().unwrap(),
            Mode::StartTls,
            Role::Submission,
        );
        assert_eq!(listeners, [first, second]);
    }

    #[test]
    fn a_problem_of_a_listener_names_its_line_and_key() {
        for (line, expected) in [
            ("groups = \"business\"", "listener groups"),
            ("host_name = \"a b\"", "listener host_name"),
            ("profile = \"old\"", "listener profile"),
            ("colour = \"red\"", "no key colour"),
        ] {
            let text = format!(
                "[[listener]]\naddress = \"[::]:25\"\nmode = \"starttls\"\nrole = \"mx\"\n{line}\n"
            );
            let problems = parse(&text).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].line, 5);
            assert!(problems[0].text.contains(expected), "{problems:?}");
        }
        assert!(parse("[[listener]]\nmode = \"starttls\"\nrole = \"mx\"\n").is_err());
        let of = |mode: &str, role: &str| {
            let address = "[[listener]]\naddress = \"[::]:80\"\n";
            parse(&format!("{address}mode = \"{mode}\"\nrole = \"{role}\"\n"))
        };
        assert!(of("redirect", "http").is_ok() && of("tls", "http").is_ok());
        assert!(of("redirect", "imap").is_err() && of("starttls", "http").is_err());
    }
}
