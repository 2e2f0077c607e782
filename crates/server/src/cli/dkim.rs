//! `rohrpost dkim`: keys that sign what leaves. Each verb is a function from the keyring and what was typed to the
//! text that is printed. Private keys are never printed, exported or passed as arguments.

use super::stores;
use crate::control::{Request, ask};
use crate::node::{open_signing, resolver};
use crate::settings::Settings;
use clap::{Args, Subcommand};
use directory::{Directory, DomainName};
use formats::rfc3339;
use platform::clock::{Clock, Timestamp};
use platform::random::Random;
use platform::store::Store;
use serde_json::{Value, json};
use signing::keyring::{Begin, Checked, Force, NewKeys, forget_all};
use signing::lifecycle::{KEPT_PUBLISHED, KeyState, Publication, active_from};
use signing::{Algorithm, KeyRow, Keyring, Naming, RsaSize, Signing};
use std::time::Duration;

/// Keys that sign for longer than this are due for rotation (twice a year).
const ROTATE_AFTER: Duration = Duration::from_secs(183 * 86_400);

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Makes the first keys of a domain, RSA and Ed25519, and prints the DNS records to publish.
    ///
    /// They sign as soon as a running node has seen their records in DNS (it looks every 10
    /// minutes), or at once with --now.
    ///
    /// Example: rohrpost dkim add firma.example
    Add {
        /// Such as firma.example.
        #[arg(value_parser = domain_name, required_unless_present = "all")]
        domain: Option<DomainName>,
        /// For every domain that has none, the server's own name included.
        #[arg(long, conflicts_with = "domain")]
        all: bool,
        #[command(flatten)]
        new: New,
        #[command(flatten)]
        format: Format,
    },
    /// Lists all keys and where they are in their life.
    List(Format),
    /// Shows the keys of a domain with their DNS records.
    Show {
        /// Such as firma.example.
        #[arg(value_parser = domain_name)]
        domain: DomainName,
        #[command(flatten)]
        format: Format,
    },
    /// Looks in DNS for the records now, and says what is missing; exit code 1 where something is.
    Check {
        /// Such as firma.example; all domains when not given.
        #[arg(value_parser = domain_name)]
        domain: Option<DomainName>,
        #[command(flatten)]
        format: Format,
    },
    /// Makes the next pair of keys of a domain and prints their records.
    ///
    /// The old keys go on signing until the new records were seen in DNS and twice their TTL has
    /// passed; then the new ones take over by themselves. The records of the old ones must stay
    /// for 14 more days. Called again meanwhile, it shows the pair that waits.
    ///
    /// Example: rohrpost dkim rotate firma.example
    Rotate {
        /// Such as firma.example.
        #[arg(value_parser = domain_name)]
        domain: DomainName,
        #[command(flatten)]
        new: New,
        #[command(flatten)]
        format: Format,
    },
    /// Forgets all keys, where the file installation.secret is lost and no backup has it.
    ///
    /// The node must be stopped. At its next start it makes a new secret and new keys for its own
    /// name; add those of the domains again with `rohrpost dkim add --all`, and publish them.
    Reset {
        /// Yes, all keys.
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Removes keys that sign no more.
    Remove {
        /// Such as firma.example.
        #[arg(value_parser = domain_name)]
        domain: DomainName,
        /// One selector only, such as rp2611a.
        selector: Option<String>,
        /// Keys that sign, or whose records mail under way still needs, too.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        format: Format,
    },
}

/// How new keys are to be.
#[derive(Args)]
pub(super) struct New {
    /// Sign at once, whether the records are published or not.
    #[arg(long)]
    now: bool,
    /// 2048, 3072 or 4096; larger keys cost three and seven times the time.
    #[arg(long, default_value_t = 2048, value_parser = rsa_bits)]
    rsa_bits: u32,
    /// Selectors rp1a, rp1b and rp2a, rp2b in turn, for customers who publish four CNAME records
    /// once.
    #[arg(long)]
    fixed_selectors: bool,
}

/// How results are printed.
#[derive(Args, Clone, Copy)]
pub(super) struct Format {
    /// Print JSON instead of text; times are milliseconds since 1970.
    #[arg(long)]
    json: bool,
}

impl New {
    fn read(&self) -> NewKeys {
        NewKeys {
            rsa: RsaSize::from_bits(self.rsa_bits).unwrap_or_default(),
            naming: self.fixed_selectors.then_some(Naming::Fixed),
            begin: if self.now {
                Begin::Now
            } else {
                Begin::WhenSeen
            },
        }
    }
}

fn domain_name(text: &str) -> Result<DomainName, String> {
    DomainName::parse(text).map_err(|error| error.to_string())
}

fn rsa_bits(text: &str) -> Result<u32, String> {
    let bits = text
        .parse()
        .ok()
        .filter(|bits| RsaSize::from_bits(*bits).is_some());
    bits.ok_or_else(|| "2048, 3072 or 4096".to_owned())
}

/// Carries out one verb and prints what it says.
///
/// # Errors
/// A text for the person at the terminal; also where `check` found something.
pub(super) fn run(settings: &Settings, verb: &Verb) -> Result<(), String> {
    let store = match verb {
        Verb::Add { .. } => stores::open_or_create_store(settings)?,
        _ => stores::open_store(settings)?,
    };
    if let Verb::Reset { .. } = verb {
        return reset(settings, &store);
    }
    let work = async {
        let (clock, random) = (Clock::system(), Random::from_os());
        let resolver = resolver(settings, &clock).map_err(|error| error.to_string())?;
        let signing = open_signing(settings, &store, &clock, &random, resolver)
            .await
            .map_err(|error| error.to_string())?;
        let rules = crate::node::directory_settings(settings);
        let directory = Directory::open(store.clone(), rules, random)
            .await
            .map_err(|error| error.to_string())?;
        let desk = Desk {
            domains: hosted_domains(&directory, &clock).await?,
            signing,
            now: clock.now(),
        };
        desk.carry_out(verb).await
    };
    let done = super::block_on(work)??;
    super::print(format_args!("{}", done.text));
    if !matches!(verb, Verb::List(_) | Verb::Show { .. }) {
        // Without a node there is nobody to tell; one that does not answer looks within a second.
        let _ = ask(&settings.data_dir, &Request::Refresh);
    }
    done.problem.map_or(Ok(()), Err)
}

fn reset(settings: &Settings, store: &Store) -> Result<(), String> {
    if ask(&settings.data_dir, &Request::Refresh).is_ok_and(|answer| answer.is_some()) {
        return Err(
            "the node runs, so its secret is not lost; stop it if you want this".to_owned(),
        );
    }
    let forgotten = super::block_on(forget_all(store))?.map_err(|error| error.to_string())?;
    super::say(format_args!(
        "{forgotten} keys are forgotten; take their records out of DNS"
    ));
    Ok(())
}

async fn hosted_domains(directory: &Directory, clock: &Clock) -> Result<Vec<String>, String> {
    let admin = crate::accounts::admin(directory.clone(), clock.clone());
    let domains = admin.domains().await.map_err(|error| error.to_string())?;
    Ok(domains.into_iter().map(|domain| domain.name).collect())
}

/// What a verb works with.
struct Desk {
    signing: Signing,
    domains: Vec<String>,
    now: Timestamp,
}

/// What is printed, and what makes the exit code 1.
struct Done {
    text: String,
    problem: Option<String>,
}

impl Done {
    fn text(text: String) -> Self {
        Self {
            text,
            problem: None,
        }
    }
}

impl Desk {
    async fn carry_out(&self, verb: &Verb) -> Result<Done, String> {
        let keyring = self.signing.keyring();
        let failed = |error: signing::SigningError| error.to_string();
        match verb {
            Verb::Add {
                domain,
                new,
                format,
                ..
            } => self.add(&keyring, domain.as_ref(), new, *format).await,
            Verb::List(format) => {
                let keys = keyring.list().await.map_err(failed)?;
                Ok(Done::text(self.list(&keys, *format)))
            }
            Verb::Show { domain, format } => {
                let keys = keyring.of_domain(domain.as_str()).await.map_err(failed)?;
                if keys.is_empty() {
                    return Err(format!(
                        "{domain} has no DKIM keys; `rohrpost dkim add {domain}` makes them"
                    ));
                }
                Ok(Done::text(self.show(&keys, *format)))
            }
            Verb::Check { domain, format } => self.check(&keyring, domain.as_ref(), *format).await,
            Verb::Rotate {
                domain,
                new,
                format,
            } => {
                let keys = keyring
                    .rotate(domain.as_str(), new.read())
                    .await
                    .map_err(failed)?;
                Ok(Done::text(self.show(&keys, *format)))
            }
            Verb::Reset { .. } => Ok(Done::text(String::new())),
            Verb::Remove {
                domain,
                selector,
                force,
                format,
            } => {
                let force = if *force { Force::Yes } else { Force::No };
                let keys = keyring.remove(domain.as_str(), selector.as_deref(), force);
                let keys = keys.await.map_err(failed)?;
                Ok(Done::text(self.removed(&keys, *format)))
            }
        }
    }

    async fn add(
        &self,
        keyring: &Keyring<'_>,
        domain: Option<&DomainName>,
        new: &New,
        format: Format,
    ) -> Result<Done, String> {
        let failed = |error: signing::SigningError| error.to_string();
        let host = self.signing.host();
        let wanted: Vec<String> = match domain {
            Some(domain) => {
                let known = |name: &String| name == domain.as_str();
                if !self.domains.iter().any(known) && domain.as_str() != host {
                    return Err(format!(
                        "{domain} is no domain of this server; `rohrpost domain add {domain}` makes it one"
                    ));
                }
                vec![domain.to_string()]
            }
            None => {
                let mut wanted = Vec::new();
                for name in self.domains.iter().cloned().chain([host.to_owned()]) {
                    if keyring.of_domain(&name).await.map_err(failed)?.is_empty() {
                        wanted.push(name);
                    }
                }
                wanted
            }
        };
        let mut made = Vec::new();
        for name in &wanted {
            made.extend(keyring.add(name, new.read()).await.map_err(failed)?);
        }
        if made.is_empty() && !format.json {
            return Ok(Done::text("Every domain has DKIM keys.\n".to_owned()));
        }
        Ok(Done::text(self.show(&made, format)))
    }

    async fn check(
        &self,
        keyring: &Keyring<'_>,
        domain: Option<&DomainName>,
        format: Format,
    ) -> Result<Done, String> {
        let failed = |error: signing::SigningError| error.to_string();
        let mut names: Vec<String> = match domain {
            Some(domain) => vec![domain.to_string()],
            None => {
                let keys = keyring.list().await.map_err(failed)?;
                keys.into_iter().map(|key| key.domain).collect()
            }
        };
        names.dedup();
        let (mut text, mut problems, mut values) = (String::new(), 0, Vec::new());
        for name in &names {
            for checked in keyring.check(name).await.map_err(failed)? {
                problems += usize::from(is_problem(&checked));
                text.push_str(&checked_line(&checked, self.now));
                values.push(self.value(&checked.key));
            }
        }
        if format.json {
            text = pretty(&Value::Array(values));
        } else if text.is_empty() {
            text = "There are no keys; `rohrpost dkim add` makes them.\n".to_owned();
        }
        let problem = (problems > 0).then(|| {
            format!(
                "{problems} records are not as they should be; `rohrpost dkim show DOMAIN` prints what to publish"
            )
        });
        Ok(Done { text, problem })
    }

    fn value(&self, key: &KeyRow) -> Value {
        let record = key.record();
        json!({
            "domain": key.domain,
            "selector": key.selector,
            "algorithm": key.algorithm.record_word(),
            "state": key.state.word(),
            "created": key.created.0,
            "activated": key.activated.map(|at| at.0),
            "retired": key.retired.map(|at| at.0),
            "checked": key.checked.map(|at| at.0),
            "published": publication_word(&key.publication),
            "finding": publication_text(&key.publication),
            "record": { "name": record.name(), "value": record.value(),
                        "zone_line": record.zone_line(),
                        "cname_target": record.hosted_name(self.signing.host()) },
        })
    }

    fn list(&self, keys: &[KeyRow], format: Format) -> String {
        if format.json {
            return pretty(&keys.iter().map(|key| self.value(key)).collect());
        }
        let mut text = String::new();
        for key in keys {
            text.push_str(&format!(
                "{}  {}  {}: {}\n",
                key.domain,
                key.selector,
                algorithm_word(key),
                sentence(key, self.now)
            ));
        }
        let without = |name: &&String| !keys.iter().any(|key| key.domain == **name);
        for name in self.domains.iter().filter(without) {
            text.push_str(&format!(
                "{name}  has no keys; its mail is signed for {} only. Run: rohrpost dkim add {name}\n",
                self.signing.host()
            ));
        }
        text
    }

    fn show(&self, keys: &[KeyRow], format: Format) -> String {
        if format.json {
            return pretty(&keys.iter().map(|key| self.value(key)).collect());
        }
        let mut text = String::new();
        for key in keys {
            let record = key.record();
            text.push_str(&format!(
                "{}  {}  {}: {}\n",
                key.domain,
                key.selector,
                algorithm_word(key),
                sentence(key, self.now)
            ));
            if key.state != KeyState::Revoked {
                text.push_str(&format!(
                    "  TXT record in one line, for web forms:\n    {}\n    {}\n  for a zone file:\n    {}\n  \
                     or an alias to the provider's zone, which then has the TXT record:\n    {}\n",
                    record.name(),
                    record.value(),
                    record.zone_line(),
                    record.cname_line(self.signing.host()),
                ));
            }
            text.push('\n');
        }
        text
    }

    fn removed(&self, keys: &[KeyRow], format: Format) -> String {
        if format.json {
            return pretty(&keys.iter().map(|key| self.value(key)).collect());
        }
        let line = |key: &KeyRow| {
            format!(
                "{} is removed; take its record out of DNS.\n",
                key.record().name()
            )
        };
        keys.iter().map(line).collect()
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn algorithm_word(key: &KeyRow) -> String {
    match key.algorithm {
        // The bytes of the modulus and some 38 around it.
        Algorithm::Rsa => format!(
            "RSA {}",
            key.public_key.len().saturating_sub(38) / 128 * 1024
        ),
        Algorithm::Ed25519 => "Ed25519".to_owned(),
    }
}

fn day(at: Timestamp) -> String {
    rfc3339::format(at.0)
        .chars()
        .take(16)
        .collect::<String>()
        .replace('T', " ")
        + " UTC"
}

/// Where a key is and whose move it is.
fn sentence(key: &KeyRow, now: Timestamp) -> String {
    let at = |at: Option<Timestamp>| at.map_or_else(|| "?".to_owned(), day);
    match key.state {
        KeyState::New => format!(
            "waits for its DNS record{}; publish it, `rohrpost dkim check {}` looks at once",
            finding(key),
            key.domain
        ),
        KeyState::Published => format!(
            "its record is in DNS; it signs from {} on, when no cache can still lack it",
            at(key.seen.map(active_from))
        ),
        KeyState::Active => {
            let old = key
                .activated
                .is_some_and(|since| now.since(since) > ROTATE_AFTER);
            let advice = if old {
                format!(
                    "; older than six months, run: rohrpost dkim rotate {}",
                    key.domain
                )
            } else {
                String::new()
            };
            format!("signs since {}{}{advice}", at(key.activated), finding(key))
        }
        KeyState::Retiring => format!(
            "signed until {}; its record must stay in DNS until {}",
            at(key.retired),
            at(key.retired.map(|retired| retired.plus(KEPT_PUBLISHED)))
        ),
        KeyState::Revoked => format!(
            "its private half is destroyed; take its record out of DNS, then: rohrpost dkim remove {} {}",
            key.domain, key.selector
        ),
    }
}

fn finding(key: &KeyRow) -> String {
    match &key.publication {
        Publication::Seen => String::new(),
        Publication::Unknown(why) if why.is_empty() => String::new(),
        Publication::Unknown(why) => format!(" (DNS did not answer: {why})"),
        Publication::Absent => " (DNS has no such record)".to_owned(),
        Publication::Differs(what) => format!(" (the record in DNS is wrong: {what})"),
    }
}

fn publication_word(publication: &Publication) -> &'static str {
    match publication {
        Publication::Unknown(_) => "unknown",
        Publication::Seen => "seen",
        Publication::Absent => "absent",
        Publication::Differs(_) => "differs",
    }
}

fn publication_text(publication: &Publication) -> &str {
    match publication {
        Publication::Unknown(text) | Publication::Differs(text) => text,
        Publication::Seen | Publication::Absent => "",
    }
}

fn is_problem(checked: &Checked) -> bool {
    checked.key.state < KeyState::Retiring && checked.key.publication != Publication::Seen
}

fn checked_line(checked: &Checked, now: Timestamp) -> String {
    let moved = if checked.before == checked.key.state {
        String::new()
    } else {
        format!(" (was {})", checked.before.word())
    };
    format!(
        "{}: {}{moved}\n",
        checked.key.record().name(),
        sentence(&checked.key, now)
    )
}
