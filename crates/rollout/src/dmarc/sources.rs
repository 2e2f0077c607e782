//! Where mail comes from that others saw with a domain's name: our pool, a known service, a forwarder, or
//! somebody unknown; and what to do about each. Pure; the figures come from DMARC reports.

use formats::language::Language;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::OnceLock;

/// What reports say about one address, summed over a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The address.
    pub source: IpAddr,
    /// Domains of valid signatures, most messages first.
    pub signers: Vec<String>,
    /// Domains SPF was asked for, most messages first.
    pub envelopes: Vec<String>,
    /// Messages.
    pub messages: u64,
    /// Of them, those that passed DMARC by an aligned signature.
    pub by_dkim: u64,
    /// Of them, those that passed by SPF alone.
    pub by_spf: u64,
}

impl Reported {
    /// Messages that passed neither way.
    pub fn failed(&self) -> u64 {
        self.messages.saturating_sub(self.by_dkim + self.by_spf)
    }
}

/// Whose an address is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Mail from here leaves from it.
    OurPool,
    /// A service that sends for many, by its name.
    Service(String),
    /// Somebody who passes mail on: our signature is valid, the envelope is another's.
    Forwarder,
    /// Nobody knows it, and it proves nothing.
    Unknown,
}

impl Class {
    /// The word in JSON and CSV.
    pub fn word(&self) -> &'static str {
        match self {
            Self::OurPool => "our-pool",
            Self::Service(_) => "service",
            Self::Forwarder => "forwarder",
            Self::Unknown => "unknown",
        }
    }
}

/// A source with its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What reports say.
    pub reported: Reported,
    /// Whose it is.
    pub class: Class,
}

#[derive(Deserialize)]
struct Services {
    service: Vec<Service>,
}

#[derive(Deserialize)]
struct Service {
    name: String,
    domains: Vec<String>,
}

fn services() -> &'static BTreeMap<String, String> {
    static SERVICES: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    SERVICES.get_or_init(|| {
        // A test reads the same text; what cannot be read knows no service.
        let read: Services = toml::from_str(include_str!("services.toml")).unwrap_or(Services {
            service: Vec::new(),
        });
        let each = read.service.into_iter();
        each.flat_map(|service| {
            let name = service.name;
            service
                .domains
                .into_iter()
                .map(move |domain| (domain, name.clone()))
        })
        .collect()
    })
}

/// The service a domain belongs to.
fn service_of(domain: &str) -> Option<&'static str> {
    let mut rest = domain;
    loop {
        if let Some(name) = services().get(rest) {
            return Some(name);
        }
        rest = rest.split_once('.')?.1;
    }
}

/// Says whose a source is. `pool` are the addresses mail of the domain leaves from.
pub fn classify(domain: &str, reported: Reported, pool: &[IpAddr]) -> Source {
    let named = reported.signers.iter().chain(&reported.envelopes);
    let service = named.filter_map(|name| service_of(name)).next();
    let class = if pool.contains(&reported.source) {
        Class::OurPool
    } else if let Some(name) = service {
        Class::Service(name.to_owned())
    } else if passes_on(domain, &reported) {
        Class::Forwarder
    } else {
        Class::Unknown
    };
    Source { reported, class }
}

/// Our signature survived under somebody else's envelope.
fn passes_on(domain: &str, reported: &Reported) -> bool {
    let own = |name: &String| name == domain || name.ends_with(&format!(".{domain}"));
    reported.by_dkim > 0 && reported.by_spf == 0 && reported.signers.iter().any(own)
}

impl Source {
    /// What the domain's people should do about it.
    pub fn advice(&self, domain: &str, language: Language) -> String {
        let failed = self.reported.failed();
        match (&self.class, language) {
            (Class::OurPool, Language::German) if failed == 0 => {
                "Kommt von uns und ist in Ordnung.".to_owned()
            }
            (Class::OurPool, Language::English) if failed == 0 => "Comes from us and is fine.".to_owned(),
            (Class::OurPool, Language::German) => format!(
                "Kommt von uns und besteht trotzdem nicht immer: prüfen Sie SPF und DKIM von {domain} \
                 (rohrpost dns check {domain})."
            ),
            (Class::OurPool, Language::English) => format!(
                "Comes from us and does not always pass: look at SPF and DKIM of {domain} \
                 (rohrpost dns check {domain})."
            ),
            (Class::Service(name), Language::German) if failed == 0 => {
                format!("{name} sendet für {domain} und weist sich richtig aus.")
            }
            (Class::Service(name), Language::English) if failed == 0 => {
                format!("{name} sends for {domain} and proves it.")
            }
            (Class::Service(name), Language::German) => format!(
                "{name} sendet mit Absendern von {domain}, ohne es zu beweisen. Wenn Sie den Dienst \
                 nutzen: richten Sie dort DKIM für {domain} ein oder eine eigene Subdomain. Wenn nicht: \
                 nichts tun, diese Nachrichten sollen scheitern."
            ),
            (Class::Service(name), Language::English) => format!(
                "{name} sends with addresses of {domain} without proving it. If you use the service, set \
                 up DKIM for {domain} there, or give it a subdomain. If not, do nothing: these messages \
                 are meant to fail."
            ),
            (Class::Forwarder, Language::German) => {
                "Leitet Nachrichten von uns weiter. Unsere Signatur bleibt gültig; nichts zu tun, \
                 solange nichts daran verändert wird."
                    .to_owned()
            }
            (Class::Forwarder, Language::English) => {
                "Passes on mail of ours. Our signature stays valid; nothing to do as long as nothing is \
                 changed on the way."
                    .to_owned()
            }
            (Class::Unknown, Language::German) => format!(
                "Nicht über uns und ohne Beweis. Fragen Sie, wer das ist (Webshop, Newsletter, Drucker, \
                 anderer Anbieter). Gehört es zu {domain}: über uns senden oder DKIM einrichten. Sonst \
                 ist es die Fälschung, die scheitern soll."
            ),
            (Class::Unknown, Language::English) => format!(
                "Not via us and without proof. Ask who it is (web shop, newsletter, printer, another \
                 provider). If it belongs to {domain}, send through us or set up DKIM. Otherwise it is \
                 the forgery that is meant to fail."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(source: &str, signer: &str, envelope: &str, counts: [u64; 3]) -> Reported {
        let list = |name: &str| {
            (!name.is_empty())
                .then(|| name.to_owned())
                .into_iter()
                .collect()
        };
        Reported {
            source: source.parse().unwrap(),
            signers: list(signer),
            envelopes: list(envelope),
            messages: counts[0],
            by_dkim: counts[1],
            by_spf: counts[2],
        }
    }

    #[test]
    fn each_kind_of_source_is_told_apart() {
        let pool = ["192.0.2.7".parse().unwrap()];
        let class = |one| classify("firma.test", one, &pool).class;
        assert_eq!(
            class(reported("192.0.2.7", "firma.test", "firma.test", [5, 5, 0])),
            Class::OurPool
        );
        // Also where it proves nothing: then something is wrong with us.
        assert_eq!(
            class(reported("192.0.2.7", "", "", [5, 0, 0])),
            Class::OurPool
        );
        assert_eq!(
            class(reported(
                "198.51.100.1",
                "eu-west-1.amazonses.com",
                "x.test",
                [5, 0, 0]
            )),
            Class::Service("Amazon SES".into())
        );
        assert_eq!(
            class(reported("198.51.100.2", "", "mail133.mcsv.net", [5, 0, 0])),
            Class::Service("Mailchimp".into())
        );
        assert_eq!(
            class(reported(
                "198.51.100.3",
                "firma.test",
                "list.test",
                [5, 5, 0]
            )),
            Class::Forwarder
        );
        assert_eq!(
            class(reported("198.51.100.4", "", "", [5, 0, 0])),
            Class::Unknown
        );
        // A name that only looks like one.
        assert_eq!(
            class(reported("198.51.100.5", "notamazonses.com", "", [5, 0, 0])),
            Class::Unknown
        );
    }

    #[test]
    fn the_services_file_is_read() {
        assert!(services().len() > 20);
        let in_place = |name: &String| name.contains('.') && *name == name.to_ascii_lowercase();
        assert!(services().keys().all(in_place));
    }
}
