//! Everything a forwarded message proves, and how it is written as authentication results (RFC 8601 §2.2, RFC 8617
//! §4.1.1). Values that come from the message are written only where they are plain names.

use super::chain::{self, Chain, Status};
use super::dkim::{BodyHashes, Kind, SIGNATURES_MAX, Service, Signature, Verdict};
use super::dmarc::{self, Aligned, Dmarc, Proofs};
use super::spf::{Check, Spf};
use super::spf_macro::Facts;
use crate::service::ReceivedFrom;
use directory::DomainName;
use formats::header::{Entry, Field, parse_addresses};
use platform::clock::Timestamp;
use platform::dns::Resolver;
use std::io;

/// One signature and what came of it.
struct Signed {
    verdict: Verdict,
    /// Domain, selector and the beginning of `b=`, where the signature could be read.
    of: Option<(String, String, String)>,
}

/// What a message proves.
pub(crate) struct Results {
    spf: Spf,
    /// The domain SPF was asked for.
    spf_domain: Option<String>,
    spf_of_hello: bool,
    signed: Vec<Signed>,
    dmarc: Dmarc,
    from: Option<String>,
    /// Of the chain that is there already.
    pub(crate) chain: Status,
}

/// Looks at a message. `chain` is that of `fields`.
pub(crate) async fn evaluate(
    fields: &[Field<'_>],
    chain: &Chain<'_, '_>,
    bodies: &mut BodyHashes<'_>,
    received: &ReceivedFrom,
    resolver: &dyn Resolver,
    now: Timestamp,
) -> io::Result<Results> {
    let chain = chain.status(fields, bodies, resolver, now).await?;
    let signed = signatures(fields, bodies, resolver, now, Service::Mail).await?;
    let (spf, spf_domain) = spf(received, resolver).await;
    let from = author_domain(fields);
    let dmarc = match &from {
        None => Dmarc::PermError,
        Some(from) => {
            let passed = signed
                .iter()
                .filter(|signed| signed.verdict == Verdict::Pass);
            let proofs = Proofs {
                // RFC 9989: only the MAIL FROM identity counts; for the null sender that is the EHLO name.
                spf: spf_domain.as_deref().filter(|_| spf == Spf::Pass),
                dkim: passed
                    .filter_map(|signed| Some(signed.of.as_ref()?.0.as_str()))
                    .collect(),
            };
            dmarc::check(from, &proofs, resolver).await
        }
    };
    Ok(Results {
        spf,
        spf_domain,
        spf_of_hello: received.mail_from.is_none(),
        signed,
        dmarc,
        from,
        chain,
    })
}

/// Domains whose DKIM signature over a message is valid.
pub(crate) async fn signers(
    fields: &[Field<'_>],
    bodies: &mut BodyHashes<'_>,
    resolver: &dyn Resolver,
    now: Timestamp,
) -> io::Result<Vec<String>> {
    let signed = signatures(fields, bodies, resolver, now, Service::TlsReports).await?;
    Ok(signed
        .into_iter()
        .filter(|signed| signed.verdict == Verdict::Pass)
        .filter_map(|signed| signed.of.map(|(domain, ..)| domain))
        .collect())
}

async fn signatures(
    fields: &[Field<'_>],
    bodies: &mut BodyHashes<'_>,
    resolver: &dyn Resolver,
    now: Timestamp,
    service: Service,
) -> io::Result<Vec<Signed>> {
    let mut all = Vec::new();
    let there = fields.iter().filter(|field| field.is("DKIM-Signature"));
    for field in there.take(SIGNATURES_MAX) {
        let value = field.value();
        let parsed = std::str::from_utf8(&value)
            .map_err(|_| Verdict::PermError("not text"))
            .and_then(|text| Signature::parse(text, Kind::Dkim));
        all.push(match parsed {
            Err(verdict) => Signed { verdict, of: None },
            Ok(mut signature) => {
                signature.service = service;
                let verdict = signature
                    .verify(field, fields, bodies, resolver, now)
                    .await?;
                let b = signature
                    .signed
                    .chars()
                    .filter(|c| !c.is_whitespace())
                    .take(8);
                let b = b.collect();
                Signed {
                    verdict,
                    of: Some((signature.domain, signature.selector, b)),
                }
            }
        });
    }
    Ok(all)
}

async fn spf(received: &ReceivedFrom, resolver: &dyn Resolver) -> (Spf, Option<String>) {
    let (local, domain) = match &received.mail_from {
        Some(sender) => (sender.local(), sender.domain()),
        // RFC 7208 §2.4.
        None => ("postmaster", received.hello.as_str()),
    };
    let Ok(domain) = DomainName::parse(domain) else {
        return (Spf::None, None);
    };
    let facts = Facts {
        client: received.client.to_canonical(),
        hello: &received.hello,
        sender_local: local,
        sender_domain: domain.as_str(),
    };
    let result = Check::new(resolver, facts).run().await;
    (result, Some(domain.as_str().to_owned()))
}

/// The domain of From, where there is exactly one.
fn author_domain(fields: &[Field<'_>]) -> Option<String> {
    let mut from = fields.iter().filter(|field| field.is("From"));
    let (Some(field), None) = (from.next(), from.next()) else {
        return None;
    };
    let mut domains = Vec::new();
    for entry in parse_addresses(field.raw_value) {
        if let Entry::Mailbox { domain, .. } = entry {
            let domain = DomainName::parse(std::str::from_utf8(&domain).ok()?).ok()?;
            domains.push(domain);
        }
    }
    domains.dedup();
    match domains.as_slice() {
        [only] => Some(only.as_str().to_owned()),
        _ => None,
    }
}

impl Results {
    /// Who speaks for `author`, whether or not it publishes DMARC; `None` where DNS did not answer.
    pub(crate) async fn aligned(&self, author: &str, resolver: &dyn Resolver) -> Option<Aligned> {
        let passed = self
            .signed
            .iter()
            .filter(|signed| signed.verdict == Verdict::Pass);
        let proofs = Proofs {
            spf: self.spf_domain.as_deref().filter(|_| self.spf == Spf::Pass),
            dkim: passed
                .filter_map(|signed| Some(signed.of.as_ref()?.0.as_str()))
                .collect(),
        };
        dmarc::aligned(author, &proofs, resolver).await
    }

    /// Whether something that DNS did not answer might have proved `author`: nobody gets out of a refusal by naming
    /// servers of another domain that do not answer.
    pub(crate) fn might_be_proved(&self, author: &str) -> bool {
        let related = |domain: &str| dmarc::are_related(domain, author);
        let by_spf = self.spf == Spf::TempError && self.spf_domain.as_deref().is_some_and(related);
        let mut open = self
            .signed
            .iter()
            .filter(|signed| signed.verdict == Verdict::TempError);
        by_spf || open.any(|signed| signed.of.as_ref().is_some_and(|of| related(&of.0)))
    }

    /// Whether anybody at all answers for the message, in whosever name.
    pub(crate) fn vouched(&self) -> bool {
        let signed = |signed: &Signed| signed.verdict == Verdict::Pass;
        self.spf == Spf::Pass || self.chain == Status::Pass || self.signed.iter().any(signed)
    }

    /// As they follow `i=…; authserv-id` in a field: each on its own line.
    pub(crate) fn text(&self) -> String {
        let mut lines = vec![self.spf_text()];
        if self.signed.is_empty() {
            lines.push("dkim=none".to_owned());
        }
        for signed in &self.signed {
            lines.push(signed.text());
        }
        let from = self
            .from
            .as_ref()
            .map(|from| format!(" header.from={from}"));
        lines.push(format!(
            "dmarc={}{}",
            self.dmarc.word(),
            from.unwrap_or_default()
        ));
        lines.push(format!("arc={}", self.chain.word()));
        lines.join(";\r\n\t")
    }

    fn spf_text(&self) -> String {
        let property = if self.spf_of_hello {
            "smtp.helo"
        } else {
            "smtp.mailfrom"
        };
        match &self.spf_domain {
            Some(domain) => format!("spf={} {property}={domain}", self.spf.word()),
            None => format!("spf={}", self.spf.word()),
        }
    }
}

impl Signed {
    fn text(&self) -> String {
        let mut text = format!("dkim={}", self.verdict.word());
        if !self.verdict.why().is_empty() {
            text.push_str(&format!(" reason=\"{}\"", self.verdict.why()));
        }
        if let Some((domain, selector, b)) = &self.of {
            // b= is Base64, so it needs no quotes but those for slash and plus.
            text.push_str(&format!(
                "\r\n\t header.d={domain} header.s={selector} header.b=\"{b}\""
            ));
        }
        text
    }
}

/// The newest instance number there is.
pub(crate) fn newest(chain: &Chain<'_, '_>) -> usize {
    match chain {
        chain::Chain::Absent | chain::Chain::Ended => 0,
        chain::Chain::Sets(sets) => sets.len(),
        chain::Chain::Broken { highest } => *highest,
    }
}
