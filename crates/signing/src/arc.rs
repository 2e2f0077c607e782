//! Seals what is forwarded (RFC 8617 §5.1): an ARC set that says what the message proved when it came here, so that
//! the next server can believe it although SPF no longer fits and a footer broke a signature.

use crate::SigningError;
use crate::field_choice::{Choice, Purpose, choose};
use crate::message::{Form, Header, read_header};
use crate::service::{Chosen, ReceivedFrom, Signer, Signing, open_signature};
use crate::signature::{HeaderHash, OpenField, hash_text};
use crate::verify::chain::{self, Chain, INSTANCES_MAX, Status};
use crate::verify::dkim::BodyHashes;
use crate::verify::results::{self, Results};
use formats::header::{self, Field};
use platform::spool::Spool;
use std::time::Duration;

/// How long all questions to DNS may take together; past that the message is forwarded without a seal, or nothing is
/// known about who sent it.
pub(crate) const EVALUATION_TIME_MAX: Duration = Duration::from_secs(8);

/// Header fields of a message that is looked at. Each signature names up to 200 fields, and each name is looked for
/// among all, so a header of a hundred thousand would cost a second; honest ones have some hundred.
const FIELDS_MAX: usize = 5000;

/// What a seal is made of.
struct Seal<'a, 'f, 'h> {
    chosen: &'a Chosen,
    signer: &'a Signer,
    fields: &'f [Field<'h>],
    chain: &'a Chain<'f, 'h>,
    results: Results,
    body_hash: String,
    instance: usize,
    time: String,
    host: &'a str,
}

/// The ARC set, as whole lines. Empty where nothing may or can be added.
pub(crate) async fn seal(
    signing: &Signing,
    message: &Spool,
    skip: u64,
    received: &ReceivedFrom,
) -> Result<Vec<u8>, SigningError> {
    let wanted = [received.forwarded_by.as_str(), signing.host()];
    let chosen = signing.first_with_keys(wanted.into_iter()).await?;
    let Some((chosen, signer)) = chosen
        .as_ref()
        .and_then(|chosen| Some((chosen, chosen.keys.rsa()?)))
    else {
        tracing::warn!(
            domain = received.forwarded_by,
            "arc.unsealed: no key signs; run `rohrpost dkim list`"
        );
        return Ok(Vec::new());
    };
    let Header { bytes, body_start } = read_header(message, skip)?;
    let Some(fields) = few_fields(&bytes) else {
        tracing::info!(
            domain = received.forwarded_by,
            "arc.unsealed: too many header fields"
        );
        return Ok(Vec::new());
    };
    let chain = chain::collect(&fields);
    let instance = results::newest(&chain) + 1;
    if matches!(chain, Chain::Ended) || instance > INSTANCES_MAX {
        return Ok(Vec::new());
    }
    let now = signing.clock().now();
    let mut bodies = BodyHashes::new(message, body_start);
    let resolver = signing.resolver().as_ref();
    let evaluation = results::evaluate(&fields, &chain, &mut bodies, received, resolver, now);
    let results = match tokio::time::timeout(EVALUATION_TIME_MAX, evaluation).await {
        Ok(results) => results?,
        Err(_) => return Ok(unsealed(received)),
    };
    if results.chain == Status::Unknown {
        // "fail" would end the chain for good because of a DNS server that was away.
        return Ok(unsealed(received));
    }
    let seal = Seal {
        body_hash: hash_text(&bodies.get(Form::Relaxed).await?),
        chosen,
        signer,
        fields: &fields,
        chain: &chain,
        results,
        instance,
        time: now.seconds().to_string(),
        host: signing.host(),
    };
    seal.write()
}

/// Domains whose DKIM signature over the message is valid.
pub(crate) async fn signers(
    signing: &Signing,
    message: &Spool,
    skip: u64,
) -> Result<Vec<String>, SigningError> {
    let Header { bytes, body_start } = read_header(message, skip)?;
    let Some(fields) = few_fields(&bytes) else {
        return Ok(Vec::new());
    };
    let mut bodies = BodyHashes::new(message, body_start);
    let (resolver, now) = (signing.resolver().as_ref(), signing.clock().now());
    let evaluation = results::signers(&fields, &mut bodies, resolver, now);
    match tokio::time::timeout(EVALUATION_TIME_MAX, evaluation).await {
        Ok(signers) => Ok(signers?),
        Err(_) => Ok(Vec::new()),
    }
}

/// The fields of a header; `None` where there are more than are looked at.
pub(crate) fn few_fields(header: &[u8]) -> Option<Vec<Field<'_>>> {
    let fields: Vec<_> = header::fields(header).take(FIELDS_MAX + 1).collect();
    (fields.len() <= FIELDS_MAX).then_some(fields)
}

fn unsealed(received: &ReceivedFrom) -> Vec<u8> {
    tracing::info!(
        domain = received.forwarded_by,
        "arc.unsealed: DNS did not answer in time"
    );
    Vec::new()
}

impl Seal<'_, '_, '_> {
    fn write(self) -> Result<Vec<u8>, SigningError> {
        let results = self.authentication_results();
        let choice = choose(self.fields, Purpose::Seal);
        let message_signature = self.message_signature(&choice)?;
        let seal = self.arc_seal(&results, &message_signature)?;
        Ok([seal, message_signature, results].concat())
    }

    fn authentication_results(&self) -> Vec<u8> {
        let (instance, host) = (self.instance, self.host);
        let text = self.results.text();
        format!("ARC-Authentication-Results: i={instance}; {host};\r\n\t{text}\r\n").into_bytes()
    }

    fn message_signature(&self, choice: &Choice<'_, '_>) -> Result<Vec<u8>, SigningError> {
        let open = OpenField::new("ARC-Message-Signature").tag("i", &self.instance.to_string());
        let domain = &self.chosen.domain;
        let open = open_signature(
            open,
            self.signer,
            domain,
            &self.time,
            choice,
            &self.body_hash,
        );
        HeaderHash::over(choice).sign(open, &self.signer.key)
    }

    fn arc_seal(&self, results: &[u8], message_signature: &[u8]) -> Result<Vec<u8>, SigningError> {
        let mut hash = HeaderHash::new();
        // RFC 8617 §5.1.2: a seal that says "fail" covers its own set only.
        if let (Chain::Sets(sets), Status::Pass) = (self.chain, self.results.chain) {
            for set in sets {
                for field in [set.results, set.message_signature, set.seal] {
                    hash.add(field.name, field.raw_value);
                }
            }
        }
        hash.add_line(results);
        hash.add_line(message_signature);
        let open = OpenField::new("ARC-Seal")
            .tag("i", &self.instance.to_string())
            .tag("a", self.signer.key.algorithm().signature_word())
            .tag("t", &self.time)
            .tag("cv", self.results.chain.word())
            .tag("d", self.chosen.domain.as_str())
            .tag("s", &self.signer.selector)
            .open();
        hash.sign(open, &self.signer.key)
    }
}
