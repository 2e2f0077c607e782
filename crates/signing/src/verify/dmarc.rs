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

/// Who of `Proofs` speaks for an author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aligned {
    /// The domain SPF passed for.
    Spf,
    /// That of a signature.
    Dkim,
    /// Nobody.
    Nobody,
}

/// Looks at the author's domain `from`.
pub(crate) async fn check(from: &str, proofs: &Proofs<'_>, resolver: &dyn Resolver) -> Dmarc {
    let Some(walk) = walk(from, resolver).await else {
        return Dmarc::TempError;
    };
    let Some(policy) = policy_for(from, &walk) else {
        return Dmarc::None;
    };
    match align(from, &walk, policy, proofs, resolver).await {
        Some(Aligned::Nobody) => Dmarc::Fail,
        Some(Aligned::Spf | Aligned::Dkim) => Dmarc::Pass,
        None => Dmarc::TempError,
    }
}

/// Who speaks for the author's domain `from`, whether or not it publishes DMARC; `None` where DNS did not answer.
/// Without a record only the domain itself and what is below it do: whose a domain above is, nobody says.
pub(crate) async fn aligned(
    from: &str,
    proofs: &Proofs<'_>,
    resolver: &dyn Resolver,
) -> Option<Aligned> {
    let exactly = |domain: &str| domain.eq_ignore_ascii_case(from);
    if let Some(found) = first(proofs, exactly) {
        return Some(found);
    }
    let proofs = related(from, proofs);
    if proofs.spf.is_none() && proofs.dkim.is_empty() {
        return Some(Aligned::Nobody);
    }
    let walk = walk(from, resolver).await?;
    let Some(policy) = policy_for(from, &walk) else {
        let found = first(&proofs, |domain| is_below(domain, from));
        return Some(found.unwrap_or(Aligned::Nobody));
    };
    align(from, &walk, policy, &proofs, resolver).await
}

/// Those that may be of the author's organization. Of all others the DNS is not asked, whose owners could otherwise
/// leave open by silence whether they speak for the author.
fn related<'p>(from: &str, proofs: &Proofs<'p>) -> Proofs<'p> {
    let may = |domain: &&str| are_related(domain, from);
    Proofs {
        spf: proofs.spf.filter(may),
        dkim: proofs.dkim.iter().copied().filter(may).collect(),
    }
}

/// Whether two names may be of one organization: they share at least the last two labels.
pub(crate) fn are_related(one: &str, other: &str) -> bool {
    let end = |domain: &str| {
        let dot = domain.rmatch_indices('.').nth(1);
        dot.map_or(0, |(dot, _)| dot + 1)
    };
    let (one, other) = (one.get(end(one)..), other.get(end(other)..));
    one.zip(other)
        .is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
}

fn first(proofs: &Proofs<'_>, speaks: impl Fn(&str) -> bool) -> Option<Aligned> {
    if proofs.spf.is_some_and(&speaks) {
        return Some(Aligned::Spf);
    }
    let signed = proofs.dkim.iter().any(|domain| speaks(domain));
    signed.then_some(Aligned::Dkim)
}

/// Whether `domain` is below `above`.
pub(crate) fn is_below(domain: &str, above: &str) -> bool {
    let Some(start) = domain.len().checked_sub(above.len() + 1) else {
        return false;
    };
    let (head, tail) = (domain.get(..=start), domain.get(start + 1..));
    head.is_some_and(|head| head.ends_with('.'))
        && tail.is_some_and(|tail| tail.eq_ignore_ascii_case(above))
}

/// The author's own record, that of the organization, that of the public suffix: whichever is first.
fn policy_for<'w>(from: &str, walk: &'w [Step]) -> Option<&'w Policy> {
    let organization = organization(from, walk);
    let speaks = |step: &&Step| {
        let record = step.record.as_ref();
        let of_suffix = record.is_some_and(|record| record.public_suffix == Some(true));
        step.name == from || step.name == organization || of_suffix
    };
    walk.iter()
        .filter(speaks)
        .find_map(|step| step.record.as_ref())
}

async fn align(
    from: &str,
    walk: &[Step],
    policy: &Policy,
    proofs: &Proofs<'_>,
    resolver: &dyn Resolver,
) -> Option<Aligned> {
    let organization = organization(from, walk);
    let spf = proofs
        .spf
        .map(|domain| (domain, policy.strict_spf, Aligned::Spf));
    let dkim = proofs.dkim.iter();
    let dkim = dkim.map(|domain| (*domain, policy.strict_dkim, Aligned::Dkim));
    for (domain, strict, way) in spf.into_iter().chain(dkim) {
        if domain.eq_ignore_ascii_case(from) {
            return Some(way);
        }
        if strict {
            continue;
        }
        let domain = domain.to_ascii_lowercase();
        let walk = self::walk(&domain, resolver).await?;
        if self::organization(&domain, &walk) == organization {
            return Some(way);
        }
    }
    Some(Aligned::Nobody)
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

    #[tokio::test]
    async fn a_domain_without_a_record_has_what_is_below_it_speak() {
        let dns = StaticResolver::new();
        dns.add_txt("_dmarc.firma.test", "v=DMARC1; p=reject")
            .add_txt("_dmarc.strict.test", "v=DMARC1; p=none; adkim=s")
            .fail("_dmarc.broken.test", "SERVFAIL");
        let of = async |from: &str, spf: Option<&str>, dkim: &[&str]| {
            let proofs = Proofs {
                spf,
                dkim: dkim.to_vec(),
            };
            aligned(from, &proofs, &dns).await
        };
        let (nobody, dkim) = (Some(Aligned::Nobody), Some(Aligned::Dkim));
        assert_eq!(
            of("none.test", Some("none.test"), &[]).await,
            Some(Aligned::Spf)
        );
        assert_eq!(of("none.test", None, &["News.none.test"]).await, dkim);
        assert_eq!(of("a.none.test", None, &["none.test"]).await, nobody);
        assert_eq!(
            of("none.test", Some("evilnone.test"), &["test"]).await,
            nobody
        );
        assert_eq!(of("firma.test", None, &["a.firma.test"]).await, dkim);
        assert_eq!(of("strict.test", None, &["a.strict.test"]).await, nobody);
        assert_eq!(of("broken.test", None, &["a.broken.test"]).await, None);
        assert_eq!(of("broken.test", None, &["other.test"]).await, nobody);
        // A stranger's silence leaves nothing open.
        dns.fail("_dmarc.silent.example", "SERVFAIL");
        let silent = Some("silent.example");
        assert_eq!(of("firma.test", silent, &["silent.example"]).await, nobody);
        // Nothing that could speak: nobody asks the DNS.
        assert_eq!(of("broken.test", None, &[]).await, nobody);
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
