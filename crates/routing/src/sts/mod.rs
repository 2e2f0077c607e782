//! MTA-STS (RFC 8461): finds out whether a domain announces a policy, fetches it, keeps it in the store
//! until it runs out. `policy` reads the text, `plan` decides when to fetch, `cache` does it. A domain
//! whose policy host is slow delays its own mail only, and only the first time.

mod cache;
mod https;
mod plan;
mod policy;
mod rows;
#[cfg(test)]
pub(crate) mod tests;

pub use cache::{StsCache, StsParts};
pub use https::HttpsFetcher;
pub use policy::{
    MAX_AGE_SECONDS_MAX, Mode, POLICY_BYTES_MAX, PolicyError, StsPolicy, announced_id, parse,
};

use crate::tlsrpt::ResultType;
use std::future::Future;
use std::pin::Pin;

/// A fetch under way.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchError>> + Send + 'a>>;

/// Fetches the text of a policy. Implemented over HTTPS, and from memory in tests.
pub trait PolicyFetcher: Send + Sync + 'static {
    /// `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`: at most `POLICY_BYTES_MAX`, no redirects, 200
    /// only, text/plain, with a certificate for that name (RFC 8461 §3.3). `domain` is in A-labels.
    /// The caller limits the time.
    fn fetch<'a>(&'a self, domain: &'a str) -> Fetching<'a>;
}

/// Why a policy could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No connection, no answer, another status than 200.
    #[error("{0}")]
    Unreachable(String),
    /// The certificate is not one for the policy host.
    #[error("the policy host's certificate is not good: {0}")]
    Certificate(String),
    /// What came is no policy.
    #[error("{0}")]
    Invalid(String),
}

impl FetchError {
    /// What a TLS report calls it.
    pub fn result_type(&self) -> ResultType {
        match self {
            Self::Unreachable(_) => ResultType::StsPolicyFetchError,
            Self::Certificate(_) => ResultType::StsWebpkiInvalid,
            Self::Invalid(_) => ResultType::StsPolicyInvalid,
        }
    }
}

/// Fetches nothing; for installations that do not use MTA-STS.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFetcher;

impl PolicyFetcher for NoFetcher {
    fn fetch<'a>(&'a self, _: &'a str) -> Fetching<'a> {
        let error = FetchError::Unreachable("policies are not fetched here".to_owned());
        Box::pin(std::future::ready(Err(error)))
    }
}
