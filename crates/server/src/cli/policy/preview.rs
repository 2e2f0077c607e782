//! Who would no longer get through: shown before mandatory TLS is switched on (S4-15, S3-77). Reads what
//! delivery and acceptance recorded; changes nothing.

use super::Desk;
use super::output::{table, time};
use policy::Scope;
use policy::admin::PolicyError;
use routing::seen::{Counted, inbound_preview, outbound_preview};

/// Which mail a switch is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To others.
    Out,
    /// From others.
    In,
}

/// The preview for a scope, as text. What is recorded is recorded per domain, so an account's preview is
/// that of its domain.
pub(super) async fn of(
    desk: &Desk<'_>,
    way: Way,
    scope: &Scope,
    days: u32,
) -> Result<String, PolicyError> {
    desk.keep();
    let domains = domains(desk, scope).await?;
    let now = desk.now;
    let mut text = String::new();
    for domain in domains {
        let wanted = domain.clone();
        let counted = desk
            .store
            .read(move |tx| match way {
                Way::Out => outbound_preview(tx, &wanted, days, now),
                Way::In => inbound_preview(tx, &wanted, days, now),
            })
            .await?;
        text.push_str(&told(way, &domain, &counted, days));
    }
    Ok(text)
}

async fn domains(desk: &Desk<'_>, scope: &Scope) -> Result<Vec<String>, PolicyError> {
    let scope = scope.clone();
    let read = desk.store.read(move |tx| policy::domains_of(tx, &scope));
    Ok(read.await?)
}

fn told(way: Way, domain: &str, counted: &[Counted], days: u32) -> String {
    let (whose, those) = match way {
        Way::Out => (
            "recipient domains of mail from",
            "could not be written to any more",
        ),
        Way::In => ("sender domains of mail for", "would be refused"),
    };
    if counted.is_empty() {
        return format!(
            "In the last {days} days all {whose} {domain} that were seen used TLS: nobody {} as far as is \
             known.\n",
            match way {
                Way::Out => "would be out of reach",
                Way::In => "would be refused",
            }
        );
    }
    let rows: Vec<Vec<String>> = counted
        .iter()
        .map(|one| {
            vec![
                one.domain.clone(),
                one.clear.to_string(),
                one.protected.to_string(),
                time(one.last_clear).chars().take(10).collect(),
            ]
        })
        .collect();
    format!(
        "In the last {days} days these {whose} {domain} used no TLS and {those}:\n{}",
        table(&["DOMAIN", "IN CLEAR", "OVER TLS", "LAST IN CLEAR"], &rows)
    )
}
