//! Where customers' programs connect: the one answer that pages, discovery and the records of domains are made of.
//! From the ports this node listens on (or a setting), the host names of the provider's voice, and the names of the
//! legacy gateway, which are left out.

use directory::DomainName;
use discovery::{HostName, Hosts, Listening, Provider, Servers};
use rollout::Voice;
use std::sync::{Arc, Once, OnceLock};

/// Where customers connect. Cheap to clone.
#[derive(Clone)]
pub struct Connecting {
    said: Arc<[Listening]>,
    bound: Arc<OnceLock<Vec<Listening>>>,
    legacy: Arc<[String]>,
    warned: Arc<Once>,
}

impl Connecting {
    /// As the settings say it; `legacy` are the names of the legacy gateway's hosts.
    pub fn new(said: Vec<Listening>, legacy: Vec<String>) -> Self {
        Self {
            said: said.into(),
            bound: Arc::default(),
            legacy: legacy.into(),
            warned: Arc::new(Once::new()),
        }
    }

    /// What the listeners turned out to be, where a setting leaves the port to the system; only the first call
    /// counts.
    pub fn bound(&self, listening: Vec<Listening>) {
        let _ = self.bound.set(listening);
    }

    /// The names no program is sent to.
    fn legacy<'a>(&'a self, voice: &'a Voice) -> Vec<&'a str> {
        let said = [
            &voice.legacy_imap_host,
            &voice.legacy_pop3_host,
            &voice.legacy_smtp_host,
        ];
        let own = self.legacy.iter().chain(said);
        own.map(String::as_str).collect()
    }

    /// The servers, with the names the provider gives them.
    pub fn servers(&self, voice: &Voice) -> Servers {
        let hosts = Hosts {
            imap: &voice.imap_host,
            pop3: &voice.pop3_host,
            smtp: &voice.smtp_host,
        };
        let listening = self.bound.get().map_or(&*self.said, Vec::as_slice);
        let servers = Servers::new(listening, &hosts, &self.legacy(voice));
        if servers.all().len() < listening.len() {
            // Anybody can ask; the operator reads it once.
            self.warned.call_once(|| {
                tracing::warn!(
                    "a host name for customers is that of a legacy host, or none; programs are not told of it \
                     (rohrpost rollout voice list)"
                );
            });
        }
        servers
    }

    /// The host that answers HTTPS for all domains: that of the provider's site. `None`: it has none.
    pub fn web(&self, voice: &Voice) -> Option<HostName> {
        let rest = voice.site.strip_prefix("https://")?;
        let host = rest.split(['/', ':']).next()?;
        HostName::new(host, &self.legacy(voice))
    }

    /// The records `domain` should publish for programs that look for its servers.
    pub fn records(&self, voice: &Voice, domain: &DomainName) -> Vec<discovery::srv::Record> {
        let web = self.web(voice);
        let servers = self.servers(voice);
        web.map_or_else(Vec::new, |web| {
            discovery::srv::wanted(&servers, domain.as_str(), &web)
        })
    }
}

/// What is told beside the servers.
pub(crate) fn provider(voice: &Voice) -> Provider<'_> {
    Provider {
        name: &voice.provider,
        site: &voice.site,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(all: &[&str]) -> Vec<Listening> {
        all.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_was_bound_counts_and_legacy_hosts_do_not() {
        let said = listening(&["imap tls 993", "smtp tls 465"]);
        let connecting = Connecting::new(said, vec!["old.rp.test".to_owned()]);
        let mut voice = Voice::of_host("mx.rp.test");
        assert_eq!(connecting.servers(&voice).all().len(), 2);
        connecting.bound(listening(&["imap tls 10993"]));
        let servers = connecting.servers(&voice);
        assert_eq!(servers.all().len(), 1);
        assert_eq!(servers.all()[0].port(), 10_993);
        voice.imap_host = "OLD.rp.test".to_owned();
        assert!(connecting.servers(&voice).all().is_empty());
        voice.imap_host = voice.legacy_imap_host.clone();
        assert!(connecting.servers(&voice).all().is_empty());
    }

    #[test]
    fn the_site_is_where_the_records_lead() {
        let connecting = Connecting::new(listening(&["imap tls 993"]), Vec::new());
        let mut voice = Voice::of_host("mx.rp.test");
        voice.site = "https://www.rp.test:8443/mail/".to_owned();
        assert_eq!(connecting.web(&voice).unwrap().as_str(), "www.rp.test");
        let domain = DomainName::parse("firma.test").unwrap();
        let records = connecting.records(&voice, &domain);
        let lines: Vec<String> = records.iter().map(|record| record.line()).collect();
        let wanted = "autoconfig.firma.test. IN CNAME www.rp.test.".to_owned();
        assert!(lines.contains(&wanted), "{lines:?}");
    }
}
