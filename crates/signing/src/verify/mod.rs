//! What a message that is forwarded proves about itself: SPF, DKIM, DMARC and its ARC chain, for the results that go
//! into our own ARC set. Asks the DNS, changes nothing, refuses nothing; filters are others' business.

pub(crate) mod chain;
pub(crate) mod dkim;
pub(crate) mod dmarc;
pub(crate) mod results;
pub(crate) mod spf;
pub(crate) mod spf_macro;

#[cfg(test)]
mod tests;
