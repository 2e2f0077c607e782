//! `rohrpost route`: tells where mail for a domain would go now and what TLS would have to be like, with
//! everything that led to it. Asks the DNS and policy hosts as delivery does; sends nothing.

use super::stores;
use crate::node::routing::{Sources, router};
use crate::node::{directory_settings, resolver};
use crate::settings::Settings;
use clap::Args;
use directory::{AccountId, AddressKey, Directory, DomainName, Hosting};
use platform::clock::Clock;
use platform::dns::{Security, Tlsa};
use platform::random::Random;
use platform::store::Store;
use platform::tls::{Proof, TlsVersion};
use policy::admin::Admin;
use policy::{Policies, Sender};
use routing::duty::{Chosen, Dane, Duty, Floor};
use routing::sts::StsPolicy;
use routing::tlsrpt::Deaf;
use routing::{Explained, ExplainedHost, Request, RequireTls, Route, TlsRequiredNo};
use std::fmt::Write as _;
use std::sync::Arc;

#[derive(Args)]
pub(super) struct Options {
    /// The recipients' domain, such as firma.example, or an address there.
    domain: String,
    /// Who sends: an account's address, or a domain here. Without it only what holds for everybody
    /// counts.
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// As if the message asked for REQUIRETLS.
    #[arg(long)]
    require_tls: bool,
    /// As if the message said "TLS-Required: No".
    #[arg(long)]
    tls_required_no: bool,
}

/// On whose behalf, owned.
#[derive(Default)]
struct Who {
    account: Option<AccountId>,
    domain: String,
    group: Option<String>,
}

pub(super) fn run(settings: &Settings, options: &Options) -> Result<(), String> {
    let store = stores::open_store(settings)?;
    let text = super::block_on(explain(settings, store, options))??;
    super::print(format_args!("{text}"));
    Ok(())
}

async fn explain(settings: &Settings, store: Store, options: &Options) -> Result<String, String> {
    let (clock, random) = (Clock::system(), Random::from_os());
    let from = match &options.from {
        Some(from) => sender(settings, &store, from, &clock).await?,
        None => Who::default(),
    };
    let policies = Policies::open(store.clone(), clock.clone())
        .await
        .map_err(|error| error.to_string())?;
    let sources = Sources {
        store,
        resolver: resolver(settings).map_err(|error| error.to_string())?,
        policies,
        observer: Arc::new(Deaf),
        clock: clock.clone(),
        random,
    };
    let router = router(settings, sources).map_err(|error| error.to_string())?;
    let destination = options.domain.rsplit_once('@');
    let destination = destination.map_or(options.domain.as_str(), |(_, domain)| domain);
    let request = Request {
        sender: Sender {
            account: from.account,
            domain: &from.domain,
            group: from.group.as_deref(),
        },
        destination,
        require_tls: if options.require_tls {
            RequireTls::Yes
        } else {
            RequireTls::No
        },
        tls_required_no: if options.tls_required_no {
            TlsRequiredNo::Present
        } else {
            TlsRequiredNo::Absent
        },
        override_route: None,
        now: clock.now(),
    };
    Ok(told(destination, &router.explain(&request).await))
}

async fn sender(
    settings: &Settings,
    store: &Store,
    from: &str,
    clock: &Clock,
) -> Result<Who, String> {
    if from.contains('@') {
        let login = AddressKey::parse(from).map_err(|error| error.to_string())?;
        let owned = |sender: &Sender<'_>| Who {
            account: sender.account,
            domain: sender.domain.to_owned(),
            group: sender.group.map(str::to_owned),
        };
        let admin = Admin::new(store.clone());
        let found = admin.with_sender(&login, clock.now(), |_, sender| owned(sender));
        return found.await.map_err(|error| error.to_string());
    }
    let domain = DomainName::parse(from).map_err(|error| error.to_string())?;
    let rules = directory_settings(settings);
    let directory = Directory::open(store.clone(), rules, Random::from_os())
        .await
        .map_err(|error| error.to_string())?;
    match directory
        .hosting(&domain)
        .await
        .map_err(|error| error.to_string())?
    {
        Hosting::Elsewhere => Err(format!(
            "{domain} is no domain here; `rohrpost domain list` shows those that are"
        )),
        Hosting::Here(group) => Ok(Who {
            account: None,
            domain: domain.as_str().to_owned(),
            group: group.as_deref().map(str::to_owned),
        }),
    }
}

/// Everything in words.
fn told(destination: &str, explained: &Explained) -> String {
    let mut text = String::new();
    match &explained.next_hop {
        Some(why) => {
            let hop = &explained.asked;
            line(
                &mut text,
                0,
                &format!("Mail for {destination} goes to {hop}: {why}."),
            );
        }
        None => line(&mut text, 0, &format!("Mail for {destination}:")),
    }
    if let Some(chosen) = explained.chosen {
        line(&mut text, 1, chosen_words(chosen));
    }
    if explained
        .chosen
        .is_some_and(|chosen| chosen != Chosen::Operator)
    {
        line(&mut text, 1, &sts_words(explained.sts.as_deref()));
    }
    for host in &explained.hosts {
        host_words(&mut text, host);
    }
    let outcome = match &explained.route {
        Route::Hops(hops) => {
            let hosts: Vec<_> = hops.iter().map(|hop| hop.host.as_str()).collect();
            format!("Tried in this order: {}.", hosts.join(", "))
        }
        Route::Never(refusal) => format!("It would be returned at once: {}.", refusal.reply),
        Route::Later(refusal) => format!("It would wait: {}.", refusal.reply),
    };
    line(&mut text, 0, &outcome);
    text
}

fn line(text: &mut String, depth: usize, words: &str) {
    let _ = writeln!(text, "{:width$}{words}", "", width = depth * 2);
}

fn chosen_words(chosen: Chosen) -> &'static str {
    match chosen {
        Chosen::Mx(Security::Secure) => "DNSSEC proves the MX records (or that there are none).",
        Chosen::Mx(Security::Insecure) => {
            "The MX records are not signed, so DANE does not count for their hosts."
        }
        Chosen::Operator => "The next hop is ours to name; MX records and MTA-STS do not count.",
    }
}

fn sts_words(policy: Option<&StsPolicy>) -> String {
    match policy {
        None => "MTA-STS: no policy.".to_owned(),
        Some(policy) => format!(
            "MTA-STS: mode {}, hosts {}, kept for {} s.",
            policy.mode.as_str(),
            policy.mx.join(", "),
            policy.max_age.as_secs()
        ),
    }
}

fn host_words(text: &mut String, host: &ExplainedHost) {
    line(
        text,
        1,
        &format!("{} (preference {}):", host.name, host.preference),
    );
    match &host.addresses {
        Ok((addresses, security)) => {
            let listed: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            let signed = match security {
                Security::Secure => "proved by DNSSEC",
                Security::Insecure => "not signed",
            };
            line(
                text,
                2,
                &format!("Addresses: {} ({signed}).", listed.join(", ")),
            );
        }
        Err(why) => line(text, 2, &format!("No address: {why}.")),
    }
    dane_words(text, &host.dane);
    match &host.ruling.duty {
        Ok(duty) => duty_words(text, duty),
        Err(unusable) => line(text, 2, &format!("Not used: {}.", unusable.reply)),
    }
}

fn dane_words(text: &mut String, dane: &Dane) {
    let records = |text: &mut String, base: &str, records: &[Tlsa]| {
        for record in records {
            let data: String = record
                .data
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let Tlsa {
                usage,
                selector,
                matching,
                ..
            } = record;
            line(
                text,
                3,
                &format!("{base}: {usage} {selector} {matching} {data}"),
            );
        }
    };
    match dane {
        Dane::NotApplicable(why) => line(text, 2, &format!("DANE: not looked up, because {why}.")),
        Dane::Absent => line(text, 2, "DANE: no TLSA records."),
        Dane::Usable {
            base,
            records: usable,
            ..
        } => {
            line(text, 2, "DANE: signed TLSA records:");
            records(text, base, usable);
        }
        Dane::Unusable { base, records: all } => {
            line(
                text,
                2,
                "DANE: signed TLSA records, none of which can be used:",
            );
            records(text, base, all);
        }
        Dane::Failed { why, .. } => line(text, 2, &format!("DANE: cannot be told: {why}.")),
    }
}

fn duty_words(text: &mut String, duty: &Duty) {
    let floor = match &duty.floor {
        Floor::Clear => {
            "TLS where it is offered; in clear where it is not, and after a failed handshake in a later \
             attempt"
                .to_owned()
        }
        Floor::Encrypt => "TLS with forward secrecy and AEAD, whoever the server is".to_owned(),
        Floor::Proof(proof) => proof_words(proof),
    };
    let version = match duty.version_min {
        TlsVersion::V1_2 => "",
        TlsVersion::V1_3 => "; TLS 1.3",
    };
    line(text, 2, &format!("Demanded: {floor}{version}."));
    line(
        text,
        2,
        &format!("Why: {} ({}).", duty.policy.why, duty.policy.name),
    );
    if let Some(audit) = &duty.audit {
        line(
            text,
            2,
            &format!("Looked at and reported only: {}.", proof_words(audit)),
        );
    }
}

fn proof_words(proof: &Proof) -> String {
    match proof {
        Proof::Any => "any certificate".to_owned(),
        Proof::Names(names) => format!("a trusted certificate for {}", names.join(" or ")),
        Proof::Dane { .. } => "a certificate that a TLSA record means".to_owned(),
        Proof::Fingerprints(_) => "a certificate with a fingerprint of the rule".to_owned(),
    }
}
