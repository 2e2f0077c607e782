//! DMARC (RFC 9989): is the author's domain one that SPF or DKIM proved? Organizational domains by the DNS tree walk,
//! not by a list. Says what is so; what follows from it is a filter's business.

use crate::record;
use platform::dns::{Outcome, Resolver};

/// RFC 9989: a walk asks at most this many names.
const NAMES_MAX: usize = 8;

/// RFC 8601 §2.7: results of DMARC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dmarc {
    None,
    Pass,
    Fail,
    TempError,
    PermError,
}

impl Dmarc {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

/// What one name of the walk has.
struct Step {
    name: String,
    record: Option<Policy>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Policy {
    strict_dkim: bool,
    strict_spf: bool,
    /// `psd=y` or `psd=n`.
    public_suffix: Option<bool>,
}

/// Who vouches: the domain SPF passed for, and those of DKIM signatures that passed.
pub(crate) struct Proofs<'a> {
    pub(crate) spf: Option<&'a str>,
    pub(crate) dkim: Vec<&'a str>,
}

/// Looks at the author's domain `from`.
pub(crate) async fn check(from: &str, proofs: &Proofs<'_>, resolver: &dyn Resolver) -> Dmarc {
    let Some(walk) = walk(from, resolver).await else {
        return Dmarc::TempError;
    };
    let organization = organization(from, &walk);
    // The author's own record, that of the organization, that of the public suffix: whichever is first.
    let policy = walk
        .iter()
        .filter(|step| {
            let of_suffix = step
                .record
                .as_ref()
                .is_some_and(|r| r.public_suffix == Some(true));
            step.name == from || step.name == organization || of_suffix
        })
        .find_map(|step| step.record.as_ref());
    let Some(policy) = policy else {
        return Dmarc::None;
    };
    let spf = proofs.spf.map(|domain| (domain, policy.strict_spf));
    let dkim = proofs
        .dkim
        .iter()
        .map(|domain| (*domain, policy.strict_dkim));
    for (domain, strict) in spf.into_iter().chain(dkim) {
        if domain.eq_ignore_ascii_case(from) {
            return Dmarc::Pass;
        }
        if strict {
            continue;
        }
        let domain = domain.to_ascii_lowercase();
        match self::walk(&domain, resolver).await {
            Some(walk) if self::organization(&domain, &walk) == organization => return Dmarc::Pass,
            Some(_) => {}
            None => return Dmarc::TempError,
        }
    }
    Dmarc::Fail
}

/// The records from `domain` upwards; `None` where DNS did not answer.
async fn walk(domain: &str, resolver: &dyn Resolver) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for name in names(domain) {
        let record = match resolver.txt(&format!("_dmarc.{name}")).await {
            Outcome::Found(answer) => policy_of(&answer.value),
            Outcome::NoData(_) | Outcome::NxDomain(_) => None,
            Outcome::Bogus(_) | Outcome::TemporaryFailure(_) => return None,
        };
        let ends = record
            .as_ref()
            .is_some_and(|policy| policy.public_suffix.is_some());
        steps.push(Step { name, record });
        if ends && steps.len() > 1 {
            break;
        }
    }
    Some(steps)
}

/// The domain, then its parents; of long names only the last seven labels and less.
fn names(domain: &str) -> Vec<String> {
    let labels: Vec<&str> = domain.split('.').collect();
    let mut names = vec![domain.to_owned()];
    let first = if labels.len() > NAMES_MAX {
        labels.len() - (NAMES_MAX - 1)
    } else {
        1
    };
    for from in first..labels.len() {
        names.push(labels.get(from..).unwrap_or_default().join("."));
    }
    names
}

/// The organizational domain that a walk shows.
fn organization(domain: &str, walk: &[Step]) -> String {
    let found = |step: &&Step| step.record.is_some();
    for (n, step) in walk.iter().enumerate() {
        match step.record.as_ref().and_then(|policy| policy.public_suffix) {
            Some(false) => return step.name.clone(),
            Some(true) if n > 0 => {
                let below = walk.get(n - 1);
                return below.map_or_else(|| domain.to_owned(), |below| below.name.clone());
            }
            _ => {}
        }
    }
    // The record nearest to the root.
    walk.iter()
        .rev()
        .find(found)
        .map_or_else(|| domain.to_owned(), |step| step.name.clone())
}

fn policy_of(records: &[Vec<u8>]) -> Option<Policy> {
    let mut policies = records.iter().filter_map(|record| {
        let text = std::str::from_utf8(record).ok()?;
        let tags = record::tags(text)?;
        // v= comes first, or it is no DMARC record.
        tags.first()
            .filter(|(name, value)| *name == "v" && *value == "DMARC1")?;
        let is = |tag: &str, wanted: &str| {
            tags.iter()
                .any(|(name, value)| *name == tag && value.eq_ignore_ascii_case(wanted))
        };
        Some(Policy {
            strict_dkim: is("adkim", "s"),
            strict_spf: is("aspf", "s"),
            public_suffix: if is("psd", "y") {
                Some(true)
            } else {
                is("psd", "n").then_some(false)
            },
        })
    });
    let policy = policies.next();
    // More than one: none of them counts.
    if policies.next().is_some() {
        None
    } else {
        policy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::dns::StaticResolver;

    async fn result(dns: &StaticResolver, from: &str, spf: Option<&str>, dkim: &[&str]) -> Dmarc {
        let proofs = Proofs {
            spf,
            dkim: dkim.to_vec(),
        };
        check(from, &proofs, dns).await
    }

    #[tokio::test]
    async fn alignment_follows_the_tree() {
        let dns = StaticResolver::new();
        dns.add_txt("_dmarc.firma.test", "v=DMARC1; p=reject")
            .add_txt("_dmarc.strict.test", "v=DMARC1; p=none; adkim=s; aspf=s")
            .add_txt("_dmarc.suffix.test", "v=DMARC1; p=none; psd=y")
            .add_txt("_dmarc.two.test", "v=DMARC1; p=none")
            .add_txt("_dmarc.two.test", "v=DMARC1; p=reject")
            .fail("_dmarc.broken.test", "SERVFAIL");
        let pass = Dmarc::Pass;
        assert_eq!(
            result(&dns, "firma.test", Some("firma.test"), &[]).await,
            pass
        );
        assert_eq!(
            result(&dns, "firma.test", None, &["news.firma.test"]).await,
            pass
        );
        assert_eq!(
            result(&dns, "a.b.firma.test", None, &["firma.test"]).await,
            pass
        );
        assert_eq!(
            result(&dns, "firma.test", Some("other.test"), &["evil-firma.test"]).await,
            Dmarc::Fail
        );
        assert_eq!(
            result(&dns, "strict.test", None, &["a.strict.test"]).await,
            Dmarc::Fail
        );
        assert_eq!(
            result(&dns, "strict.test", None, &["strict.test"]).await,
            pass
        );
        assert_eq!(
            result(&dns, "a.suffix.test", None, &["b.suffix.test"]).await,
            Dmarc::Fail
        );
        assert_eq!(
            result(&dns, "x.a.suffix.test", None, &["a.suffix.test"]).await,
            pass
        );
        assert_eq!(result(&dns, "none.test", None, &[]).await, Dmarc::None);
        assert_eq!(result(&dns, "two.test", None, &[]).await, Dmarc::None);
        assert_eq!(
            result(&dns, "broken.test", None, &[]).await,
            Dmarc::TempError
        );
    }

    #[test]
    fn long_names_are_cut() {
        let names = names("a.b.c.d.e.f.g.h.i.test");
        assert_eq!(names.len(), 8);
        assert_eq!(
            (names[0].as_str(), names[1].as_str()),
            ("a.b.c.d.e.f.g.h.i.test", "d.e.f.g.h.i.test")
        );
    }
}
