//! The records a hosted domain publishes so that programs find its servers: SRV (RFC 2782, RFC 6186, RFC 8314 §5.1),
//! with `.` for what is not offered, and the names under which the XML and JSON are asked for. Makes texts only.

use crate::server::{Encryption, HostName, Protocol, Servers};

/// A record to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its name, without a final dot.
    pub name: String,
    /// `SRV` or `CNAME`.
    pub kind: &'static str,
    /// As a zone file has it; names end with a dot.
    pub value: String,
}

impl Record {
    /// As a line of a zone file.
    pub fn line(&self) -> String {
        format!("{}. IN {} {}", self.name, self.kind, self.value)
    }
}

/// RFC 6186 §3.4: the lowest priority is what users are meant to use; TLS from the first byte before STARTTLS, IMAP
/// before POP3.
const SERVICES: [(&str, Protocol, Encryption, u16); 6] = [
    ("_imaps", Protocol::Imap, Encryption::ImplicitTls, 0),
    ("_imap", Protocol::Imap, Encryption::StartTls, 5),
    ("_pop3s", Protocol::Pop3, Encryption::ImplicitTls, 10),
    ("_pop3", Protocol::Pop3, Encryption::StartTls, 15),
    ("_submissions", Protocol::Smtp, Encryption::ImplicitTls, 0),
    ("_submission", Protocol::Smtp, Encryption::StartTls, 5),
];

/// What `domain` should publish; `web` answers HTTPS for it.
pub fn wanted(servers: &Servers, domain: &str, web: &HostName) -> Vec<Record> {
    let services = SERVICES
        .iter()
        .map(|(label, protocol, encryption, priority)| {
            let value = match servers.with(*protocol, *encryption) {
                Some(server) => format!("{priority} 1 {} {}.", server.port(), server.host()),
                // RFC 2782: decidedly not available at this domain.
                None => "0 0 0 .".to_owned(),
            };
            Record {
                name: format!("{label}._tcp.{domain}"),
                kind: "SRV",
                value,
            }
        });
    let mut records: Vec<Record> = services.collect();
    records.push(Record {
        name: format!("_autodiscover._tcp.{domain}"),
        kind: "SRV",
        value: format!("0 0 443 {web}."),
    });
    for label in ["autoconfig", "autodiscover"] {
        let name = format!("{label}.{domain}");
        // The host itself needs no alias to itself.
        if name != web.as_str() {
            records.push(Record {
                name,
                kind: "CNAME",
                value: format!("{web}."),
            });
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn lines(servers: &Servers) -> Vec<String> {
        let web = HostName::new("mx.rp.test", &[]).unwrap();
        wanted(servers, "firma.test", &web)
            .iter()
            .map(Record::line)
            .collect()
    }

    #[test]
    fn every_service_has_its_record_and_its_priority() {
        let lines = lines(&testing::servers());
        for line in [
            "_imaps._tcp.firma.test. IN SRV 0 1 993 imap.rp.test.",
            "_imap._tcp.firma.test. IN SRV 5 1 143 imap.rp.test.",
            "_pop3s._tcp.firma.test. IN SRV 10 1 995 pop3.rp.test.",
            "_pop3._tcp.firma.test. IN SRV 15 1 110 pop3.rp.test.",
            "_submissions._tcp.firma.test. IN SRV 0 1 465 smtp.rp.test.",
            "_submission._tcp.firma.test. IN SRV 5 1 587 smtp.rp.test.",
            "_autodiscover._tcp.firma.test. IN SRV 0 0 443 mx.rp.test.",
            "autoconfig.firma.test. IN CNAME mx.rp.test.",
        ] {
            assert!(lines.iter().any(|l| l == line), "{line}\n{lines:#?}");
        }
    }

    #[test]
    fn what_is_not_offered_is_said_to_be_absent() {
        let lines = lines(&testing::of(&["imap tls 993", "smtp tls 465"]));
        for label in ["_imap", "_pop3s", "_pop3", "_submission"] {
            let line = format!("{label}._tcp.firma.test. IN SRV 0 0 0 .");
            assert!(lines.contains(&line), "{line}\n{lines:#?}");
        }
    }
}
