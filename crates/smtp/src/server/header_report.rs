//! What a session wants to know of a header that was held until its end: who the message says it is
//! from, whether somebody wrote it by hand, whether it asks for delivery without TLS, and which of
//! our addresses it went through already. Pure; asked once per message, after the header was edited.

use super::rulings::message::Fault;
use admission::Told;
use directory::DomainName;
use formats::address::Address;
use formats::header::{Entry, Field, fields, parse_addresses};
use policy::ownership::{self, Claims, Nature};
use policy::rules::HeaderFacts;

/// Delivered-To fields that are remembered; more are a loop whoever put them there.
const DELIVERED_TO_MAX: usize = 100;
/// Authors that are looked at; nobody writes with so many.
const AUTHORS_MAX: usize = 20;

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeaderReport {
    /// Its originators, or why they cannot be told.
    pub(super) claims: Result<Claims, ownership::Fault>,
    /// Whether somebody wrote it by hand.
    pub(super) nature: Nature,
    /// `TLS-Required: No` (RFC 8689 §3), once.
    pub(super) tls_required_no: bool,
    /// Addresses in Delivered-To, in lower case.
    pub(super) delivered_to: Vec<String>,
    /// What the operator's rules ask about, as it came.
    pub(super) for_rules: Option<HeaderFacts>,
    /// Whom From names in mail of another server, where the domain can be read; at most `AUTHORS_MAX`.
    pub(super) authors: Vec<(Address, DomainName)>,
    /// Of a customer's message the program that wrote it, as it came.
    pub(super) mailer: Option<Box<str>>,
}

impl Default for HeaderReport {
    /// Of a header nobody looked into.
    fn default() -> Self {
        Self {
            claims: Err(ownership::Fault::NoFrom),
            nature: Nature::Personal,
            tls_required_no: false,
            delivered_to: Vec::new(),
            for_rules: None,
            authors: Vec::new(),
            mailer: None,
        }
    }
}

/// Whose header it is, which decides what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Author {
    /// A customer's.
    Customer,
    /// Another server's.
    Server,
}

impl HeaderReport {
    /// Reads `header`.
    ///
    /// # Errors
    /// `Fault::Loop` where it went through more of our kind than any message does.
    pub(super) fn read(header: &[u8], author: Author) -> Result<Self, Fault> {
        let mut report = Self::default();
        if author == Author::Customer {
            report.claims = ownership::read(header);
        }
        let mut tls_required = 0;
        for field in fields(header) {
            if author == Author::Server && field.is("From") {
                report.note_authors(&field);
            } else if field.is("TLS-Required") {
                tls_required += 1;
                report.tls_required_no = field.value().eq_ignore_ascii_case(b"No");
            } else if field.is("Delivered-To") {
                report.note_delivery(&field)?;
            } else if is_automatic(&field) {
                report.nature = Nature::Automatic;
            }
        }
        // RFC 8689 §3: more than one must not appear; then nobody knows what is meant.
        report.tls_required_no &= tls_required == 1;
        Ok(report)
    }

    /// Every From counts: readers are shown one or the other. What programs show is read, not only what is right.
    fn note_authors(&mut self, field: &Field<'_>) {
        for entry in parse_addresses(field.raw_value) {
            if self.authors.len() >= AUTHORS_MAX {
                return;
            }
            let Entry::Mailbox { local, domain, .. } = entry else {
                continue;
            };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let Ok(domain) = DomainName::parse(text(&domain).trim_end_matches('.')) else {
                continue;
            };
            let written = format!("{}@{domain}", text(&local));
            let nobody = || Address::parse(&format!("invalid@{domain}"));
            let Ok(address) = Address::parse(&written).or_else(|_| nobody()) else {
                continue;
            };
            if !self.authors.iter().any(|(known, _)| *known == address) {
                self.authors.push((address, domain));
            }
        }
    }

    fn note_delivery(&mut self, field: &Field<'_>) -> Result<(), Fault> {
        if self.delivered_to.len() >= DELIVERED_TO_MAX {
            return Err(Fault::Loop);
        }
        let value = field.value();
        self.delivered_to
            .push(String::from_utf8_lossy(&value).to_lowercase());
        Ok(())
    }

    /// The one author; `None` where there is no such.
    pub(super) fn author(&self) -> Option<&Address> {
        self.claims.as_ref().ok()?.author()
    }
}

/// What the program that wrote a message calls itself, whether or not others will read that.
pub(super) fn mailer(header: &[u8]) -> Option<Box<str>> {
    let mut named = fields(header).filter(|field| field.is("X-Mailer") || field.is("User-Agent"));
    named.find_map(|field| Told::value(&field.value()))
}

/// RFC 3834 §5: `Auto-Submitted` other than `no`; RFC 6522: reports, which receipts are as well.
fn is_automatic(field: &Field<'_>) -> bool {
    if field.is("Auto-Submitted") {
        let value = field.value();
        let word = value.split(|byte| b"; \t(".contains(byte)).next();
        return word.is_some_and(|word| !word.is_empty() && !word.eq_ignore_ascii_case(b"no"));
    }
    field.is("Content-Type")
        && field
            .value()
            .get(..b"multipart/report".len())
            .is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/report"))
}
