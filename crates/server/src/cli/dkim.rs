//! `rohrpost dkim`: keys that sign what leaves, over the admin API. Private keys are never printed, exported or passed
//! as arguments. Only `reset` works on the store itself: the node must be stopped for it.

use super::admin_api::{AdminApi, Method, path};
use super::stores;
use crate::control::{Request, ask};
use crate::settings::Settings;
use clap::{Args, Subcommand};
use directory::DomainName;
use https::api::dkim::{AddDkimKeys, CheckedKey, DkimKey, DkimKeys};
use serde_json::{Value, json};
use signing::RsaSize;
use signing::keyring::forget_all;

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
    fn wanted(&self) -> AddDkimKeys {
        AddDkimKeys {
            rsa_bits: Some(self.rsa_bits),
            fixed_selectors: self.fixed_selectors,
            now: self.now,
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
    if let Verb::Reset { .. } = verb {
        return reset(settings);
    }
    let done = super::block_on(async {
        let api = match verb {
            Verb::Add { .. } => AdminApi::open_or_create(settings).await?,
            _ => AdminApi::open(settings).await?,
        };
        carry_out(&api, verb).await
    })??;
    super::print(format_args!("{}", done.text));
    done.problem.map_or(Ok(()), Err)
}

fn reset(settings: &Settings) -> Result<(), String> {
    let store = stores::open_store(settings)?;
    if ask(&settings.data_dir, &Request::Refresh).is_ok_and(|answer| answer.is_some()) {
        return Err(
            "the node runs, so its secret is not lost; stop it if you want this".to_owned(),
        );
    }
    let forgotten = super::block_on(forget_all(&store))?.map_err(|error| error.to_string())?;
    super::say(format_args!(
        "{forgotten} keys are forgotten; take their records out of DNS"
    ));
    Ok(())
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

fn place(domain: &str, more: &[&str], asked: &[(&str, &str)]) -> String {
    let mut place = vec!["domains", domain, "dkim"];
    place.extend(more);
    path(&place, asked)
}

async fn all(api: &AdminApi) -> Result<DkimKeys, String> {
    api.get(&path(&["dkim"], &[])).await
}

async fn carry_out(api: &AdminApi, verb: &Verb) -> Result<Done, String> {
    match verb {
        Verb::Add {
            domain,
            new,
            format,
            ..
        } => add(api, domain.as_ref(), new, *format).await,
        Verb::List(format) => Ok(Done::text(list(&all(api).await?, *format))),
        Verb::Show { domain, format } => {
            let place = place(domain.as_str(), &[], &[]);
            let keys: Vec<DkimKey> = api.get(&place).await?;
            if keys.is_empty() {
                return Err(format!(
                    "{domain} has no DKIM keys; `rohrpost dkim add {domain}` makes them"
                ));
            }
            Ok(Done::text(show(&keys, *format)))
        }
        Verb::Check { domain, format } => check(api, domain.as_ref(), *format).await,
        Verb::Rotate {
            domain,
            new,
            format,
        } => {
            let place = place(domain.as_str(), &["rotate"], &[]);
            let keys: Vec<DkimKey> = api.send(Method::Post, &place, &new.wanted()).await?;
            Ok(Done::text(show(&keys, *format)))
        }
        Verb::Remove {
            domain,
            selector,
            force,
            format,
        } => {
            let mut asked = vec![("force", if *force { "true" } else { "false" })];
            asked.extend(selector.as_deref().map(|selector| ("selector", selector)));
            let place = place(domain.as_str(), &[], &asked);
            let keys: Vec<DkimKey> = api.send(Method::Delete, &place, &()).await?;
            Ok(Done::text(removed(&keys, *format)))
        }
        Verb::Reset { .. } => Ok(Done::text(String::new())),
    }
}

async fn add(
    api: &AdminApi,
    domain: Option<&DomainName>,
    new: &New,
    format: Format,
) -> Result<Done, String> {
    let wanted: Vec<String> = match domain {
        Some(domain) => vec![domain.to_string()],
        None => {
            let DkimKeys {
                host,
                keys,
                without,
            } = all(api).await?;
            let is_own_missing = !keys.iter().any(|key| key.domain == host);
            let own = is_own_missing.then_some(host).into_iter();
            let own = own.filter(|host| !without.contains(host));
            without.iter().cloned().chain(own).collect()
        }
    };
    let mut made: Vec<DkimKey> = Vec::new();
    for name in &wanted {
        let place = place(name, &[], &[]);
        let keys: Vec<DkimKey> = api.send(Method::Post, &place, &new.wanted()).await?;
        made.extend(keys);
    }
    if made.is_empty() && !format.json {
        return Ok(Done::text("Every domain has DKIM keys.\n".to_owned()));
    }
    Ok(Done::text(show(&made, format)))
}

async fn check(
    api: &AdminApi,
    domain: Option<&DomainName>,
    format: Format,
) -> Result<Done, String> {
    let mut names: Vec<String> = match domain {
        Some(domain) => vec![domain.to_string()],
        None => {
            let keys = all(api).await?.keys;
            keys.into_iter().map(|key| key.domain).collect()
        }
    };
    names.dedup();
    let (mut text, mut problems, mut values) = (String::new(), 0, Vec::new());
    for name in &names {
        let place = place(name, &["check"], &[]);
        let checked: Vec<CheckedKey> = api.send(Method::Post, &place, &()).await?;
        for checked in checked {
            problems += usize::from(checked.is_problem);
            text.push_str(&checked_line(&checked));
            values.push(value(&checked.key));
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

/// Milliseconds since 1970 of a time that the API told.
fn ms(time: &str) -> Option<i64> {
    formats::rfc3339::parse(time).ok()
}

fn value(key: &DkimKey) -> Value {
    json!({
        "domain": key.domain,
        "selector": key.selector,
        "algorithm": key.algorithm,
        "state": key.state,
        "created": ms(&key.created),
        "activated": key.activated.as_deref().and_then(ms),
        "retired": key.retired.as_deref().and_then(ms),
        "checked": key.checked.as_deref().and_then(ms),
        "published": key.published,
        "finding": key.finding,
        "record": { "name": key.name, "value": key.value, "zone_line": key.zone_line,
                    "cname_target": key.cname_target },
    })
}

fn line(key: &DkimKey) -> String {
    format!(
        "{}  {}  {}: {}\n",
        key.domain, key.selector, key.kind, key.says
    )
}

fn list(all: &DkimKeys, format: Format) -> String {
    if format.json {
        return pretty(&all.keys.iter().map(value).collect());
    }
    let mut text: String = all.keys.iter().map(line).collect();
    for name in &all.without {
        text.push_str(&format!(
            "{name}  has no keys; its mail is signed for {} only. Run: rohrpost dkim add {name}\n",
            all.host
        ));
    }
    text
}

fn show(keys: &[DkimKey], format: Format) -> String {
    if format.json {
        return pretty(&keys.iter().map(value).collect());
    }
    let mut text = String::new();
    for key in keys {
        text.push_str(&line(key));
        if key.state != "revoked" {
            text.push_str(&format!(
                "  TXT record in one line, for web forms:\n    {}\n    {}\n  for a zone file:\n    {}\n  \
                 or an alias to the provider's zone, which then has the TXT record:\n    {}\n",
                key.name, key.value, key.zone_line, key.cname_line,
            ));
        }
        text.push('\n');
    }
    text
}

fn removed(keys: &[DkimKey], format: Format) -> String {
    if format.json {
        return pretty(&keys.iter().map(value).collect());
    }
    let line = |key: &DkimKey| format!("{} is removed; take its record out of DNS.\n", key.name);
    keys.iter().map(line).collect()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn checked_line(checked: &CheckedKey) -> String {
    let key = &checked.key;
    let moved = match checked.state_before == key.state {
        true => String::new(),
        false => format!(" (was {})", checked.state_before),
    };
    format!("{}: {}{moved}\n", key.name, key.says)
}
