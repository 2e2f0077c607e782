//! One session of a sink: SMTP as far as a sender needs it, strict about parameters that were not
//! offered. Called by the sink's accept thread.

use super::{Behaviour, Mail, Shared, StartTls, Step, TlsFacts, Trouble, Versions};
use crate::authority::Identity;
use crate::lines::Wire;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// How long a sink waits for the client.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(120);
/// The longest command line or line of a message.
const LINE_BYTES_MAX: usize = 100_000;

/// Why a session ends.
struct Over;

struct Server<'a> {
    wire: BufReader<Box<dyn Wire>>,
    socket: TcpStream,
    shared: &'a Shared,
    session: usize,
    behaviour: Behaviour,
    tls: Option<TlsFacts>,
    from: Option<(String, String)>,
    to: Vec<(String, String)>,
}

pub(super) fn serve(socket: TcpStream, shared: &Shared, session: usize) {
    let _ = socket.set_read_timeout(Some(COMMAND_TIME_MAX));
    let _ = socket.set_nodelay(true);
    let Ok(second) = socket.try_clone() else {
        return;
    };
    let wire: Box<dyn Wire> = Box::new(second);
    let mut server = Server {
        wire: BufReader::new(wire),
        socket,
        shared,
        session,
        behaviour: shared.behaviour(),
        tls: None,
        from: None,
        to: Vec::new(),
    };
    let _: Result<(), Over> = server.run();
}

impl Server<'_> {
    fn run(&mut self) -> Result<(), Over> {
        self.answer(Step::Greeting, "220 sink.test ESMTP")?;
        loop {
            let line = self.line()?;
            // A change holds in sessions that are open, too: senders keep connections.
            self.behaviour = self.shared.behaviour();
            self.shared
                .note(self.session, |session| session.commands.push(line.clone()));
            let verb = line.split([' ', ':']).next().unwrap_or_default();
            let verb = verb.to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => self.hello(&line)?,
                "HELO" => self.answer(Step::Hello, "250 sink.test")?,
                "STARTTLS" => self.start_tls()?,
                "MAIL" => self.mail(&line)?,
                "RCPT" => self.rcpt(&line)?,
                "DATA" => self.data()?,
                "RSET" => {
                    self.forget();
                    self.say("250 2.0.0 forgotten")?;
                }
                "NOOP" => self.say("250 2.0.0 yes")?,
                "QUIT" => {
                    self.say("221 2.0.0 goodbye")?;
                    return Err(Over);
                }
                _ => self.say("502 5.5.1 a sink does not know this")?,
            }
        }
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    fn hello(&mut self, line: &str) -> Result<(), Over> {
        let name = line.split(' ').nth(1).unwrap_or_default().to_owned();
        self.shared
            .note(self.session, |session| session.hello = name);
        self.forget();
        let mut keywords = self.behaviour.keywords.clone();
        if self.tls.is_some() && self.behaviour.require_tls {
            keywords.push("REQUIRETLS".to_owned());
        }
        if self.tls.is_none() && !matches!(self.behaviour.start_tls, StartTls::None) {
            keywords.push("STARTTLS".to_owned());
        }
        let mut reply = String::from("250-sink.test");
        for keyword in keywords {
            reply.push_str("\r\n250-");
            reply.push_str(&keyword);
        }
        reply.push_str("\r\n250 HELP");
        self.answer(Step::Hello, &reply)
    }

    fn start_tls(&mut self) -> Result<(), Over> {
        if self.tls.is_some() {
            return self.say("503 5.5.1 TLS is there already");
        }
        match self.behaviour.start_tls.clone() {
            StartTls::None => self.say("502 5.5.1 no TLS here"),
            StartTls::Refused => self.say("454 4.7.0 TLS is not available"),
            StartTls::Garbage => {
                self.say("220 2.0.0 go on")?;
                self.say("this is no TLS at all, and no alert either")?;
                let _ = self.line();
                Err(Over)
            }
            StartTls::HangsUp => {
                self.say("220 2.0.0 go on")?;
                Err(Over)
            }
            StartTls::Works(identity, versions) => self.handshake(&identity, versions),
        }
    }

    fn handshake(&mut self, identity: &Identity, versions: Versions) -> Result<(), Over> {
        self.say("220 2.0.0 go on")?;
        assert!(
            self.wire.buffer().is_empty(),
            "the client sent more before TLS"
        );
        let mut tls = ServerConnection::new(config(identity, versions)).expect("a session");
        let mut socket = self.socket.try_clone().map_err(|_| Over)?;
        while tls.is_handshaking() {
            if let Err(error) = tls.complete_io(&mut socket) {
                self.shared.note(self.session, |session| {
                    session.tls_failure = Some(error.to_string());
                });
                return Err(Over);
            }
        }
        let facts = TlsFacts {
            version: match tls.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
                other => format!("{other:?}"),
            },
            cipher: tls
                .negotiated_cipher_suite()
                .map(|suite| format!("{:?}", suite.suite()))
                .unwrap_or_default(),
            server_name: tls.server_name().map(str::to_owned),
        };
        self.tls = Some(facts.clone());
        self.shared
            .note(self.session, |session| session.tls = Some(facts));
        let wire: Box<dyn Wire> = Box::new(StreamOwned::new(tls, socket));
        self.wire = BufReader::new(wire);
        self.forget();
        Ok(())
    }

    fn mail(&mut self, line: &str) -> Result<(), Over> {
        let Some((address, parameters)) = path(line, "FROM:") else {
            return self.say("501 5.5.4 MAIL FROM:<address>");
        };
        if self.from.is_some() {
            return self.say("503 5.5.1 MAIL was given");
        }
        if let Some(reply) = self.unknown_parameter(&address, &parameters) {
            return self.say(&reply);
        }
        if self.troubled(Step::Mail)? {
            return Ok(());
        }
        self.from = Some((address, parameters));
        self.say("250 2.1.0 go on")
    }

    /// Refuses what was not offered (RFC 5321 §4.1.1.11), and what is too large (RFC 1870).
    fn unknown_parameter(&self, address: &str, parameters: &str) -> Option<String> {
        let keywords = &self.behaviour.keywords;
        let offered = |name: &str| {
            keywords
                .iter()
                .any(|keyword| keyword.split(' ').next() == Some(name))
        };
        if !address.is_ascii() && !parameters.contains("SMTPUTF8") {
            return Some("553 5.6.7 this address needs SMTPUTF8".to_owned());
        }
        for parameter in parameters.split_ascii_whitespace() {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let known = match name {
                "SIZE" => offered("SIZE"),
                "BODY" => offered("8BITMIME"),
                "SMTPUTF8" => offered("SMTPUTF8"),
                "RET" | "ENVID" => offered("DSN"),
                "REQUIRETLS" => self.tls.is_some() && self.behaviour.require_tls,
                _ => false,
            };
            if !known {
                return Some(format!("555 5.5.4 {name} was not offered"));
            }
            if name == "SIZE" && value.parse().is_ok_and(|size: u64| size > self.size_max()) {
                return Some("552 5.3.4 too large".to_owned());
            }
        }
        None
    }

    fn size_max(&self) -> u64 {
        let size = self
            .behaviour
            .keywords
            .iter()
            .find_map(|keyword| keyword.strip_prefix("SIZE "));
        size.and_then(|size| size.parse().ok()).unwrap_or(u64::MAX)
    }

    fn rcpt(&mut self, line: &str) -> Result<(), Over> {
        let Some((address, parameters)) = path(line, "TO:") else {
            return self.say("501 5.5.4 RCPT TO:<address>");
        };
        if self.from.is_none() {
            return self.say("503 5.5.1 MAIL first");
        }
        let local = address.split('@').next().unwrap_or_default();
        let refused = self.behaviour.refused.iter().find(|(who, _)| who == local);
        if let Some((_, reply)) = refused.cloned() {
            return self.say(&reply);
        }
        if self.troubled(Step::Rcpt)? {
            return Ok(());
        }
        self.to.push((address, parameters));
        self.say("250 2.1.5 go on")
    }

    fn data(&mut self) -> Result<(), Over> {
        if self.to.is_empty() {
            return self.say("554 5.5.1 no recipient");
        }
        if self.troubled(Step::Data)? {
            return Ok(());
        }
        self.say("354 go on")?;
        let mut data = Vec::new();
        loop {
            let mut line = Vec::new();
            match self.wire.read_until(b'\n', &mut line) {
                Ok(length) if length > 0 => {}
                _ => return Err(Over),
            }
            match line.as_slice() {
                b".\r\n" => break,
                [b'.', rest @ ..] => data.extend_from_slice(rest),
                line => data.extend_from_slice(line),
            }
        }
        if data.len() as u64 > self.size_max() {
            self.forget();
            return self.say("552 5.3.4 too large");
        }
        let eight_bit = self.behaviour.keywords.iter().any(|k| k == "8BITMIME");
        if !eight_bit && !data.is_ascii() {
            self.forget();
            return self.say("554 5.6.1 8-bit data was not offered");
        }
        self.take(data)
    }

    fn take(&mut self, data: Vec<u8>) -> Result<(), Over> {
        let (from, from_parameters) = self.from.take().unwrap_or_default();
        let mail = Mail {
            session: self.session,
            tls: self.tls.clone(),
            from,
            from_parameters,
            to: std::mem::take(&mut self.to),
            data,
        };
        let after_taking = (Step::Body, Trouble::DropAfterTaking);
        if self.behaviour.troubles.contains(&after_taking) {
            self.shared.take(mail);
            return Err(Over);
        }
        if self.troubled(Step::Body)? {
            return Ok(());
        }
        // Noted first, so that a test that sees the sender's "relayed" finds the message here.
        self.shared.take(mail);
        self.say("250 2.0.0 taken")
    }

    /// Carries out what is to go wrong at this step; whether a reply was given.
    fn troubled(&mut self, step: Step) -> Result<bool, Over> {
        for (at, trouble) in self.behaviour.troubles.clone() {
            if at != step {
                continue;
            }
            match trouble {
                Trouble::Wait(time) => wait(time),
                Trouble::Drop | Trouble::DropAfterTaking => return Err(Over),
                Trouble::Reply(reply) => {
                    self.say(&reply)?;
                    return if reply.starts_with("421") {
                        Err(Over)
                    } else {
                        Ok(true)
                    };
                }
            }
        }
        Ok(false)
    }

    fn answer(&mut self, step: Step, reply: &str) -> Result<(), Over> {
        if self.troubled(step)? {
            return Ok(());
        }
        self.say(reply)
    }

    fn say(&mut self, reply: &str) -> Result<(), Over> {
        let wire = self.wire.get_mut();
        wire.write_all(format!("{reply}\r\n").as_bytes())
            .and_then(|()| wire.flush())
            .map_err(|_| Over)
    }

    fn line(&mut self) -> Result<String, Over> {
        let mut line = Vec::new();
        match self.wire.read_until(b'\n', &mut line) {
            Ok(length) if length > 0 && length < LINE_BYTES_MAX => {}
            _ => return Err(Over),
        }
        let text = String::from_utf8_lossy(&line);
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

#[allow(clippy::disallowed_methods, reason = "a slow server is slow")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// Address and parameters of `MAIL FROM:<…> …`.
fn path(line: &str, word: &str) -> Option<(String, String)> {
    let rest = line.get(5..)?;
    let rest = rest.get(word.len()..).filter(|_| {
        rest.get(..word.len())
            .is_some_and(|have| have.eq_ignore_ascii_case(word))
    })?;
    let (address, parameters) = rest.strip_prefix('<')?.split_once('>')?;
    Some((address.to_owned(), parameters.trim().to_owned()))
}

fn config(identity: &Identity, versions: Versions) -> Arc<ServerConfig> {
    let (chain, key) = identity.rustls();
    let versions: &[_] = match versions {
        Versions::Modern => rustls::ALL_VERSIONS,
        Versions::Only12 => &[&rustls::version::TLS12],
        Versions::Only13 => &[&rustls::version::TLS13],
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("known versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a good pair");
    Arc::new(config)
}
