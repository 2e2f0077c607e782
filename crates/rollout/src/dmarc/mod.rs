//! The DMARC advisor: what others report about a domain, whose mail it is, the next step towards a strict policy
//! with its first day, and the change of the DNS on that day, which can be taken back. Advises and plans; the
//! records are changed by whoever implements `Publisher`.

pub mod advice;
pub mod advisor;
pub mod figures;
pub mod record;
pub mod seen;
pub mod sources;
