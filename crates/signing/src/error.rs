//! Why something could not be signed or a key not changed. Callers of `sign` treat every one as our own fault: the
//! message is kept and tried again, never sent unsigned because of a failure.

use platform::store::StoreError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The message could not be read.
    #[error("reading the message: {0}")]
    Message(#[from] std::io::Error),
    /// The crypto library refused; it does so for no input that comes from outside.
    #[error("the crypto library failed")]
    Crypto,
    /// The header has no end within the limit.
    #[error("the header of the message is larger than {0} bytes")]
    HeaderTooLarge(usize),
    /// The secret of this node is not the one the store belongs to.
    #[error(
        "the installation secret of this node is not the one the stored DKIM keys were sealed with; put the right file in place (from a backup or from another node), or, where it is lost for good, forget the keys with `rohrpost dkim reset`"
    )]
    WrongSecret,
    /// A stored key does not open or is no key.
    #[error(
        "the DKIM key {selector}._domainkey.{domain} is damaged; remove it with `rohrpost dkim remove {domain} {selector}` and add a new one"
    )]
    Damaged {
        /// The domain.
        domain: String,
        /// The selector.
        selector: String,
    },
    /// What was asked for is not possible; the text says why and what to do.
    #[error("{0}")]
    Refused(String),
}
