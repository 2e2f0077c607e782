//! `rohrpost tls`: the TLSA records for this server's own keys, and changing a key without an hour in which
//! DANE fails (RFC 7671 §8.1, RFC 7672 §8.4). Works on the certificate directory; the node is told to reload.

use crate::control::{Request, ask};
use crate::node::resolver;
use crate::settings::Settings;
use clap::Subcommand;
use formats::rfc3339;
use platform::clock::{Clock, Timestamp};
use platform::dns::{Outcome, Tlsa};
use platform::tls::host_keys::{HostKey, host_keys, make_key};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Prints the TLSA records of the keys that are served and of those that come next.
    ///
    /// They are 3 1 1: they mean the key, so a new certificate for the same key (with certbot:
    /// --reuse-key) needs no new record. Publish them only in a zone signed with DNSSEC.
    ///
    /// Example: rohrpost tls records --host mx.example.org
    Records {
        /// The host in the domains' MX records; node.host_name when not given.
        #[arg(long)]
        host: Option<String>,
    },
    /// Makes the next key, next/NAME.key in tls.certificate_dir, and a request for its certificate,
    /// next/NAME.csr.
    ///
    /// A pair of your own may be put there instead, as next/NAME.key and next/NAME.crt.
    ///
    /// Example: rohrpost tls next mx
    Next {
        /// The name of the pair it will replace: NAME.crt and NAME.key.
        name: String,
    },
    /// Puts the next pair in the place of the one that is served, once DNS is ready for it.
    ///
    /// Refused, with what is missing and exit code 1, until the certificate is there, the record of
    /// the next key was seen in DNS, and twice the TTL has passed since. The old pair is kept in
    /// previous/; its record may be removed from DNS afterwards.
    ///
    /// Example: rohrpost tls rollover mx --host mx.example.org
    Rollover {
        /// The name of the pair: NAME.crt and NAME.key.
        name: String,
        /// The host in the domains' MX records; node.host_name when not given.
        #[arg(long)]
        host: Option<String>,
    },
}

pub(super) fn run(settings: &Settings, verb: &Verb) -> Result<(), String> {
    let desk = Desk {
        settings,
        served: settings.certificate_dir.clone(),
        next: settings.certificate_dir.join("next"),
    };
    let text = match verb {
        Verb::Records { host } => desk.records(host.as_deref())?,
        Verb::Next { name } => desk.next(name)?,
        Verb::Rollover { name, host } => desk.rollover(name, host.as_deref())?,
    };
    super::print(format_args!("{text}"));
    Ok(())
}

struct Desk<'a> {
    settings: &'a Settings,
    served: PathBuf,
    next: PathBuf,
}

/// What DNS said about the record of a next key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sighting {
    /// When the record was seen first.
    first: Timestamp,
    /// The longest TTL that was seen.
    ttl: Duration,
}

/// Whether the next key may be served.
#[derive(Debug, PartialEq, Eq)]
enum Ruling {
    /// Its record is not in DNS.
    Unpublished,
    /// Servers may still know only the old records, until then.
    Before(Timestamp),
    Now,
}

/// RFC 7671 §8.1: a new record must have been there for two TTLs before its key is used.
fn ruling(seen: Option<Sighting>, now: Timestamp) -> Ruling {
    let Some(seen) = seen else {
        return Ruling::Unpublished;
    };
    let ready = seen.first.plus(seen.ttl.saturating_mul(2));
    if now < ready {
        Ruling::Before(ready)
    } else {
        Ruling::Now
    }
}

impl Desk<'_> {
    fn host<'h>(&'h self, host: Option<&'h str>) -> &'h str {
        host.unwrap_or(&self.settings.host_name.0)
    }

    fn records(&self, host: Option<&str>) -> Result<String, String> {
        let owner = owner(self.host(host));
        let mut text = String::new();
        for (keys, what) in [
            (host_keys(&self.served)?, "served"),
            (host_keys(&self.next)?, "comes next"),
        ] {
            for key in keys {
                let record = presentation(&key.record);
                let _ = writeln!(text, "{owner}. IN TLSA {record} ; {}: {what}", key.stem);
            }
        }
        Ok(text)
    }

    fn next(&self, name: &str) -> Result<String, String> {
        let current = self.key(&self.served, name)?;
        if current.names.is_empty() {
            return Err(format!(
                "{name}.crt names no host; there is nothing to make a key for"
            ));
        }
        make_key(&self.next, name, &current.names)?;
        let records = self.records(None)?;
        Ok(format!(
            "The next key is {0}.key; have a certificate made for {0}.csr and put it there as {0}.crt.\n\
             Publish all of these records now:\n{records}",
            self.next.join(name).display()
        ))
    }

    fn rollover(&self, name: &str, host: Option<&str>) -> Result<String, String> {
        let next = self.key(&self.next, name)?;
        self.key(&self.served, name)?;
        let owner = owner(self.host(host));
        let record = format!("{owner}. IN TLSA {}", presentation(&next.record));
        let now = super::policy::now(self.settings);
        let seen = self.look(&owner, &next, now)?;
        match ruling(seen, now) {
            Ruling::Unpublished => Err(format!(
                "the record of the next key is not in DNS yet; publish it beside the old one:\n{record}"
            )),
            Ruling::Before(ready) => Err(format!(
                "the record of the next key is in DNS, but other servers may still remember the old \
                 records alone; go on after {}",
                rfc3339::format(ready.0)
            )),
            Ruling::Now if !next.certified => Err(format!(
                "DNS is ready, but {}.crt is not there",
                self.next.join(name).display()
            )),
            Ruling::Now => self.switch(name),
        }
    }

    fn key(&self, directory: &Path, name: &str) -> Result<HostKey, String> {
        let keys = host_keys(directory)?;
        let found = keys.into_iter().find(|key| key.stem == name);
        found.ok_or_else(|| {
            let hint = match directory == self.next {
                true => format!("`rohrpost tls next {name}` makes one"),
                false => format!("NAME is one of: {}", stems(directory)),
            };
            format!("there is no {}.key; {hint}", directory.join(name).display())
        })
    }

    /// Looks whether the record is in DNS, and remembers since when. A record that went away again counts as never
    /// seen.
    fn look(
        &self,
        owner: &str,
        next: &HostKey,
        now: Timestamp,
    ) -> Result<Option<Sighting>, String> {
        let clock = Clock::settable(now);
        let resolver = resolver(self.settings, &clock).map_err(|error| error.to_string())?;
        let answer = super::block_on(async { resolver.tlsa(owner).await })?;
        let note = self.next.join(format!("{}.seen", next.stem));
        let ttl = match answer {
            Outcome::Found(answer) if answer.value.contains(&next.record) => answer.ttl,
            Outcome::Found(_) | Outcome::NoData(_) | Outcome::NxDomain(_) => {
                let _ = std::fs::remove_file(&note);
                return Ok(None);
            }
            Outcome::Bogus(why) => {
                return Err(format!("the DNS answer for {owner} is not valid: {why}"));
            }
            Outcome::TemporaryFailure(why) => {
                return Err(format!("the DNS does not answer for {owner}: {why}"));
            }
        };
        let digits = hex(&next.record.data);
        let before = std::fs::read_to_string(&note)
            .ok()
            .and_then(|text| remembered(&text, &digits));
        let seen = Sighting {
            first: before.map_or(now, |seen| seen.first.min(now)),
            ttl: before.map_or(ttl, |seen| seen.ttl.max(ttl)),
        };
        let text = format!("{digits} {} {}\n", seen.first.0, seen.ttl.as_secs());
        std::fs::write(&note, text).map_err(|error| format!("{}: {error}", note.display()))?;
        Ok(Some(seen))
    }

    /// The certificate goes last: until it is there, a reload finds a pair that does not fit, and goes on serving the
    /// one it has.
    fn switch(&self, name: &str) -> Result<String, String> {
        let previous = self.served.join("previous");
        std::fs::create_dir_all(&previous)
            .map_err(|error| format!("{}: {error}", previous.display()))?;
        let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        for extension in ["key", "crt"] {
            let file = format!("{name}.{extension}");
            let (served, next) = (self.served.join(&file), self.next.join(&file));
            std::fs::copy(&served, previous.join(&file)).map_err(|e| failed(&served, e))?;
            std::fs::rename(&next, &served).map_err(|e| failed(&next, e))?;
        }
        for extension in ["csr", "seen"] {
            let _ = std::fs::remove_file(self.next.join(format!("{name}.{extension}")));
        }
        let told = match ask(&self.settings.data_dir, &Request::Reload) {
            Ok(Some(answer)) if answer.ok => "The node serves it now.",
            Ok(None) => "No node runs here; it is served from the next start on.",
            Ok(Some(_)) | Err(_) => "The node could not load it; see `rohrpost reload`.",
        };
        Ok(format!(
            "{name} is the new pair; the old one is in {}. {told}\n\
             The record of the old key may be removed from DNS.\n",
            previous.display()
        ))
    }
}

/// The names of the pairs in a folder, for somebody who took another one.
fn stems(directory: &Path) -> String {
    let keys = host_keys(directory).unwrap_or_default();
    let stems: Vec<_> = keys.into_iter().map(|key| key.stem).collect();
    stems.join(", ")
}

/// Where the TLSA records of a mail exchanger stand (RFC 7672 §2.2.3).
fn owner(host: &str) -> String {
    format!(
        "_25._tcp.{}",
        host.trim_end_matches('.').to_ascii_lowercase()
    )
}

fn presentation(record: &Tlsa) -> String {
    let Tlsa {
        usage,
        selector,
        matching,
        data,
    } = record;
    format!("{usage} {selector} {matching} {}", hex(data))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A note made for this key; one for another key counts for nothing.
fn remembered(text: &str, digits: &str) -> Option<Sighting> {
    let mut words = text.split_whitespace();
    if words.next()? != digits {
        return None;
    }
    Some(Sighting {
        first: Timestamp(words.next()?.parse().ok()?),
        ttl: Duration::from_secs(words.next()?.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_used_two_ttls_after_its_record_was_seen() {
        let seen = Sighting {
            first: Timestamp(1_000_000),
            ttl: Duration::from_secs(3600),
        };
        let ready = Timestamp(1_000_000 + 7_200_000);
        assert_eq!(ruling(None, ready), Ruling::Unpublished);
        assert_eq!(
            ruling(Some(seen), Timestamp(ready.0 - 1)),
            Ruling::Before(ready)
        );
        assert_eq!(ruling(Some(seen), ready), Ruling::Now);
        assert_eq!(remembered("ab 1000000 3600\n", "ab"), Some(seen));
        assert_eq!(remembered("ab 1000000 3600\n", "cd"), None);
    }
}
