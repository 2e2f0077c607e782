//! Which hosts take mail for a domain, in order (RFC 5321 §5.1, RFC 7505). Pure: answers of the DNS in,
//! hosts or a refusal out; `destination` asks.

use crate::duty::Chosen;
use platform::dns::{Answer, Mx, MxHost, Outcome};
use std::time::Duration;

/// MX hosts looked at (a domain with more is broken or hostile).
pub(crate) const HOSTS_MAX: usize = 10;
/// How long an absence is believed; the resolver knows its real time to live and keeps it.
pub(crate) const ABSENCE_KEPT: Duration = Duration::from_secs(60);

/// What the MX records of a domain say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exchangers {
    /// Hosts by preference; not empty.
    Hosts {
        hosts: Vec<MxHost>,
        chosen: Chosen,
        /// The name that has the records, after aliases.
        canonical: Box<str>,
        ttl: Duration,
    },
    /// Mail cannot go there; the text begins with an enhanced code.
    Never(String),
    /// Nobody can say now; the text begins with an enhanced code.
    Later(String),
}

/// Reads the answer for `domain`; `ours` are the names of this installation, in lower case.
pub(crate) fn read(domain: &str, answer: Outcome<Mx>, ours: &[String]) -> Exchangers {
    match answer {
        Outcome::Found(Answer {
            value: Mx::Null, ..
        }) => Exchangers::Never(format!(
            "5.1.10 {domain} says that it takes no mail (null MX); ask the recipient for another \
             address"
        )),
        Outcome::Found(Answer {
            value: Mx::Hosts(hosts),
            ttl,
            security,
            name,
            ..
        }) => match before_ours(hosts, ours) {
            Some(hosts) => Exchangers::Hosts {
                hosts,
                chosen: Chosen::Mx(security),
                canonical: name,
                ttl,
            },
            None => Exchangers::Never(format!(
                "5.4.6 mail for {domain} would come back to this server, which does not take it; the \
                 MX records of {domain} or the domains of this server are wrong"
            )),
        },
        // RFC 5321 §5.1: without MX the domain's own addresses are the host.
        Outcome::NoData(security) => Exchangers::Hosts {
            hosts: vec![MxHost {
                preference: 0,
                host: domain.to_owned(),
            }],
            chosen: Chosen::Mx(security),
            canonical: domain.into(),
            ttl: ABSENCE_KEPT,
        },
        Outcome::NxDomain(_) => Exchangers::Never(format!(
            "5.1.2 the domain {domain} does not exist; check the address for a typing error"
        )),
        Outcome::Bogus(why) => Exchangers::Later(format!(
            "4.7.5 the DNS answers for {domain} are forged or wrong ({why}); whoever runs its DNS must \
             mend DNSSEC, and it is tried again"
        )),
        Outcome::TemporaryFailure(why) => {
            Exchangers::Later(format!("4.4.3 the DNS does not answer for {domain}: {why}"))
        }
    }
}

/// The hosts that are better than ourselves (RFC 5321 §5.1); `None` where there are none.
fn before_ours(mut hosts: Vec<MxHost>, ours: &[String]) -> Option<Vec<MxHost>> {
    let own = hosts
        .iter()
        .filter(|mx| ours.contains(&mx.host))
        .map(|mx| mx.preference)
        .min();
    if let Some(own) = own {
        hosts.retain(|mx| mx.preference < own);
    }
    hosts.truncate(HOSTS_MAX);
    (!hosts.is_empty()).then_some(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::dns::Security;

    fn answer(hosts: &[(u16, &str)]) -> Outcome<Mx> {
        let hosts = hosts.iter().map(|&(preference, host)| MxHost {
            preference,
            host: host.to_owned(),
        });
        Outcome::Found(Answer {
            value: Mx::from_records(hosts.collect()),
            ttl: Duration::from_secs(9),
            security: Security::Secure,
            first: Security::Secure,
            name: "x.test".into(),
        })
    }

    fn names(exchangers: Exchangers) -> Vec<String> {
        match exchangers {
            Exchangers::Hosts { hosts, .. } => hosts.into_iter().map(|mx| mx.host).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn code(exchangers: &Exchangers) -> &str {
        match exchangers {
            Exchangers::Never(text) | Exchangers::Later(text) => {
                text.split(' ').next().unwrap_or_default()
            }
            Exchangers::Hosts { .. } => "hosts",
        }
    }

    #[test]
    fn hosts_that_are_no_better_than_ourselves_are_left_out() {
        let ours = ["us.test".to_owned()];
        let hosts = answer(&[
            (10, "a.test"),
            (20, "us.test"),
            (20, "b.test"),
            (30, "c.test"),
        ]);
        assert_eq!(names(read("x.test", hosts, &ours)), ["a.test"]);
        let loops = answer(&[(10, "us.test"), (10, "b.test")]);
        assert_eq!(code(&read("x.test", loops, &ours)), "5.4.6");
    }

    #[test]
    fn absence_failure_and_refusal_are_different() {
        let of = |answer| read("x.test", answer, &[]);
        assert_eq!(names(of(Outcome::NoData(Security::Insecure))), ["x.test"]);
        assert_eq!(code(&of(answer(&[(0, "")]))), "5.1.10");
        assert_eq!(code(&of(Outcome::NxDomain(Security::Insecure))), "5.1.2");
        assert_eq!(code(&of(Outcome::Bogus("x".to_owned()))), "4.7.5");
        let failure = Outcome::TemporaryFailure("x".to_owned());
        assert_eq!(code(&of(failure)), "4.4.3");
    }

    #[test]
    fn no_more_hosts_are_looked_at_than_a_domain_can_have() {
        let many: Vec<(u16, &str)> = (0..50).map(|n| (n, "mx.test")).collect();
        assert_eq!(names(read("x.test", answer(&many), &[])).len(), HOSTS_MAX);
    }
}
