//! The ARC chain of a message (RFC 8617 §5.2): collected, looked at, verified.

use super::dkim::{BodyHashes, Kind, Signature, Verdict, without_signature};
use crate::canonical::{relaxed_field, relaxed_field_open};
use crate::record;
use aws_lc_rs::digest::{Context, SHA256};
use formats::header::Field;
use platform::clock::Timestamp;
use platform::dns::Resolver;
use std::io;

/// RFC 8617 §5.2: a message has no more sets than this.
pub(crate) const INSTANCES_MAX: usize = 50;

/// One set of the chain.
pub(crate) struct Set<'f, 'h> {
    pub(crate) results: &'f Field<'h>,
    pub(crate) message_signature: &'f Field<'h>,
    pub(crate) seal: &'f Field<'h>,
    cv: Cv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cv {
    None,
    Pass,
    Fail,
    Other,
}

/// What stands in the header.
pub(crate) enum Chain<'f, 'h> {
    /// No set.
    Absent,
    /// Sets 1 to n, each whole.
    Sets(Vec<Set<'f, 'h>>),
    /// Something that is no chain; `highest` is the largest instance number in it.
    Broken { highest: usize },
    /// Its newest seal says that it has failed. Nothing may be added.
    Ended,
}

/// The chain validation status (RFC 8617 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    None,
    Pass,
    Fail,
    /// DNS did not answer. The protocol knows no such status; who gets it adds no set.
    Unknown,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail | Self::Unknown => "fail",
        }
    }
}

#[derive(Default, Clone, Copy)]
struct Slot<'f, 'h> {
    results: Option<&'f Field<'h>>,
    message_signature: Option<&'f Field<'h>>,
    seal: Option<&'f Field<'h>>,
}

/// Collects the chain from `fields`.
pub(crate) fn collect<'f, 'h>(fields: &'f [Field<'h>]) -> Chain<'f, 'h> {
    let mut slots: Vec<Slot<'f, 'h>> = Vec::new();
    let mut whole = true;
    for field in fields {
        let Some(kind) = kind_of(field) else { continue };
        let instance = instance(field).filter(|n| (1..=INSTANCES_MAX).contains(n));
        let Some(instance) = instance else {
            whole = false;
            continue;
        };
        if slots.len() < instance {
            slots.resize(instance, Slot::default());
        }
        let Some(slot) = slots.get_mut(instance - 1) else {
            continue;
        };
        let place = match kind {
            Part::Results => &mut slot.results,
            Part::MessageSignature => &mut slot.message_signature,
            Part::Seal => &mut slot.seal,
        };
        whole &= place.replace(field).is_none();
    }
    if slots.is_empty() && whole {
        return Chain::Absent;
    }
    let highest = slots.len();
    let newest_seal = slots.last().and_then(|slot| slot.seal);
    if newest_seal.is_some_and(|seal| cv(seal) == Cv::Fail) {
        return Chain::Ended;
    }
    let sets: Option<Vec<_>> = slots.iter().map(Slot::whole).collect();
    match sets {
        Some(sets) if whole => Chain::Sets(sets),
        _ => Chain::Broken { highest },
    }
}

impl<'f, 'h> Slot<'f, 'h> {
    fn whole(&self) -> Option<Set<'f, 'h>> {
        let seal = self.seal?;
        Some(Set {
            results: self.results?,
            message_signature: self.message_signature?,
            seal,
            cv: cv(seal),
        })
    }
}

enum Part {
    Results,
    MessageSignature,
    Seal,
}

fn kind_of(field: &Field<'_>) -> Option<Part> {
    if field.is("ARC-Authentication-Results") {
        Some(Part::Results)
    } else if field.is("ARC-Message-Signature") {
        Some(Part::MessageSignature)
    } else if field.is("ARC-Seal") {
        Some(Part::Seal)
    } else {
        None
    }
}

/// `i=`. In ARC-Authentication-Results it is the first thing; what follows is no list of tags.
fn instance(field: &Field<'_>) -> Option<usize> {
    let value = field.value();
    let text = std::str::from_utf8(&value).ok()?;
    let number = if field.is("ARC-Authentication-Results") {
        let (name, number) = text.split(';').next()?.split_once('=')?;
        (name.trim() == "i").then_some(number.trim())?
    } else {
        let tags = record::tags(text)?;
        tags.iter().find(|(name, _)| *name == "i")?.1
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit()) && number.len() <= 3;
    plain.then(|| number.parse().ok()).flatten()
}

fn cv(seal: &Field<'_>) -> Cv {
    let value = seal.value();
    let tags = std::str::from_utf8(&value).ok().and_then(record::tags);
    match tags.iter().flatten().find(|(name, _)| *name == "cv") {
        Some((_, "none")) => Cv::None,
        Some((_, "pass")) => Cv::Pass,
        Some((_, "fail")) => Cv::Fail,
        _ => Cv::Other,
    }
}

impl Chain<'_, '_> {
    /// Verifies it: the newest message signature, then every seal.
    pub(crate) async fn status(
        &self,
        fields: &[Field<'_>],
        bodies: &mut BodyHashes<'_>,
        resolver: &dyn Resolver,
        now: Timestamp,
    ) -> io::Result<Status> {
        let sets = match self {
            Self::Absent => return Ok(Status::None),
            Self::Broken { .. } | Self::Ended => return Ok(Status::Fail),
            Self::Sets(sets) => sets,
        };
        let right =
            |(n, set): (usize, &Set<'_, '_>)| set.cv == if n == 0 { Cv::None } else { Cv::Pass };
        let Some(newest) = sets.last().filter(|_| sets.iter().enumerate().all(right)) else {
            return Ok(Status::Fail);
        };
        let verdict =
            verify_message(newest.message_signature, fields, bodies, resolver, now).await?;
        if verdict != Verdict::Pass {
            return Ok(status_of(&verdict));
        }
        for n in (1..=sets.len()).rev() {
            let verdict = verify_seal(sets.get(..n).unwrap_or_default(), resolver).await;
            if verdict != Verdict::Pass {
                return Ok(status_of(&verdict));
            }
        }
        Ok(Status::Pass)
    }
}

fn status_of(verdict: &Verdict) -> Status {
    match verdict {
        Verdict::Pass => Status::Pass,
        Verdict::TempError => Status::Unknown,
        _ => Status::Fail,
    }
}

async fn verify_message(
    field: &Field<'_>,
    fields: &[Field<'_>],
    bodies: &mut BodyHashes<'_>,
    resolver: &dyn Resolver,
    now: Timestamp,
) -> io::Result<Verdict> {
    let value = field.value();
    let Ok(text) = std::str::from_utf8(&value) else {
        return Ok(Verdict::PermError("not text"));
    };
    match Signature::parse(text, Kind::ArcMessage) {
        Ok(signature) => signature.verify(field, fields, bodies, resolver, now).await,
        Err(verdict) => Ok(verdict),
    }
}

/// Verifies the seal of the last of `sets`, which covers all of them (RFC 8617 §5.1.1).
async fn verify_seal(sets: &[Set<'_, '_>], resolver: &dyn Resolver) -> Verdict {
    let Some((last, earlier)) = sets.split_last() else {
        return Verdict::PermError("no set");
    };
    let value = last.seal.value();
    let signature =
        match std::str::from_utf8(&value).map(|text| Signature::parse(text, Kind::ArcSeal)) {
            Ok(Ok(signature)) => signature,
            Ok(Err(verdict)) => return verdict,
            Err(_) => return Verdict::PermError("not text"),
        };
    let mut context = Context::new(&SHA256);
    for set in earlier {
        for field in [set.results, set.message_signature, set.seal] {
            relaxed_field(field.name, field.raw_value, &mut context);
        }
    }
    for field in [last.results, last.message_signature] {
        relaxed_field(field.name, field.raw_value, &mut context);
    }
    let own = without_signature(last.seal.raw_value);
    relaxed_field_open(last.seal.name, &own, &mut context);
    signature.verify_digest(&context.finish(), resolver).await
}
