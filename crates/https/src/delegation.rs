//! A subdomain for a tool that sends in a customer's name: finds the hosted domain it is under, asks whether the caller
//! may see that, and gathers the records and what the DNS has of them. For the page and the API; changes nothing.

use crate::access::{Right, Subject};
use crate::call::Call;
use crate::problem::Problem;
use directory::{DomainName, Hosting};
use platform::dns::{Outcome, Resolver};
use rollout::delegation::{Around, Delegation, Seen, Typed, Wanted, look, records};
use rollout::dmarc::record::{Record, Wish};

/// What is to be published, and what is.
pub(crate) struct Delegated {
    pub(crate) delegation: Delegation,
    pub(crate) records: Vec<(Wanted, Seen)>,
}

/// The hosted domain that `name` is below.
///
/// # Errors
/// Where there is none, or the caller may not see it: the same words.
async fn domain_above(call: &Call, name: &str) -> Result<DomainName, Problem> {
    let none = || {
        Problem::invalid([
            format!(
                "{name} liegt unter keiner Domain, die Sie hier verwalten; geben Sie eine Subdomain an, etwa \
                 news.firma.example."
            ),
            format!(
                "{name} is below no domain that you administer here; give a subdomain such as news.firma.example."
            ),
        ])
    };
    let name = DomainName::parse(name.trim()).map_err(|_| none())?;
    let mut rest = name.as_str();
    while let Some((_, parent)) = rest.split_once('.') {
        let domain = DomainName::parse(parent).map_err(|_| none())?;
        let hosting = call.services.directory.hosting(&domain).await?;
        if matches!(hosting, Hosting::Here(_)) {
            let may = call
                .caller()?
                .may(Right::See, &Subject::Domain(domain.clone()));
            return if may { Ok(domain) } else { Err(none()) };
        }
        rest = parent;
    }
    Err(none())
}

/// What the domain asks for its subdomains; `None`: it has no record.
///
/// # Errors
/// Where the DNS does not say: the subdomain would be milder than the domain without anybody knowing.
async fn wish_around(
    resolver: &dyn Resolver,
    domain: &DomainName,
) -> Result<Option<Wish>, Problem> {
    let owner = format!("_dmarc.{domain}");
    let texts = match resolver.txt(&owner).await {
        Outcome::Found(answer) => answer.value,
        Outcome::NoData(_) | Outcome::NxDomain(_) => return Ok(None),
        Outcome::Bogus(why) | Outcome::TemporaryFailure(why) => {
            return Err(Problem::unreachable([
                format!(
                    "Das DNS sagt nichts über {owner}, wonach sich der Eintrag der Subdomain richtet: {why}"
                ),
                format!(
                    "The DNS does not tell {owner}, which the subdomain's record follows: {why}"
                ),
            ]));
        }
    };
    let mut texts = texts.into_iter().filter_map(|t| String::from_utf8(t).ok());
    let record = texts.find_map(|text| Record::parse(&text).ok());
    Ok(record.map(|record| record.subdomain_wish()))
}

/// Gathers it.
///
/// # Errors
/// Where what was typed makes no delegation, or the subdomain is under no domain of the caller's.
pub(crate) async fn of(call: &Call, typed: &Typed<'_>) -> Result<Delegated, Problem> {
    let domain = domain_above(call, typed.name).await?;
    let delegation = Delegation::new(&domain, typed).map_err(Problem::invalid)?;
    let services = &call.services;
    let resolver = &*services.resolver;
    let around = Around {
        wish: wish_around(resolver, &domain).await?,
        reports_address: services.advisor.reports_address(),
    };
    let wanted = records(&delegation, &around);
    let seen = look(resolver, &wanted).await;
    Ok(Delegated {
        delegation,
        records: wanted.into_iter().zip(seen).collect(),
    })
}
