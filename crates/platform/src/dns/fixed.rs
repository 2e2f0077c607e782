//! A resolver that answers from memory; for tests and for installations without DNS. Asks nobody.

use super::{Answer, Lookup, Mx, MxHost, Outcome, Resolver, Security, Tlsa};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The TTL of static answers.
const STATIC_TTL: Duration = Duration::from_secs(300);

/// Answers from memory. Cheap to clone; clones share what they know.
/// A name with records of another type has no data; any other name does not exist.
#[derive(Debug, Clone, Default)]
pub struct StaticResolver {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    mx: HashMap<String, Vec<MxHost>>,
    addresses: HashMap<String, Vec<IpAddr>>,
    tlsa: HashMap<String, Vec<Tlsa>>,
    txt: HashMap<String, Vec<Vec<u8>>>,
    reverse: HashMap<IpAddr, Vec<String>>,
    failing: HashMap<String, String>,
    secure: HashSet<String>,
    bogus: HashSet<String>,
}

fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

impl StaticResolver {
    /// Knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// `domain` gets an MX record; an empty `host` is the root (null MX).
    pub fn add_mx(&self, domain: &str, preference: u16, host: &str) -> &Self {
        let host = canonical(host);
        self.change(|known| {
            let hosts = known.mx.entry(canonical(domain)).or_default();
            hosts.push(MxHost { preference, host });
        })
    }

    /// `host` gets an address.
    pub fn add_address(&self, host: &str, address: IpAddr) -> &Self {
        self.change(|known| {
            known
                .addresses
                .entry(canonical(host))
                .or_default()
                .push(address)
        })
    }

    /// `name`, such as `_25._tcp.mx.test`, gets a TLSA record.
    pub fn add_tlsa(&self, name: &str, tlsa: Tlsa) -> &Self {
        self.change(|known| known.tlsa.entry(canonical(name)).or_default().push(tlsa))
    }

    /// `name` gets a TXT record.
    pub fn add_txt(&self, name: &str, text: &str) -> &Self {
        self.change(|known| {
            known
                .txt
                .entry(canonical(name))
                .or_default()
                .push(text.into())
        })
    }

    /// `address` gets a host name (PTR).
    pub fn add_reverse(&self, address: IpAddr, host: &str) -> &Self {
        self.change(|known| {
            known
                .reverse
                .entry(address)
                .or_default()
                .push(canonical(host))
        })
    }

    /// `name` and everything below it is in a signed zone: its records, and their absence, are proved.
    pub fn secure(&self, name: &str) -> &Self {
        self.change(|known| known.secure.extend([canonical(name)]))
    }

    /// Every answer about `name` fails validation.
    pub fn bogus(&self, name: &str) -> &Self {
        self.change(|known| known.bogus.extend([canonical(name)]))
    }

    /// Every question about `name` fails for now, with `reason`.
    pub fn fail(&self, name: &str, reason: &str) -> &Self {
        self.change(|known| known.failing.extend([(canonical(name), reason.to_owned())]))
    }

    /// Forgets everything about `name` itself: records and marks.
    pub fn forget(&self, name: &str) -> &Self {
        let name = canonical(name);
        self.change(|known| {
            known.mx.remove(&name);
            known.addresses.remove(&name);
            known.tlsa.remove(&name);
            known.txt.remove(&name);
            known.failing.remove(&name);
            known.secure.remove(&name);
            known.bogus.remove(&name);
        })
    }

    fn change(&self, change: impl FnOnce(&mut Known)) -> &Self {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
        self
    }

    fn ask<'a, T: Clone + Send + 'a>(
        &self,
        name: &str,
        pick: impl FnOnce(&Known, &str) -> Option<T>,
    ) -> Lookup<'a, T> {
        let name = canonical(name);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = known.answer(&name, pick(&known, &name));
        Box::pin(std::future::ready(outcome))
    }
}

impl Known {
    fn answer<T>(&self, name: &str, found: Option<T>) -> Outcome<T> {
        if let Some(reason) = self.failing.get(name) {
            return Outcome::TemporaryFailure(reason.clone());
        }
        if self.bogus.contains(name) {
            return Outcome::Bogus(format!("the answer about {name} fails DNSSEC validation"));
        }
        let security = self.security(name);
        match found {
            Some(value) => Outcome::Found(Answer {
                value,
                ttl: STATIC_TTL,
                security,
                first: security,
                name: name.into(),
            }),
            None if self.exists(name) => Outcome::NoData(security),
            None => Outcome::NxDomain(security),
        }
    }

    fn exists(&self, name: &str) -> bool {
        self.mx.contains_key(name)
            || self.addresses.contains_key(name)
            || self.tlsa.contains_key(name)
            || self.txt.contains_key(name)
    }

    fn security(&self, name: &str) -> Security {
        let mut rest = name;
        loop {
            if self.secure.contains(rest) {
                return Security::Secure;
            }
            match rest.split_once('.') {
                Some((_, parent)) => rest = parent,
                None => return Security::Insecure,
            }
        }
    }
}

impl Resolver for StaticResolver {
    fn mx<'a>(&'a self, domain: &'a str) -> Lookup<'a, Mx> {
        self.ask(domain, |known, name| {
            known.mx.get(name).cloned().map(Mx::from_records)
        })
    }

    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Vec<IpAddr>> {
        self.ask(host, |known, name| known.addresses.get(name).cloned())
    }

    fn tlsa<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<Tlsa>> {
        self.ask(name, |known, name| known.tlsa.get(name).cloned())
    }

    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<Vec<u8>>> {
        self.ask(name, |known, name| known.txt.get(name).cloned())
    }

    fn reverse<'a>(&'a self, address: IpAddr) -> Lookup<'a, Vec<String>> {
        self.ask(&address.to_string(), |known, _| {
            known.reverse.get(&address).cloned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn static_answers_are_typed() {
        let dns = StaticResolver::new();
        dns.add_mx("Firma.test", 10, "MX1.firma.test.")
            .add_mx("nomail.test", 0, ".")
            .add_address("mx1.firma.test", IpAddr::from([127, 0, 0, 1]))
            .secure("firma.test")
            .bogus("bogus.test")
            .fail("broken.test", "SERVFAIL");
        let Outcome::Found(mx) = dns.mx("firma.TEST").await else {
            panic!("there is an MX")
        };
        let host = MxHost {
            preference: 10,
            host: "mx1.firma.test".to_owned(),
        };
        assert_eq!(mx.value, Mx::Hosts(vec![host]));
        assert_eq!(mx.security, Security::Secure);
        assert!(matches!(dns.mx("nomail.test").await, Outcome::Found(a) if a.value == Mx::Null));
        assert_eq!(
            dns.mx("mx1.firma.test").await,
            Outcome::NoData(Security::Secure)
        );
        assert_eq!(
            dns.mx("nowhere.test").await,
            Outcome::NxDomain(Security::Insecure)
        );
        assert!(matches!(dns.tlsa("bogus.test").await, Outcome::Bogus(_)));
        assert_eq!(
            dns.addresses("broken.test").await,
            Outcome::TemporaryFailure("SERVFAIL".to_owned())
        );
    }
}
