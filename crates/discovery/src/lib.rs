//! What mail programs are told when they look for the servers of an address: Thunderbird's autoconfig, Outlook's
//! Autodiscover, Apple's profiles, SRV records. All are made of one value, `Servers`, whose type has no word for a
//! connection in clear or a host of the legacy gateway. Pure: never asks whether an address exists.

pub mod autoconfig;
pub mod autodiscover;
pub mod mobileconfig;
mod server;
pub mod srv;
mod xml;

pub use server::{Encryption, HostName, Hosts, Listening, Protocol, Server, Servers};

/// What is told beside the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provider<'a> {
    /// Its name, as people know it.
    pub name: &'a str,
    /// Where its public pages are, with a final slash.
    pub site: &'a str,
}

#[cfg(test)]
mod testing {
    use super::*;

    pub(crate) const PROVIDER: Provider<'_> = Provider {
        name: "Rp & Söhne",
        site: "https://rp.test/",
    };

    /// All six services of `rp.test`.
    pub(crate) fn servers() -> Servers {
        let all = [
            "imap starttls 143",
            "pop3 tls 995",
            "smtp starttls 587",
            "imap tls 993",
            "pop3 starttls 110",
            "smtp tls 465",
        ];
        of(&all)
    }

    pub(crate) fn of(listening: &[&str]) -> Servers {
        let listening: Vec<Listening> = listening.iter().map(|l| l.parse().unwrap()).collect();
        let hosts = Hosts {
            imap: "imap.rp.test",
            pop3: "pop3.rp.test",
            smtp: "smtp.rp.test",
        };
        Servers::new(&listening, &hosts, &["old.rp.test"])
    }
}
