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
    // The time of the node, where one runs: exceptions and policies end by it.
    let clock = Clock::settable(super::policy::now(settings));
    let random = Random::from_os();
    let from = match &options.from {
        Some(from) => sender(settings, &store, from, &clock).await?,
        None => Who::default(),
    };
    let policies = Policies::open(store.clone(), clock.clone())
        .await
        .map_err(|error| error.to_string())?;
    let sources = Sources {
        store,
        resolver: resolver(settings, &clock).map_err(|error| error.to_string())?,
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
        TlsVersion::V1_0 | TlsVersion::V1_1 | TlsVersion::V1_2 => "",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::COMPONENTS;
    use platform::dns::StaticResolver;
    use platform::store::{Engine, Options};
    use routing::sts::NoFetcher;
    use routing::{Router, RouterParts, RouterSettings};
    use std::time::Duration;

    async fn explained(dns: &StaticResolver, destination: &str, next_hop: Option<&str>) -> String {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            engine: Engine::Sqlite {
                path: dir.path().join("test.sqlite"),
            },
            readers: 1,
            gather_max: Duration::ZERO,
            before_commit: None,
        };
        let store = Store::open(options, COMPONENTS).unwrap();
        let clock = Clock::system();
        let policies = Policies::open(store.clone(), clock.clone()).await.unwrap();
        let router = Router::new(RouterParts {
            resolver: Arc::new(dns.clone()),
            policies,
            store,
            fetcher: Arc::new(NoFetcher),
            observer: Arc::new(Deaf),
            clock: clock.clone(),
            random: Random::seeded(1),
            settings: RouterSettings {
                own_names: Vec::new(),
                next_hop: next_hop.map(str::to_owned),
                port: 25,
            },
        });
        let who = Who::default();
        let request = Request {
            sender: Sender {
                account: who.account,
                domain: &who.domain,
                group: None,
            },
            destination,
            require_tls: RequireTls::No,
            tls_required_no: TlsRequiredNo::Absent,
            override_route: None,
            now: clock.now(),
        };
        told(destination, &router.explain(&request).await)
    }

    #[tokio::test]
    async fn everything_that_led_to_a_route_is_told() {
        let dns = StaticResolver::new();
        dns.add_mx("x.test", 10, "mx1.x.test")
            .add_mx("x.test", 20, "mx2.x.test");
        for host in ["mx1.x.test", "mx2.x.test"] {
            dns.add_address(host, "192.0.2.1".parse().unwrap());
        }
        dns.secure("x.test").bogus("_25._tcp.mx2.x.test");
        dns.add_tlsa(
            "_25._tcp.mx1.x.test",
            Tlsa {
                usage: 3,
                selector: 1,
                matching: 1,
                data: [0xab; 32].into(),
            },
        );
        let text = explained(&dns, "x.test", None).await;
        for line in [
            "Mail for x.test:",
            "  DNSSEC proves the MX records (or that there are none).",
            "  MTA-STS: no policy.",
            "  mx1.x.test (preference 10):",
            "    Addresses: 192.0.2.1:25 (proved by DNSSEC).",
            &format!("      mx1.x.test: 3 1 1 {}", "ab".repeat(32)),
            "    Demanded: a certificate that a TLSA record means.",
            "    Why: the host has signed TLSA records (dane).",
            "Tried in this order: mx1.x.test.",
        ] {
            assert!(text.lines().any(|have| have == line), "{line}\n{text}");
        }
        assert!(
            text.contains("    Not used: 4.7.5 mx2.x.test is not used because"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_next_hop_says_why_it_stands_there() {
        let text = explained(&StaticResolver::new(), "x.test", Some("[192.0.2.7]:26")).await;
        let first = "Mail for x.test goes to 192.0.2.7: queue.next_hop names it for all mail.";
        assert_eq!(text.lines().next(), Some(first));
        assert!(text.contains("Tried in this order: 192.0.2.7."), "{text}");
    }
}
