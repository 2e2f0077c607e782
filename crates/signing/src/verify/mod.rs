//! What a message proves about itself: SPF, DKIM, DMARC and its ARC chain, for the results that go into our own ARC set
//! and for mail that says it is from a domain hosted here. Asks the DNS, changes nothing, refuses nothing; filters are others' business.

pub(crate) mod chain;
pub(crate) mod dkim;
pub(crate) mod dmarc;
pub(crate) mod results;
pub(crate) mod spf;
pub(crate) mod spf_macro;
pub(crate) mod told;

#[cfg(test)]
mod tests;
