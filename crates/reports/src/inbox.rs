//! Reads reports about our own domains out of the mailbox they are sent to. The operator makes an
//! account for them and points the rua addresses of all hosted domains to it; so taking mail costs
//! nothing more, nothing is lost in a crash, and the reports themselves stay to be looked at.
//! Whoever sends a report is not trusted: everything is read within limits, and only about domains
//! that are hosted here.

use crate::figures::{self, Proven, Written};
use crate::unpack::{self, unpack};
use directory::{AccountId, Directory, Resolution};
use formats::address::Address;
use formats::message::{Facts, Part, PartKind};
use formats::transfer::Decoder;
use formats::{dmarc_report, tls_report};
use mailbox::{INBOX, Mailboxes, MessageRow, UidSet};
use platform::clock::Clock;
use platform::params;
use platform::store::{Store, StoreError};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Largest message that is looked into.
const MESSAGE_BYTES_MAX: u64 = 16 << 20;
/// Parts of one message that are looked at.
const PARTS_MAX: usize = 10;
/// Messages read in one page.
const PAGE: usize = 50;
/// Wait where the account is not there yet, or something failed.
const WAIT: Duration = Duration::from_secs(5);
/// A change that is not announced here, because another process made it, is seen after so long.
const LOOK_EVERY: Duration = Duration::from_secs(300);

/// Says which domains signed a message.
pub trait Verifier: Send + Sync {
    /// Domains of valid DKIM signatures over the whole message.
    fn signers<'a>(
        &'a self,
        message: &'a [u8],
    ) -> Pin<Box<dyn Future<Output = Vec<String>> + Send + 'a>>;
}

/// What the reader works with.
#[derive(Clone)]
pub struct InboxParts {
    /// Rows.
    pub store: Store,
    /// The mail.
    pub mailboxes: Mailboxes,
    /// Tells which domains are hosted here, and whose mailbox the address is.
    pub directory: Directory,
    /// The time.
    pub clock: Clock,
    /// Proves who sent a report; without it TLS reports are taken unproven.
    pub verifier: Option<Arc<dyn Verifier>>,
    /// The address all reports come to.
    pub address: Address,
}

/// The reader.
pub struct Inbox {
    parts: InboxParts,
}

/// What may go wrong.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The mailbox could not be read.
    #[error(transparent)]
    Mailbox(#[from] mailbox::Error),
}

/// What a message holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A DMARC aggregate report.
    Dmarc(dmarc_report::Report),
    /// A TLS report.
    Tls(tls_report::Report),
}

impl Inbox {
    /// A reader; `run` sets it going.
    pub fn new(parts: InboxParts) -> Self {
        Self { parts }
    }

    /// Works until dropped.
    pub async fn run(self) {
        let mut is_told = false;
        loop {
            match self.account().await {
                Ok(Some(account)) => self.watch(account).await,
                Ok(None) if is_told => {}
                Ok(None) => {
                    is_told = true;
                    tracing::warn!(address = %self.parts.address, "reports.address_without_account");
                }
                Err(error) => tracing::warn!(%error, "reports.inbox_failed"),
            }
            tokio::time::sleep(WAIT).await;
        }
    }

    async fn account(&self) -> Result<Option<AccountId>, StoreError> {
        let resolution = self.parts.directory.resolve(&self.parts.address).await?;
        Ok(match resolution.as_ref() {
            Resolution::Local { deliveries, .. } => deliveries.first().map(|d| d.account),
            _ => None,
        })
    }

    /// Reads what comes until something fails.
    async fn watch(&self, account: AccountId) {
        let mut changes = self.parts.mailboxes.subscribe_to(account);
        loop {
            changes.take();
            if let Err(error) = self.read_new(account).await {
                tracing::warn!(%error, "reports.inbox_failed");
                return;
            }
            let _ = tokio::time::timeout(LOOK_EVERY, changes.changed()).await;
        }
    }

    /// Reads the messages that came since the last call.
    ///
    /// # Errors
    /// Where the store or a mailbox fails; a message that is no report is no error.
    pub async fn read_new(&self, account: AccountId) -> Result<(), InboxError> {
        let status = self.parts.mailboxes.status_of(account, INBOX).await?;
        let (validity, next) = (status.uidvalidity, status.uidnext);
        let read = move |tx: &mut dyn platform::store::Tx| {
            tx.one(
                "SELECT uid FROM report_progress WHERE account = ?1 AND uidvalidity = ?2",
                params![account.0, validity],
                |row| row.int(0),
            )
        };
        let done = self
            .parts
            .store
            .read::<_, StoreError>(read)
            .await?
            .unwrap_or(0);
        let first = u32::try_from(done).unwrap_or(u32::MAX).saturating_add(1);
        if first >= next {
            return Ok(());
        }
        let mut wanted = UidSet::range(first, next - 1);
        while !wanted.is_empty() {
            let mailboxes = &self.parts.mailboxes;
            let page = mailboxes.rows(account, INBOX, wanted, PAGE).await?;
            for row in &page.rows {
                self.take(row).await?;
                self.progress(account, validity, row.uid).await?;
            }
            wanted = page.rest;
        }
        self.progress(account, validity, next - 1).await
    }

    async fn progress(
        &self,
        account: AccountId,
        validity: u32,
        uid: u32,
    ) -> Result<(), InboxError> {
        let write = move |tx: &mut dyn platform::store::Tx| {
            tx.execute(
                "INSERT INTO report_progress (account, uidvalidity, uid) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (account) DO UPDATE \
                 SET uidvalidity = excluded.uidvalidity, uid = excluded.uid",
                params![account.0, validity, uid],
            )
        };
        self.parts.store.write::<_, StoreError>(write).await?;
        Ok(())
    }

    async fn take(&self, row: &MessageRow) -> Result<(), InboxError> {
        let (uid, size) = (row.uid, row.size);
        if size > MESSAGE_BYTES_MAX {
            tracing::info!(uid, size, "reports.message_too_large");
            return Ok(());
        }
        let content = self.parts.mailboxes.content(row);
        let message = content.read(0..size).await?;
        // The recipient's own lines belong to no signature.
        let sent = message.get(content.prefix().len()..).unwrap_or_default();
        for found in reports_in(&message) {
            match found {
                Ok(Found::Dmarc(report)) => self.take_dmarc(report, sent).await?,
                Ok(Found::Tls(report)) => self.take_tls(report, sent).await?,
                Err(why) => tracing::info!(uid, why, "reports.unreadable"),
            }
        }
        Ok(())
    }

    /// Many honest receivers sign with another domain or not at all, so an unsigned one counts too.
    async fn take_dmarc(
        &self,
        report: dmarc_report::Report,
        sent: &[u8],
    ) -> Result<(), InboxError> {
        let domain = report.domain.clone();
        if !self.is_hosted(&domain).await? {
            tracing::info!(domain, "reports.not_our_domain");
            return Ok(());
        }
        let proven = match &self.parts.verifier {
            Some(verifier) if is_signed(&verifier.signers(sent).await, &report.email) => {
                Proven::Yes
            }
            _ => Proven::No,
        };
        let now = self.parts.clock.now();
        let written = self
            .parts
            .store
            .write(move |tx| figures::write_dmarc(tx, &report, proven, now))
            .await?;
        log(figures::Kind::Dmarc, &domain, written);
        Ok(())
    }

    /// RFC 8460 §3: a report by mail without a valid signature must be ignored.
    async fn take_tls(&self, report: tls_report::Report, sent: &[u8]) -> Result<(), InboxError> {
        let proven = match &self.parts.verifier {
            None => Proven::No,
            Some(verifier) if is_signed(&verifier.signers(sent).await, &report.contact_info) => {
                Proven::Yes
            }
            Some(_) => {
                let reporter = &report.organization_name;
                tracing::info!(reporter, "reports.tls_report_without_signature");
                return Ok(());
            }
        };
        let domains: BTreeSet<_> = report.policies.iter().map(figures::domain_of).collect();
        for domain in domains {
            if !self.is_hosted(&domain).await? {
                tracing::info!(domain, "reports.not_our_domain");
                continue;
            }
            let (now, name, report) = (self.parts.clock.now(), domain.clone(), report.clone());
            let written = self
                .parts
                .store
                .write(move |tx| figures::write_tls(tx, &name, &report, proven, now))
                .await?;
            log(figures::Kind::Tls, &domain, written);
        }
        Ok(())
    }

    async fn is_hosted(&self, domain: &str) -> Result<bool, StoreError> {
        let Ok(address) = Address::parse(&format!("postmaster@{domain}")) else {
            return Ok(false);
        };
        let resolution = self.parts.directory.resolve(&address).await?;
        Ok(*resolution != Resolution::NoSuchDomain)
    }
}

/// Whether the contact's domain, or one above it, signed.
fn is_signed(signers: &[String], contact: &str) -> bool {
    let contact = contact.rsplit('@').next().unwrap_or_default();
    let contact = contact.to_ascii_lowercase();
    signers.iter().any(|signer| {
        let signer = signer.to_ascii_lowercase();
        let is_above = contact
            .strip_suffix(&signer)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        // One label, such as "com", signs for nobody else.
        is_above && signer.contains('.')
    })
}

fn log(kind: figures::Kind, domain: &str, written: Written) {
    tracing::info!(?kind, domain, ?written, "reports.received");
}

/// The reports in a message; for each part that looks like one, what it is or why it is none.
pub fn reports_in(message: &[u8]) -> Vec<Result<Found, String>> {
    let facts = Facts::scan(message);
    let parts = facts.parts().filter(|part| may_be_report(*part));
    parts
        .take(PARTS_MAX)
        .map(|part| read_part(message, part))
        .collect()
}

fn may_be_report(part: Part<'_>) -> bool {
    if part.kind() != PartKind::Leaf {
        return false;
    }
    let subtype = part.subtype().to_ascii_lowercase();
    let is_text = part.media_type().eq_ignore_ascii_case(b"text");
    let is_known = matches!(
        &subtype[..],
        b"tlsrpt+gzip"
            | b"tlsrpt+json"
            | b"zip"
            | b"x-zip"
            | b"x-zip-compressed"
            | b"gzip"
            | b"x-gzip"
            | b"xml"
            | b"json"
            | b"octet-stream"
    );
    is_known && !(is_text && subtype != b"xml")
}

fn read_part(message: &[u8], part: Part<'_>) -> Result<Found, String> {
    let body = part.body();
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(message.len());
    let raw = message
        .get(place(body.start)..place(body.end))
        .unwrap_or_default();
    if raw.len() > unpack::PACKED_BYTES_MAX * 3 / 2 {
        return Err("the part is larger than a report".to_owned());
    }
    let mut packed = Vec::new();
    let mut decoder = Decoder::new(part.encoding());
    decoder.push(raw, &mut packed);
    decoder.finish(&mut packed);
    read_report(&packed)
}

/// Reads a report as it is attached: packed or not, of either kind.
///
/// # Errors
/// In words, where it is none.
pub fn read_report(packed: &[u8]) -> Result<Found, String> {
    let bytes_max = dmarc_report::REPORT_BYTES_MAX.max(tls_report::REPORT_BYTES_MAX);
    let plain = unpack(packed, bytes_max).map_err(|error| error.to_string())?;
    let plain = plain.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&plain);
    match plain.trim_ascii_start().first() {
        Some(b'{') => tls_report::Report::parse(plain)
            .map(Found::Tls)
            .map_err(|error| error.to_string()),
        Some(b'<') => dmarc_report::Report::parse(plain)
            .map(Found::Dmarc)
            .map_err(|error| error.to_string()),
        _ => Err("it is neither XML nor JSON".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_contacts_own_domain_signs_for_it() {
        let by = |signer: &str| is_signed(&[signer.to_owned()], "tls@mail.Else.test");
        assert!(by("mail.else.test") && by("ELSE.test"));
        assert!(!by("test") && !by("lse.test") && !by("other.test") && !by("a.mail.else.test"));
    }

    #[test]
    fn our_own_report_by_mail_is_found_again() {
        let contact = Address::parse("tls@firma.test").unwrap();
        let reporter = crate::compose::Reporter {
            organization: "Firma",
            contact: &contact,
            host: "mx.rp.test",
        };
        let document = crate::compose::document(&reporter, 20_779, "else.test", &[]);
        let mail = crate::compose::Mail {
            reporter,
            to: &contact,
            day: 20_779,
            domain: "else.test",
            packed: &crate::compose::gzip(&document.to_json()),
            unix_ms: 0,
        };
        assert_eq!(reports_in(&mail.build()), [Ok(Found::Tls(document))]);
    }

    #[test]
    fn ordinary_mail_holds_none() {
        assert!(reports_in(b"Subject: hello\r\n\r\n{\"not\":1}").is_empty());
        let text = b"Content-Type: application/zip\r\n\r\nPK";
        assert!(matches!(&reports_in(text)[..], [Err(_)]));
    }
}
