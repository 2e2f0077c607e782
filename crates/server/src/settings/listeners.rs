//! `[[listener]]`: where connections are taken, in which mode and role.

use super::file::{Keys, Problem, Written};
use super::types::{
    Addresses, Bytes, Choice, Count, HostName, Network, Networks, Raw, Switch, Texts, Value, Words,
};
use directory::sasl::Mechanism;
use smtp::server::Extension;
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
    const WORDS: &'static [(&'static str, Self)] = &[
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
    /// Whether customers may log in on a listener for mail from others.
    pub login: bool,
    /// How customers may log in, where not in every way there is.
    pub mechanisms: Option<Vec<Mechanism>>,
    /// Extensions of ESMTP that are not there.
    pub extensions_off: Vec<Extension>,
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
    (
        "login",
        Switch::KIND,
        "false",
        "Roles mx and securemx: whether customers may log in here, after STARTTLS, for mail programs that still send by port 25. What they send after it is held to the rules of submission. `rohrpost policy impact` shows who does; move them to 465 or 587.",
    ),
    (
        "mechanisms",
        Texts::KIND,
        "[\"SCRAM-SHA-256-PLUS\", \"SCRAM-SHA-256\", \"PLAIN\", \"LOGIN\"]",
        "How customers may log in, in this order. Without PLAIN also IMAP LOGIN and POP3 USER are refused. Left out: all of these.",
    ),
    (
        "extensions_off",
        Texts::KIND,
        "[]",
        "Extensions of ESMTP this listener neither offers nor takes: PIPELINING, 8BITMIME, SMTPUTF8, DSN, CHUNKING, SIZE, LIMITS, STARTTLS, REQUIRETLS, FUTURERELEASE, MT-PRIORITY.",
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
            login: false,
            mechanisms: None,
            extensions_off: Vec::new(),
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
        self.logins(&mut listener)?;
        Some(listener)
    }

    /// Who may log in and how, and what SMTP offers.
    fn logins(&mut self, listener: &mut Listener) -> Option<()> {
        let (role, mode) = (listener.role, listener.mode);
        let is_mx = matches!(role, Role::Mx | Role::SecureMx);
        if let Some(login) = self.maybe::<Switch>("login")? {
            if login.0 && !is_mx {
                return self.problem("login", "is for role \"mx\" and \"securemx\"");
            }
            listener.login = login.0;
        }
        if self.keys.contains_key("mechanisms") {
            let mechanisms = self.words("mechanisms", Mechanism::parse)?;
            if mechanisms.is_empty() {
                return self.problem("mechanisms", "must not be empty; nobody could log in");
            }
            listener.mechanisms = Some(mechanisms);
        }
        if self.keys.contains_key("extensions_off") {
            if !is_mx && role != Role::Submission {
                return self.problem("extensions_off", "is for listeners that speak SMTP");
            }
            listener.extensions_off = self.words("extensions_off", Extension::parse)?;
            let needs_tls = role != Role::Mx && mode == Mode::StartTls;
            if needs_tls && listener.extensions_off.contains(&Extension::StartTls) {
                return self.problem("extensions_off", "needs STARTTLS here, or no mail comes in");
            }
        }
        Some(())
    }

    /// A list of words that `parse` knows.
    fn words<T>(&mut self, key: &str, parse: fn(&str) -> Option<T>) -> Option<Vec<T>> {
        let texts: Texts = self.value(key)?;
        let mut words = Vec::new();
        for text in texts.0 {
            match parse(&text) {
                Some(word) => words.push(word),
                None => return self.problem(key, &format!("has no {text:?}")),
            }
        }
        Some(words)
    }

    fn problem<T>(&mut self, key: &str, text: &str) -> Option<T> {
        let line = self.keys.get(key).map_or(self.line, |(line, _)| *line);
        let example = KEYS.iter().find(|k| k.0 == key).map_or("", |k| k.2);
        self.problems.push(Problem {
            line,
            text: format!("listener {key} {text}; example: {key} = {example}"),
        });
        None
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
    fn logins_and_extensions_are_told_apart_by_role() {
        let of = |role: &str, line: &str| {
            let address = "[[listener]]\naddress = \"[::]:25\"\nmode = \"starttls\"\n";
            parse(&format!("{address}role = \"{role}\"\n{line}\n")).map(|s| s.listeners)
        };
        let mx = of(
            "mx",
            "login = true\nextensions_off = [\"starttls\", \"DSN\"]",
        )
        .unwrap();
        assert!(mx[0].login);
        assert_eq!(mx[0].extensions_off, [Extension::StartTls, Extension::Dsn]);
        let imap = of("imap", "mechanisms = [\"scram-sha-256\"]").unwrap();
        assert_eq!(imap[0].mechanisms, Some(vec![Mechanism::ScramSha256]));
        for (role, line) in [
            ("submission", "login = true"),
            ("submission", "extensions_off = [\"STARTTLS\"]"),
            ("imap", "extensions_off = [\"DSN\"]"),
        ] {
            assert!(of(role, line).is_err(), "{role} {line}");
        }
    }

    #[test]
    fn a_problem_of_a_listener_names_its_line_and_key() {
        for (line, expected) in [
            ("groups = \"business\"", "listener groups"),
            ("host_name = \"a b\"", "listener host_name"),
            ("profile = \"old\"", "listener profile"),
            ("colour = \"red\"", "no key colour"),
            ("mechanisms = []", "listener mechanisms must not be empty"),
            (
                "mechanisms = [\"CRAM-MD5\"]",
                "listener mechanisms has no \"CRAM-MD5\"",
            ),
            (
                "extensions_off = [\"AUTH\"]",
                "listener extensions_off has no \"AUTH\"",
            ),
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
