//! Who answers for a message that came in and says it is from a domain hosted here: SPF or DKIM in that domain's name,
//! or an ARC chain of servers that are believed. Asks the DNS within a time limit, refuses nothing; `smtp` asks once
//! per such message, `policy` rules on the answer.

use crate::SigningError;
use crate::arc::{EVALUATION_TIME_MAX, few_fields};
use crate::message::{HEADER_BYTES_MAX, Header, read_header};
use crate::record::PublishedKey;
use crate::service::{ReceivedFrom, Signing};
use crate::verify::chain::{self, Chain, Set, Status};
use crate::verify::dkim::{BodyHashes, Kind, Signature};
use crate::verify::dmarc::Aligned;
use crate::verify::results::{self, Results};
use crate::verify::told::says_proved;
use directory::DomainName;
use formats::header::Field;
use platform::dns::Outcome;
use platform::spool::Spool;

/// A message whose authors are to be proved.
#[derive(Debug, Clone, Copy)]
pub struct Claimed<'a> {
    /// The message as it is kept, fields of ours in front included.
    pub message: &'a Spool,
    /// Its header as it came, where it was changed since: signatures are over that.
    pub original_header: Option<&'a [u8]>,
    /// How it came.
    pub received: &'a ReceivedFrom,
    /// The domains of From that are hosted here, each once.
    pub authors: &'a [DomainName],
    /// Domains whose ARC seals are believed beside our own.
    pub sealers: &'a [DomainName],
}

/// Who answers for one author domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// SPF, in the name of the domain.
    Spf,
    /// A DKIM signature, in the name of the domain.
    Dkim,
    /// A server that is believed saw one of these; the domain that sealed what it saw.
    Sealed(String),
    /// Nobody.
    Nobody,
    /// The DNS did not answer, and the answer might have been a proof.
    Unknown,
}

/// What a message proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// For each author domain, in their order.
    pub proofs: Vec<Proof>,
    /// Whether anybody at all answers for the message, in whosever name: SPF, a signature or a valid chain.
    pub vouched: bool,
    results: Option<String>,
}

impl Evidence {
    /// `Authentication-Results` (RFC 8601 §2.2) as whole lines; `host` is the authserv-id.
    pub fn field(&self, host: &str) -> String {
        match &self.results {
            Some(results) => format!("Authentication-Results: {host};\r\n\t{results}\r\n"),
            // RFC 8601 §2.2: nothing was checked to its end.
            None => format!("Authentication-Results: {host}; none\r\n"),
        }
    }

    fn without_results(authors: usize, proof: &Proof) -> Self {
        Self {
            proofs: vec![proof.clone(); authors],
            vouched: false,
            results: None,
        }
    }
}

/// Looks at a message.
pub(crate) async fn evidence(
    signing: &Signing,
    claimed: &Claimed<'_>,
) -> Result<Evidence, SigningError> {
    let authors = claimed.authors.len();
    let Header { bytes, body_start } = read_header(claimed.message, 0)?;
    let bytes = match claimed.original_header {
        Some(original) if original.len() > HEADER_BYTES_MAX => {
            return Err(SigningError::HeaderTooLarge(HEADER_BYTES_MAX));
        }
        Some(original) => original,
        None => &*bytes,
    };
    let Some(fields) = few_fields(bytes) else {
        return Ok(Evidence::without_results(authors, &Proof::Nobody));
    };
    let looking = look(signing, claimed, &fields, body_start);
    match tokio::time::timeout(EVALUATION_TIME_MAX, looking).await {
        Ok(evidence) => evidence,
        Err(_) => Ok(Evidence::without_results(authors, &Proof::Unknown)),
    }
}

async fn look(
    signing: &Signing,
    claimed: &Claimed<'_>,
    fields: &[Field<'_>],
    body_start: u64,
) -> Result<Evidence, SigningError> {
    let resolver = signing.resolver().as_ref();
    let chain = chain::collect(fields);
    let mut bodies = BodyHashes::new(claimed.message, body_start);
    let now = signing.clock().now();
    let received = claimed.received;
    let results = results::evaluate(fields, &chain, &mut bodies, received, resolver, now).await?;
    // RFC 5322 §3.6: one From. A signature covers one; the reader may be shown the other.
    let one_from = fields.iter().filter(|field| field.is("From")).count() == 1;
    let mut proofs = Vec::with_capacity(claimed.authors.len());
    for author in claimed.authors {
        proofs.push(match one_from {
            true => proof(signing, claimed, author.as_str(), &chain, &results).await?,
            false => Proof::Nobody,
        });
    }
    Ok(Evidence {
        proofs,
        vouched: results.vouched(),
        results: Some(results.text()),
    })
}

async fn proof(
    signing: &Signing,
    claimed: &Claimed<'_>,
    author: &str,
    chain: &Chain<'_, '_>,
    results: &Results,
) -> Result<Proof, SigningError> {
    let aligned = results.aligned(author, signing.resolver().as_ref()).await;
    match aligned {
        Some(Aligned::Spf) => return Ok(Proof::Spf),
        Some(Aligned::Dkim) => return Ok(Proof::Dkim),
        Some(Aligned::Nobody) | None => {}
    }
    let unknown = aligned.is_none() || results.might_be_proved(author);
    let nobody = match unknown {
        true => Proof::Unknown,
        false => Proof::Nobody,
    };
    let Chain::Sets(sets) = chain else {
        return Ok(nobody);
    };
    if !matches!(results.chain, Status::Pass | Status::Unknown) {
        return Ok(nobody);
    }
    // A chain is worth what its newest seals are worth: a set of an honest server can be copied into another
    // message, and whoever seals after it says that it fits. So everybody from the newest down to who saw the proof
    // must be believed.
    for set in sets.iter().rev() {
        let Some(sealer) = believed(signing, claimed, author, set).await? else {
            return Ok(nobody);
        };
        if results.chain == Status::Unknown {
            return Ok(Proof::Unknown);
        }
        let told = set.results.value();
        if std::str::from_utf8(&told).is_ok_and(|told| says_proved(told, author)) {
            return Ok(Proof::Sealed(sealer));
        }
    }
    Ok(nobody)
}

/// The domain that sealed a set, where it is believed: the author's own, this server's, one that is trusted, or one
/// whose key here the DNS shows.
async fn believed(
    signing: &Signing,
    claimed: &Claimed<'_>,
    author: &str,
    set: &Set<'_, '_>,
) -> Result<Option<String>, SigningError> {
    let value = set.seal.value();
    let Ok(text) = std::str::from_utf8(&value) else {
        return Ok(None);
    };
    let Ok(seal) = Signature::parse(text, Kind::ArcSeal) else {
        return Ok(None);
    };
    let domain = seal.domain;
    let known = domain == author
        || domain == signing.host()
        || claimed
            .sealers
            .iter()
            .any(|sealer| sealer.as_str() == domain)
        || is_our_key(signing, &domain, &seal.selector).await?;
    Ok(known.then_some(domain))
}

/// Whether the key that DNS shows there is one whose private half is here: a hosted domain may have keys of others,
/// too.
async fn is_our_key(signing: &Signing, domain: &str, selector: &str) -> Result<bool, SigningError> {
    let Some(chosen) = signing.first_with_keys(std::iter::once(domain)).await? else {
        return Ok(false);
    };
    let signer = chosen.keys.0.iter().find(|one| one.selector == selector);
    let Some(signer) = signer else {
        return Ok(false);
    };
    let own = signer.key.public_bytes()?;
    let name = format!("{selector}._domainkey.{domain}");
    let Outcome::Found(answer) = signing.resolver().txt(&name).await else {
        return Ok(false);
    };
    let mut records = answer.value.iter();
    let published = records.find_map(|record| PublishedKey::parse(record));
    Ok(published.is_some_and(|key| key.key == own))
}
