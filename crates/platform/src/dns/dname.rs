//! Aliases of whole subtrees (RFC 6672). What a server makes of one, a CNAME for the very name, has no signature of its
//! own; the DNAME above it has. So the alias is worked out here, from the DNAME, and the CNAME is not believed. Pure.

use super::signed::RecordSet;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};

/// Where a DNAME above `name` leads.
pub(super) struct Redirection<'a> {
    /// The DNAME, with its signatures.
    pub(super) set: RecordSet<'a>,
    /// `None` where the name would be too long (RFC 6672 §2.2).
    pub(super) target: Option<Name>,
}

/// The lowest DNAME of `answers` that is above `name`.
pub(super) fn above<'a>(answers: &'a [Record], name: &Name) -> Option<Redirection<'a>> {
    let owner = answers
        .iter()
        .filter(|record| record.record_type() == RecordType::DNAME)
        .map(|record| &record.name)
        .filter(|owner| *owner != name && owner.zone_of(name))
        .max_by_key(|owner| owner.iter().len())?;
    let set = RecordSet::of(answers, owner, RecordType::DNAME)?;
    let above = target(set.records.first()?)?;
    let own = name.iter().take(name.iter().len() - owner.iter().len());
    let target = Name::from_labels(own.chain(above.iter())).ok();
    Some(Redirection {
        set,
        target: target.map(|target| target.to_lowercase()),
    })
}

/// What a DNAME's data names.
pub(super) fn target(record: &Record) -> Option<Name> {
    match &record.data {
        RData::Unknown {
            code: RecordType::DNAME,
            rdata,
        } => {
            let mut decoder = BinDecoder::new(&rdata.anything);
            let target = Name::read(&mut decoder).ok()?;
            decoder.is_empty().then_some(target)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::rdata::NULL;
    use hickory_proto::serialize::binary::BinEncodable as _;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn dname(owner: &str, target: &str) -> Record {
        let data = RData::Unknown {
            code: RecordType::DNAME,
            rdata: NULL::with(name(target).to_bytes().unwrap()),
        };
        Record::from_rdata(name(owner), 60, data)
    }

    #[test]
    fn what_is_below_is_put_below_the_target() {
        let answers = [dname("old.test.", "new.test."), dname("a.old.test.", "b.")];
        let leads = |asked: &str| above(&answers, &name(asked)).map(|found| found.target.unwrap());
        assert_eq!(leads("MX.old.TEST."), Some(name("mx.new.test.")));
        assert_eq!(leads("x.y.old.test."), Some(name("x.y.new.test.")));
        assert_eq!(leads("x.a.old.test."), Some(name("x.b.")));
        assert_eq!(leads("a.old.test."), Some(name("a.new.test.")));
        assert_eq!(leads("old.test."), None);
        assert_eq!(leads("xold.test."), None);
        let label = "x".repeat(60);
        let long = format!("{label}.{label}.{label}.");
        let far = [dname("t.", &long)];
        let found = above(&far, &name(&format!("{long}t."))).unwrap();
        assert_eq!(found.target, None);
    }
}
