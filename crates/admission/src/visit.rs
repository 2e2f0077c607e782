//! What is known of a session when somebody wants to log in: borrowed from the connection, made anew for
//! each question. Plain data.

use crate::standing::Facts;
use directory::Protocol;
use directory::sasl::ChannelBindings;
use platform::net::{self, Connection, Mode};
use platform::tls::TlsFacts;
use policy::clients::Hints;
use policy::{Door, Encryption, Service};
use std::net::IpAddr;

/// Longest name a client gives itself that is kept for recognising it, in bytes.
const TOLD_BYTES_MAX: usize = 120;

/// What a client said it is. Kept by the session; nothing of it is believed for more than a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// `name` of the IMAP command ID.
    pub id_name: Option<Box<str>>,
    /// `version` of it.
    pub id_version: Option<Box<str>>,
    /// `os` of it.
    pub id_os: Option<Box<str>>,
    /// What it said with EHLO or HELO.
    pub hello: Option<Box<str>>,
    /// X-Mailer or User-Agent of a message it sent.
    pub mailer: Option<Box<str>>,
}

impl Told {
    /// One of these values from what came over the wire: cut to what is kept, `None` where it is empty.
    pub fn value(text: &[u8]) -> Option<Box<str>> {
        let text = String::from_utf8_lossy(text.get(..TOLD_BYTES_MAX).unwrap_or(text));
        let text = text.trim_matches(['\u{fffd}', ' ']);
        (!text.is_empty()).then(|| text.into())
    }
}

/// A session before or at its login.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// What is spoken; a login on port 25 is one for submission.
    pub service: Service,
    /// The port the client connected to.
    pub port: u16,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// By which door it came.
    pub door: Door,
    /// The TLS session, where there is one.
    pub tls: Option<&'a TlsFacts>,
    /// The client's address.
    pub peer: IpAddr,
    /// What the client said it is, if it did.
    pub told: Option<&'a Told>,
}

impl<'a> Visit<'a> {
    /// The visit on this connection.
    pub fn of(connection: &'a Connection, told: Option<&'a Told>) -> Self {
        let tls = connection.stream.tls();
        Self {
            // Who logs in on an mx submits mail there.
            service: match Service::of(connection.spec.role) {
                Service::Mx => Service::Submission,
                other => other,
            },
            port: connection.stream.local().port(),
            encryption: match (tls, connection.spec.mode) {
                (None, _) => Encryption::Clear,
                (Some(_), Mode::ImplicitTls) => Encryption::ImplicitTls,
                (Some(_), _) => Encryption::StartTls,
            },
            door: door(connection.door),
            tls,
            peer: connection.stream.peer().ip(),
            told,
        }
    }

    /// Whether a login can be bound to the TLS session (RFC 5802 §6).
    pub fn can_bind(&self) -> bool {
        self.tls
            .is_some_and(|tls| tls.tls_exporter.is_some() || tls.server_end_point.is_some())
    }

    pub(crate) fn bindings(&self) -> ChannelBindings {
        self.tls
            .map_or_else(ChannelBindings::default, |tls| ChannelBindings {
                tls_exporter: tls.tls_exporter,
                tls_server_end_point: tls.server_end_point.as_deref().map(<[u8]>::to_vec),
            })
    }

    pub(crate) fn protocol(&self) -> Protocol {
        match self.service {
            Service::Imap => Protocol::Imap,
            Service::Pop3 => Protocol::Pop3,
            Service::ManageSieve => Protocol::ManageSieve,
            Service::Http => Protocol::Http,
            Service::Mx | Service::Submission | Service::Relay => Protocol::Submission,
        }
    }

    /// What policy asks for.
    pub(crate) fn facts(&self) -> Facts {
        Facts {
            service: self.service,
            door: self.door,
            tls: self.tls.map(|tls| tls.version),
        }
    }

    /// What the client showed of itself.
    pub fn hints(&self) -> Hints<'a> {
        let told = self.told;
        Hints {
            fingerprint: self.tls.and_then(|tls| tls.client_fingerprint.as_deref()),
            offered_versions: None,
            imap_id_name: told.and_then(|told| told.id_name.as_deref()),
            imap_id_version: told.and_then(|told| told.id_version.as_deref()),
            imap_id_os: told.and_then(|told| told.id_os.as_deref()),
            hello: told.and_then(|told| told.hello.as_deref()),
            mailer: told.and_then(|told| told.mailer.as_deref()),
        }
    }
}

/// The door in the words of policy.
pub(crate) fn door(door: net::Door) -> Door {
    match door {
        net::Door::Normal => Door::Normal,
        net::Door::Legacy => Door::Legacy,
    }
}
