//! SPF (RFC 7208): whether a domain lets an address send for it. For the self-check of our own pools and
//! domains; asks the DNS through the resolver it is given, with the RFC's limits, and never guesses.

mod macros;
mod record;
#[cfg(test)]
mod tests;

use macros::expand;
use platform::dns::{Mx, Outcome, Resolver};
use record::{Mechanism, Qualifier, Record, parse};
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

/// Terms that ask the DNS, in all records together (RFC 7208 §4.6.4).
const LOOKUPS_MAX: u32 = 10;
/// Lookups that find nothing (RFC 7208 §4.6.4).
const VOIDS_MAX: u32 = 2;
/// Hosts of one mx mechanism (RFC 7208 §4.6.4).
const MX_HOSTS_MAX: usize = 10;

/// RFC 7208 §2.6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpfResult {
    /// The domain publishes no SPF record.
    None,
    /// It says nothing about the address.
    Neutral,
    /// It lets the address send.
    Pass,
    /// It does not.
    Fail,
    /// It probably does not.
    SoftFail,
    /// The DNS did not answer; why, for the operator.
    TempError(String),
    /// The record cannot be used; why, for the operator.
    PermError(String),
}

impl SpfResult {
    /// The word of RFC 7208 §2.6.
    pub fn word(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError(_) => "temperror",
            Self::PermError(_) => "permerror",
        }
    }
}

/// Whether `domain` lets `address` send with a sender `local@domain` (RFC 7208 §4).
pub async fn check_host(
    resolver: &dyn Resolver,
    address: IpAddr,
    domain: &str,
    local: &str,
) -> SpfResult {
    let mut check = Check {
        resolver,
        address,
        local,
        sender_domain: domain,
        lookups: 0,
        voids: 0,
    };
    match check.host(domain.to_owned()).await {
        Ok(result) => result,
        Err(Stop::Temporary(why)) => SpfResult::TempError(why),
        Err(Stop::Permanent(why)) => SpfResult::PermError(why),
    }
}

/// Why an evaluation ends at once.
enum Stop {
    Temporary(String),
    Permanent(String),
}

struct Check<'c> {
    resolver: &'c dyn Resolver,
    address: IpAddr,
    local: &'c str,
    sender_domain: &'c str,
    lookups: u32,
    voids: u32,
}

impl<'c> Check<'c> {
    /// RFC 7208 §4.3 to §4.7; calls itself for include and redirect.
    fn host<'a>(
        &'a mut self,
        domain: String,
    ) -> Pin<Box<dyn Future<Output = Result<SpfResult, Stop>> + Send + 'a>> {
        Box::pin(async move {
            let Some(record) = self.record(&domain).await? else {
                return Ok(SpfResult::None);
            };
            for (qualifier, mechanism) in &record.mechanisms {
                if self.matches(mechanism, &domain).await? {
                    return Ok(match qualifier {
                        Qualifier::Pass => SpfResult::Pass,
                        Qualifier::Fail => SpfResult::Fail,
                        Qualifier::SoftFail => SpfResult::SoftFail,
                        Qualifier::Neutral => SpfResult::Neutral,
                    });
                }
            }
            let Some(redirect) = &record.redirect else {
                return Ok(SpfResult::Neutral);
            };
            self.term()?;
            let target = self.name(redirect, &domain)?;
            // RFC 7208 §6.1: nothing at the target is an error.
            match self.host(target.clone()).await? {
                SpfResult::None => Err(Stop::Permanent(format!(
                    "redirect={target} leads to a domain without SPF record"
                ))),
                result => Ok(result),
            }
        })
    }

    async fn record(&mut self, domain: &str) -> Result<Option<Record>, Stop> {
        let texts = match self.resolver.txt(domain).await {
            Outcome::Found(answer) => answer.value,
            Outcome::NoData(_) | Outcome::NxDomain(_) => return Ok(None),
            Outcome::Bogus(why) | Outcome::TemporaryFailure(why) => {
                return Err(Stop::Temporary(why));
            }
        };
        let mut records = texts
            .iter()
            .filter_map(|bytes| std::str::from_utf8(bytes).ok())
            .filter(|text| record::is_spf(text));
        let Some(first) = records.next() else {
            return Ok(None);
        };
        if records.next().is_some() {
            return Err(Stop::Permanent(format!(
                "{domain} has more than one SPF record"
            )));
        }
        parse(first).map(Some).map_err(Stop::Permanent)
    }

    fn term(&mut self) -> Result<(), Stop> {
        self.lookups += 1;
        if self.lookups > LOOKUPS_MAX {
            return Err(Stop::Permanent(format!(
                "more than {LOOKUPS_MAX} terms that ask the DNS"
            )));
        }
        Ok(())
    }

    fn void(&mut self) -> Result<(), Stop> {
        self.voids += 1;
        if self.voids > VOIDS_MAX {
            return Err(Stop::Permanent(format!(
                "more than {VOIDS_MAX} lookups that find nothing"
            )));
        }
        Ok(())
    }

    fn name(&self, written: &str, domain: &str) -> Result<String, Stop> {
        let facts = macros::Facts {
            address: self.address,
            local: self.local,
            sender_domain: self.sender_domain,
            domain,
        };
        expand(written, &facts).map_err(Stop::Permanent)
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Result<bool, Stop> {
        let target = |check: &Self, written: &Option<String>| match written {
            Some(written) => check.name(written, domain),
            None => Ok(domain.to_owned()),
        };
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip { network, bits } => Ok(within(self.address, *network, *bits)),
            Mechanism::Include(written) => {
                self.term()?;
                let included = self.name(written, domain)?;
                match self.host(included.clone()).await? {
                    SpfResult::Pass => Ok(true),
                    // RFC 7208 §5.2.
                    SpfResult::None => Err(Stop::Permanent(format!(
                        "include:{included} leads to a domain without SPF record"
                    ))),
                    _ => Ok(false),
                }
            }
            Mechanism::A {
                domain: written,
                bits,
            } => {
                self.term()?;
                let host = target(self, written)?;
                self.host_matches(&host, *bits, Void::Counts).await
            }
            Mechanism::Mx {
                domain: written,
                bits,
            } => {
                self.term()?;
                let name = target(self, written)?;
                self.mx_matches(&name, *bits).await
            }
            Mechanism::Exists(written) => {
                self.term()?;
                let name = self.name(written, domain)?;
                match self.resolver.addresses(&name).await {
                    Outcome::Found(answer) => Ok(answer.value.iter().any(IpAddr::is_ipv4)),
                    other => self.nothing(other),
                }
            }
            Mechanism::Ptr(_) => {
                self.term()?;
                // RFC 7208 §5.5: not to be used. Names of addresses prove nothing we want to rely on.
                Ok(false)
            }
        }
    }

    /// A lookup without records: counted, and no match.
    fn nothing<T>(&mut self, outcome: Outcome<T>) -> Result<bool, Stop> {
        match outcome {
            Outcome::Bogus(why) | Outcome::TemporaryFailure(why) => Err(Stop::Temporary(why)),
            _ => self.void().map(|()| false),
        }
    }

    async fn host_matches(&mut self, host: &str, bits: Bits, void: Void) -> Result<bool, Stop> {
        match self.resolver.addresses(host).await {
            Outcome::Found(answer) => Ok(answer
                .value
                .iter()
                .any(|found| within(self.address, *found, bits.for_family(*found)))),
            Outcome::NoData(_) | Outcome::NxDomain(_) if void == Void::Free => Ok(false),
            other => self.nothing(other),
        }
    }

    async fn mx_matches(&mut self, name: &str, bits: Bits) -> Result<bool, Stop> {
        let hosts = match self.resolver.mx(name).await {
            Outcome::Found(answer) => match answer.value {
                Mx::Hosts(hosts) => hosts,
                Mx::Null => return Ok(false),
            },
            other => return self.nothing(other),
        };
        if hosts.len() > MX_HOSTS_MAX {
            return Err(Stop::Permanent(format!(
                "{name} has more than {MX_HOSTS_MAX} mail exchangers"
            )));
        }
        for host in hosts {
            if self.host_matches(&host.host, bits, Void::Free).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a lookup that finds nothing counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Void {
    Counts,
    Free,
}

/// Prefix lengths per address family (RFC 7208 §5.6, dual-cidr-length).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bits {
    v4: u8,
    v6: u8,
}

impl Bits {
    fn for_family(self, address: IpAddr) -> u8 {
        match address {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6,
        }
    }
}

/// Whether both addresses are of one family and share the first `bits` bits.
fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => {
            let differ = a.to_bits() ^ n.to_bits();
            differ
                .checked_shr(32 - u32::from(bits.min(32)))
                .unwrap_or(0)
                == 0
        }
        (IpAddr::V6(a), IpAddr::V6(n)) => {
            let differ = a.to_bits() ^ n.to_bits();
            differ
                .checked_shr(128 - u32::from(bits.min(128)))
                .unwrap_or(0)
                == 0
        }
        _ => false,
    }
}
