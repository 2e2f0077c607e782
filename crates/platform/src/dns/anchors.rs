//! Trust anchors: the keys from which DNSSEC validation starts (RFC 4033 §2). Reads DS and DNSKEY records in
//! zone-file form, as IANA, unbound and BIND write them, for the root or any zone below it. Never fetches anything.

use hickory_proto::dnssec::rdata::{DNSKEY, DS};
use hickory_proto::dnssec::{Algorithm, DigestType, PublicKeyBuf};
use hickory_proto::rr::Name;
use std::path::Path;

/// The root's keys of 2017 and 2024 (<https://data.iana.org/root-anchors/root-anchors.xml>).
const ROOT: &str = "\
. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
";
/// Bytes of an anchor file; one has a few lines.
const FILE_BYTES_MAX: usize = 1 << 20;

/// One zone whose keys are known.
#[derive(Debug, Clone)]
pub(crate) struct Anchor {
    pub(crate) zone: Name,
    pub(crate) ds: Vec<DS>,
    pub(crate) keys: Vec<DNSKEY>,
}

/// The zones whose keys are known. Without any, nothing is ever `Secure`.
#[derive(Debug, Clone, Default)]
pub struct Anchors {
    zones: Vec<Anchor>,
    named: Named,
}

/// Who named the anchors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Named {
    /// The operator: they hold, whatever the servers can do.
    #[default]
    ByOperator,
    /// This program: they hold where the servers pass signatures on at all.
    ByProgram,
}

impl Anchors {
    /// Trusts nothing: validation is off.
    pub fn none() -> Self {
        Self::default()
    }

    /// The keys of the root zone as they were when this program was made.
    pub fn root() -> Self {
        let mut anchors = Self::parse(ROOT).unwrap_or_default();
        anchors.named = Named::ByProgram;
        anchors
    }

    pub(crate) fn named(&self) -> Named {
        self.named
    }

    /// Reads a file.
    ///
    /// # Errors
    /// In words, where it cannot be read, a line is no DS or DNSKEY record, or there is none.
    pub fn read(path: &Path) -> Result<Self, String> {
        let wrong = |reason: &str| format!("the trust anchors in {}: {reason}", path.display());
        let text = std::fs::read(path).map_err(|e| wrong(&e.to_string()))?;
        if text.len() > FILE_BYTES_MAX {
            return Err(wrong("the file is too large"));
        }
        Self::parse(&String::from_utf8_lossy(&text)).map_err(|e| wrong(&e))
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    /// In words, naming the record that cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut anchors = Self::default();
        let mut owner = String::new();
        for record in records(text) {
            let mut words: Vec<&str> = record.words.iter().map(String::as_str).collect();
            if words.first().is_some_and(|word| word.starts_with('$')) {
                continue;
            }
            if record.names_owner {
                words.remove(0).clone_into(&mut owner);
            }
            let problem = anchors.add(&owner, &words);
            problem.map_err(|why| format!("line {}: {why}", record.line))?;
        }
        if anchors.zones.is_empty() {
            return Err("there is no DS or DNSKEY record".to_owned());
        }
        Ok(anchors)
    }

    fn add(&mut self, owner: &str, words: &[&str]) -> Result<(), String> {
        let class = |word: &str| word.eq_ignore_ascii_case("IN");
        let ttl = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
        let start = words.iter().position(|word| !class(word) && !ttl(word));
        let (kind, data) = start
            .and_then(|start| words.get(start..))
            .and_then(<[_]>::split_first)
            .ok_or("the record has no type")?;
        let mut zone = Name::from_ascii(owner).map_err(|e| format!("{owner}: {e}"))?;
        zone.set_fqdn(true);
        let zone = zone.to_lowercase();
        match kind.to_ascii_uppercase().as_str() {
            "DS" => {
                let ds = ds(data).ok_or("the DS record cannot be read")?;
                self.zone(zone).ds.push(ds);
            }
            "DNSKEY" => {
                let key = dnskey(data).ok_or("the DNSKEY record cannot be read")?;
                self.zone(zone).keys.push(key);
            }
            other => return Err(format!("{other} is neither DS nor DNSKEY")),
        }
        Ok(())
    }

    fn zone(&mut self, zone: Name) -> &mut Anchor {
        let at = self.zones.iter().position(|anchor| anchor.zone == zone);
        let at = at.unwrap_or_else(|| {
            self.zones.push(Anchor {
                zone,
                ds: Vec::new(),
                keys: Vec::new(),
            });
            self.zones.len() - 1
        });
        &mut self.zones[at]
    }

    /// The lowest zone with known keys that `name` is in.
    pub(crate) fn above(&self, name: &Name) -> Option<&Anchor> {
        let above = self.zones.iter().filter(|anchor| anchor.zone.zone_of(name));
        above.max_by_key(|anchor| anchor.zone.num_labels())
    }
}

/// `key-tag algorithm digest-type digest`, the digest perhaps in several words.
fn ds(words: &[&str]) -> Option<DS> {
    let (numbers, digest) = words.split_at_checked(3)?;
    let digest = digest.concat();
    let digest: Option<Vec<u8>> = (0..digest.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(digest.get(at..at + 2)?, 16).ok())
        .collect();
    Some(DS::new(
        numbers.first()?.parse().ok()?,
        Algorithm::from_u8(numbers.get(1)?.parse().ok()?),
        DigestType::from(numbers.get(2)?.parse::<u8>().ok()?),
        digest.filter(|digest| !digest.is_empty())?,
    ))
}

/// `flags protocol algorithm key`, the key in base64, perhaps in several words or quotes.
fn dnskey(words: &[&str]) -> Option<DNSKEY> {
    let (numbers, key) = words.split_at_checked(3)?;
    if numbers.get(1)? != &"3" {
        return None;
    }
    let key = base64(&key.concat().replace('"', ""))?;
    let algorithm = Algorithm::from_u8(numbers.get(2)?.parse().ok()?);
    Some(DNSKEY::with_flags(
        numbers.first()?.parse().ok()?,
        PublicKeyBuf::new(key, algorithm),
    ))
}

pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut have) = (0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        have += 6;
        if have >= 8 {
            have -= 8;
            bytes.push((bits >> have) as u8);
        }
    }
    Some(bytes).filter(|bytes| !bytes.is_empty())
}

/// One record of a zone file, its parentheses and comments taken out.
struct Record {
    line: usize,
    /// False where the line begins with a space: the owner is that of the record before.
    names_owner: bool,
    words: Vec<String>,
}

fn records(text: &str) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.split(';').next().unwrap_or_default();
        if line.trim().is_empty() {
            continue;
        }
        let spaced = line.replace('(', " ( ").replace(')', " ) ");
        if !open || records.is_empty() {
            records.push(Record {
                line: number + 1,
                names_owner: !line.starts_with([' ', '\t']),
                words: Vec::new(),
            });
        }
        for word in spaced.split_ascii_whitespace() {
            match word {
                "(" => open = true,
                ")" => open = false,
                word => {
                    if let Some(record) = records.last_mut() {
                        record.words.push(word.to_owned());
                    }
                }
            }
        }
    }
    records.retain(|record| !record.words.is_empty());
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::dnssec::{PublicKey as _, TrustAnchors};

    #[test]
    fn the_built_in_digests_are_those_of_the_roots_keys() {
        let anchors = Anchors::root();
        let theirs = TrustAnchors::default();
        assert_eq!(anchors.zones.len(), 1);
        assert_eq!(anchors.zones[0].ds.len(), theirs.len());
        for at in 0..theirs.len() {
            let key = theirs.get(at).unwrap();
            let key = PublicKeyBuf::new(key.public_bytes().to_vec(), key.algorithm());
            let key = DNSKEY::with_flags(257, key);
            let covered = |ds: &DS| ds.covers(&Name::root(), &key).unwrap();
            assert!(anchors.zones[0].ds.iter().any(covered));
        }
    }

    #[test]
    fn what_others_write_is_read() {
        let text = "; autotrust trust anchor file\n;;id: . 1\n$TTL 3600\n\
            .\t86400\tIN\tDNSKEY\t257 3 8 AwEAAQ== ;{id = 20326 (ksk), size = 2048b}\n\
            Test. IN DS 1 13 2 (\n  00112233445566778899AABBCCDDEEFF\n  00112233445566778899aabbccddeeff ) ; two lines\n\
            \t3600 DS 2 13 4 00ff\n\
            lab.test DNSKEY 256 3 13 AAEC AwQF\n";
        let anchors = Anchors::parse(text).unwrap();
        let named = |name: &str| anchors.above(&Name::from_ascii(name).unwrap());
        assert_eq!(named("mx.example.").unwrap().keys.len(), 1);
        let test = named("mx.firma.test.").unwrap();
        assert_eq!(test.zone.to_ascii(), "test.");
        assert_eq!(test.ds.len(), 2);
        assert_eq!(test.ds[0].digest().len(), 32);
        assert_eq!(test.ds[1].digest(), [0, 0xff]);
        let lab = named("a.LAB.test.").unwrap();
        assert_eq!(lab.keys[0].public_key().public_bytes(), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_is_no_anchor_is_named() {
        for (text, problem) in [
            ("", "there is no DS"),
            ("; nothing\n", "there is no DS"),
            (". IN A 192.0.2.1\n", "line 1: A is neither"),
            ("\n. IN DS 1 2\n", "line 2: the DS record"),
            (". IN DS 1 8 2 0g\n", "the DS record"),
            (". IN DS 1 8 2 ä0\n", "the DS record"),
            (". DNSKEY 257 4 8 AAEC\n", "the DNSKEY record"),
            (". DNSKEY 257 3 8 !\n", "the DNSKEY record"),
            (". IN\n", "no type"),
        ] {
            let error = Anchors::parse(text).unwrap_err();
            assert!(error.contains(problem), "{text:?}: {error}");
        }
        assert!(Anchors::none().above(&Name::root()).is_none());
    }
}
