//! Verifies a DKIM-Signature (RFC 6376 §6), and the signatures of ARC, which have the same form. A failure of DNS is
//! told apart from a signature that is wrong.

use crate::canonical::{Sink, relaxed_field, relaxed_field_open};
use crate::key::Algorithm;
use crate::message::{Form, body_hash};
use crate::record::{self, PublishedKey};
use aws_lc_rs::digest::{Context, Digest, SHA256};
use aws_lc_rs::signature::{
    ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey,
};
use directory::DomainName;
use formats::header::Field;
use platform::clock::Timestamp;
use platform::dns::{Outcome, Resolver};
use platform::spool::Spool;
use std::io;

/// Signatures that are looked at; each costs a DNS question and some 30 µs.
pub(crate) const SIGNATURES_MAX: usize = 8;
/// Names in `h=`.
const NAMES_MAX: usize = 200;
/// How far in the future `t=` may be, because clocks differ.
const CLOCK_SKEW_SECONDS: i64 = 300;

/// The result of one signature (RFC 8601 §2.7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Fail(&'static str),
    /// The signature is right, or may be, but is not accepted here.
    Policy(&'static str),
    PermError(&'static str),
    TempError,
}

impl Verdict {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail(_) => "fail",
            Self::Policy(_) => "policy",
            Self::PermError(_) => "permerror",
            Self::TempError => "temperror",
        }
    }

    pub(crate) fn why(&self) -> &'static str {
        match self {
            Self::Pass | Self::TempError => "",
            Self::Fail(why) | Self::Policy(why) | Self::PermError(why) => why,
        }
    }
}

/// What a signature field says, as far as it is used.
pub(crate) struct Signature<'f> {
    pub(crate) algorithm: Algorithm,
    pub(crate) domain: String,
    pub(crate) selector: String,
    /// The text of `b=`.
    pub(crate) signed: &'f str,
    signature: Vec<u8>,
    body_hash: Vec<u8>,
    header_form: Form,
    body_form: Form,
    names: Vec<&'f str>,
    strict_identity: bool,
    expires: Option<i64>,
    time: Option<i64>,
    has_length: bool,
    /// What the key must be for; `parse` says mail.
    pub(crate) service: Service,
}

/// What a key must be for (`s=` of its record).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Mail.
    Mail,
    /// TLS reports, which some sign with a key for nothing else (RFC 8460 §3).
    TlsReports,
}

/// What is signed: a DKIM-Signature, an ARC-Message-Signature or an ARC-Seal have different duties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `v=1` is a duty.
    Dkim,
    /// No `v=`.
    ArcMessage,
    /// No `h=`, `bh=` and `c=`.
    ArcSeal,
}

impl<'f> Signature<'f> {
    /// Reads the value of the field.
    pub(crate) fn parse(value: &'f str, kind: Kind) -> Result<Self, Verdict> {
        let wrong = |why| Err(Verdict::PermError(why));
        let Some(tags) = record::tags(value) else {
            return wrong("the signature's tags are malformed");
        };
        let tag = |name: &str| {
            tags.iter()
                .find(|(tag, _)| *tag == name)
                .map(|(_, value)| *value)
        };
        if kind == Kind::Dkim && tag("v") != Some("1") {
            return wrong("unknown version");
        }
        let algorithm = match tag("a") {
            Some("rsa-sha256") => Algorithm::Rsa,
            Some("ed25519-sha256") => Algorithm::Ed25519,
            // RFC 8301 §3.1: rsa-sha1 is not to be accepted.
            _ => return wrong("unknown or forbidden algorithm"),
        };
        let name = |text: Option<&str>| {
            text.and_then(|text| DomainName::parse(text).ok())
                .map(|name| name.as_str().to_owned())
        };
        let (Some(domain), Some(selector)) = (name(tag("d")), name(tag("s"))) else {
            return wrong("no usable d= and s=");
        };
        let signed = tag("b").unwrap_or_default();
        let Some(signature) = record::decode(signed).filter(|bytes| !bytes.is_empty()) else {
            return wrong("no usable b=");
        };
        let mut read = Self {
            strict_identity: identity_is_elsewhere(tag("i"), &domain, kind)?,
            algorithm,
            domain,
            selector,
            signed,
            signature,
            body_hash: Vec::new(),
            header_form: Form::Relaxed,
            body_form: Form::Relaxed,
            names: Vec::new(),
            expires: tag("x").and_then(|x| x.parse().ok()),
            time: tag("t").and_then(|t| t.parse().ok()),
            has_length: tag("l").is_some(),
            service: Service::Mail,
        };
        if kind == Kind::ArcSeal {
            return match tag("h") {
                Some(_) => wrong("h= in a seal"),
                None => Ok(read),
            };
        }
        read.content(tag("c"), tag("h"), tag("bh"))?;
        Ok(read)
    }

    /// Reads the tags that say what of the message is covered; seals have none.
    fn content(
        &mut self,
        forms: Option<&str>,
        names: Option<&'f str>,
        hash: Option<&str>,
    ) -> Result<(), Verdict> {
        (self.header_form, self.body_form) = match forms.unwrap_or("simple/simple") {
            "relaxed/relaxed" => (Form::Relaxed, Form::Relaxed),
            "relaxed" | "relaxed/simple" => (Form::Relaxed, Form::Simple),
            "simple" | "simple/simple" => (Form::Simple, Form::Simple),
            "simple/relaxed" => (Form::Simple, Form::Relaxed),
            _ => return Err(Verdict::PermError("unknown canonicalisation")),
        };
        self.names = names
            .unwrap_or_default()
            .split(':')
            .map(str::trim)
            .collect();
        let names_from = self
            .names
            .iter()
            .any(|name| name.eq_ignore_ascii_case("from"));
        if !names_from || self.names.len() > NAMES_MAX {
            return Err(Verdict::PermError("h= does not name From"));
        }
        self.body_hash = hash
            .and_then(record::decode)
            .ok_or(Verdict::PermError("no usable bh="))?;
        Ok(())
    }

    /// Verifies it over `fields` and the body hashes; `field` is its own.
    pub(crate) async fn verify(
        &self,
        field: &Field<'_>,
        fields: &[Field<'_>],
        bodies: &mut BodyHashes<'_>,
        resolver: &dyn Resolver,
        now: Timestamp,
    ) -> io::Result<Verdict> {
        if self.has_length {
            // Whatever follows the signed part could be anybody's.
            return Ok(Verdict::Policy("l= leaves part of the body unsigned"));
        }
        if self.expires.is_some_and(|end| end < now.seconds()) {
            return Ok(Verdict::Fail("expired"));
        }
        if self
            .time
            .is_some_and(|time| time > now.seconds() + CLOCK_SKEW_SECONDS)
        {
            return Ok(Verdict::Fail("signed in the future"));
        }
        if bodies.get(self.body_form).await?.as_ref() != self.body_hash.as_slice() {
            return Ok(Verdict::Fail("the body was changed"));
        }
        let mut context = Context::new(&SHA256);
        hash_named(&self.names, fields, self.header_form, &mut context);
        let own = without_signature(field.raw_value);
        match self.header_form {
            Form::Relaxed => relaxed_field_open(field.name, &own, &mut context),
            Form::Simple => {
                context.take(field.name);
                context.take(b":");
                let end = own.strip_suffix(b"\r\n").unwrap_or(&own);
                context.take(end);
            }
        }
        Ok(self.verify_digest(&context.finish(), resolver).await)
    }

    /// Verifies the signature of a hash with the key in DNS.
    pub(crate) async fn verify_digest(&self, digest: &Digest, resolver: &dyn Resolver) -> Verdict {
        let name = format!("{}._domainkey.{}", self.selector, self.domain);
        let answer = match resolver.txt(&name).await {
            Outcome::Found(answer) => answer,
            Outcome::NoData(_) | Outcome::NxDomain(_) => return Verdict::PermError("no key"),
            Outcome::Bogus(_) | Outcome::TemporaryFailure(_) => return Verdict::TempError,
        };
        let key = answer
            .value
            .iter()
            .find_map(|record| PublishedKey::parse(record));
        let Some(key) = key else {
            return Verdict::PermError("no usable key record");
        };
        if key.key.is_empty() {
            return Verdict::PermError("the key is revoked");
        }
        let serves = match self.service {
            Service::Mail => key.for_mail,
            Service::TlsReports => key.for_tls_reports,
        };
        if key.algorithm != Some(self.algorithm) || !key.takes_sha256 || !serves {
            return Verdict::PermError("the key is for something else");
        }
        if key.strict && self.strict_identity {
            return Verdict::PermError("i= is not the key's domain");
        }
        let verified = match self.algorithm {
            // RFC 8301 §3.2: keys below 1024 bits do not count.
            Algorithm::Rsa => {
                UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, &key.key)
                    .verify_digest(digest, &self.signature)
            }
            Algorithm::Ed25519 => {
                UnparsedPublicKey::new(&ED25519, &key.key).verify(digest.as_ref(), &self.signature)
            }
        };
        match verified {
            Ok(()) => Verdict::Pass,
            Err(_) => Verdict::Fail("the signature is wrong"),
        }
    }
}

/// Whether `i=` is in a subdomain of `d=`; an error where it is in neither.
fn identity_is_elsewhere(
    identity: Option<&str>,
    domain: &str,
    kind: Kind,
) -> Result<bool, Verdict> {
    // In ARC i= is the instance.
    let Some(identity) = identity.filter(|_| kind == Kind::Dkim) else {
        return Ok(false);
    };
    let host = identity.rsplit('@').next().unwrap_or_default();
    let Ok(host) = DomainName::parse(host) else {
        return Err(Verdict::PermError("no usable i="));
    };
    if host.as_str() == domain {
        return Ok(false);
    }
    match host.as_str().strip_suffix(domain) {
        Some(above) if above.ends_with('.') => Ok(true),
        _ => Err(Verdict::PermError("i= is not in d=")),
    }
}

/// Hashes the fields that `names` names: of several with one name, the last first (RFC 6376 §5.4.2).
fn hash_named(names: &[&str], fields: &[Field<'_>], form: Form, sink: &mut Context) {
    for (n, name) in names.iter().enumerate() {
        let earlier = names.get(..n).unwrap_or_default();
        let nth = earlier
            .iter()
            .filter(|other| other.eq_ignore_ascii_case(name))
            .count();
        let Some(field) = fields.iter().rev().filter(|field| field.is(name)).nth(nth) else {
            continue;
        };
        match form {
            Form::Relaxed => relaxed_field(field.name, field.raw_value, sink),
            Form::Simple => {
                sink.take(field.name);
                sink.take(b":");
                sink.take(field.raw_value);
            }
        }
    }
}

/// The value with nothing in `b=`.
pub(crate) fn without_signature(raw_value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw_value.len());
    for (n, tag) in raw_value.split(|byte| *byte == b';').enumerate() {
        if n > 0 {
            out.push(b';');
        }
        let equals = memchr::memchr(b'=', tag).unwrap_or(tag.len());
        let (name, rest) = tag.split_at(equals);
        out.extend_from_slice(name);
        if name.trim_ascii() == b"b" {
            out.push(b'=');
        } else {
            out.extend_from_slice(rest);
        }
    }
    out
}

/// Hashes of one body, taken when they are first asked for.
pub(crate) struct BodyHashes<'m> {
    message: &'m Spool,
    start: u64,
    relaxed: Option<Digest>,
    simple: Option<Digest>,
}

impl<'m> BodyHashes<'m> {
    pub(crate) fn new(message: &'m Spool, start: u64) -> Self {
        Self {
            message,
            start,
            relaxed: None,
            simple: None,
        }
    }

    pub(crate) async fn get(&mut self, form: Form) -> io::Result<Digest> {
        let known = match form {
            Form::Relaxed => &mut self.relaxed,
            Form::Simple => &mut self.simple,
        };
        if let Some(hash) = known {
            return Ok(*hash);
        }
        let hash = body_hash(self.message, self.start, form).await?;
        *known = Some(hash);
        Ok(hash)
    }
}
