//! One message on its way in: undone dot-stuffing goes through here into the spool and the scanner,
//! with our own fields in front. A message that must be refused is still read to its end, but no
//! byte of it is kept from then on. Used by DATA and BDAT; knows no socket.

use super::header_gate::{HeaderGate, Piece, Seen};
use super::header_report::{self, Author, HeaderReport};
use super::results_field;
use super::rulings::message::Fault;
use crate::data::{BareEndings, Dots, Lines, Progress};
use crate::limits::Limits;
use formats::header_edit::{self, Action};
use formats::message::Scanner;
use platform::clock::Timestamp;
use platform::spool::Spool;
use policy::rules::{self, Case, Facts, HeaderFacts, Known, Point, evaluate};
use policy::{Direction, Snapshot};
use std::borrow::Cow;
use std::sync::Arc;

/// Fields for a message that lacks them (RFC 6409 §8.2, §8.3), whole lines.
#[derive(Debug)]
pub(super) struct Missing {
    /// `Date: …`
    pub(super) date: String,
    /// `Message-ID: …`
    pub(super) message_id: String,
}

/// What is put in front of a message, and what is done to its header, which is held until its end, changed and read,
/// and only then written. It is held as messages are: in memory within the budget of all, past that in a file, so that
/// nobody fills the memory with headers that never end.
#[derive(Debug)]
pub(super) struct Front {
    /// Put in front.
    pub(super) fields: String,
    /// Put behind these where they turn out to be missing (submission).
    pub(super) missing: Option<Missing>,
    /// Whose header it is.
    pub(super) author: Author,
    /// Changes, if any are to be made.
    pub(super) edits: Option<Edits>,
    /// What the operator's rules do with it.
    pub(super) rules: Option<Box<HeaderRules>>,
    /// Where the header is held; empty.
    pub(super) held: Spool,
    /// Our names: an Authentication-Results with one of them, which nobody but us may write, is taken out.
    pub(super) hosts: Box<[Box<str>]>,
}

/// The operator's rules about a header.
#[derive(Debug)]
pub(super) struct HeaderRules {
    /// The rules when the message began.
    pub(super) policy: Arc<Snapshot>,
    /// What was known then.
    pub(super) case: Case,
    /// Of the recipients nothing is known.
    pub(super) recipients_missed: bool,
    /// When that was.
    pub(super) now: Timestamp,
}

impl HeaderRules {
    /// What rules see of the header, and what they do to it.
    fn read(&self, header: &[u8]) -> (HeaderFacts, Vec<Action>) {
        let rules = self.policy.rules();
        let seen = HeaderFacts::read(header, rules.header_names());
        let actions = self.case.prepare(0).at(Point::Data, |facts| {
            let facts = Facts {
                headers: Known::Is(&seen),
                // It comes after the header; whatever MAIL announced.
                size: Known::Unknown,
                recipients: match self.recipients_missed {
                    true => Known::Unknown,
                    false => facts.recipients,
                },
                ..*facts
            };
            let decision = evaluate(rules, Point::Data, &facts, self.now);
            let edits = decision
                .actions
                .iter()
                .filter_map(|acting| match acting.action {
                    rules::Action::Header { action } => Some(action.0.clone()),
                    _ => None,
                });
            edits.collect()
        });
        (seen, actions)
    }
}

/// Which changes a header gets.
#[derive(Debug)]
pub(super) struct Edits {
    /// The settings when the message began.
    pub(super) policy: Arc<Snapshot>,
    /// The sender's domain on the way out, the recipients' on the way in; may be empty.
    pub(super) domain: Box<str>,
    /// Which way.
    pub(super) direction: Direction,
}

impl Edits {
    /// The header as it is kept, after what is set and what rules do. Nothing is copied where nothing changes.
    fn apply<'h>(&self, header: &'h [u8], by_rules: &[Action]) -> Cow<'h, [u8]> {
        let actions = self.policy.header_actions(&self.domain, self.direction);
        let actions = actions.chain(by_rules);
        match self.direction {
            Direction::Inbound => header_edit::apply(header, actions),
            Direction::Outbound => {
                let always: &[Action] = header_edit::blind_copies();
                header_edit::apply(header, always.iter().chain(actions))
            }
        }
    }
}

/// A message that came in whole.
#[derive(Debug)]
pub(super) struct Message {
    /// Its bytes, our fields included.
    pub(super) body: Spool,
    /// `formats::message::Facts`, encoded.
    pub(super) facts: Vec<u8>,
    /// Bytes the peer sent, without dot-stuffing.
    pub(super) bytes: u64,
    /// What its header says.
    pub(super) report: HeaderReport,
    /// The header of another server's message as it came, where it was changed.
    pub(super) original_header: Option<Spool>,
}

/// A message coming in.
#[derive(Debug)]
pub(super) struct Incoming {
    lines: Lines,
    gate: HeaderGate,
    kept: Kept,
    bytes: u64,
    fault: Option<Fault>,
}

/// Where accepted bytes go.
#[derive(Debug)]
struct Kept {
    spool: Spool,
    scanner: Scanner,
    /// The header so far, and what is done to it. `None` once it was written.
    held: Option<Box<Front>>,
    report: HeaderReport,
    original_header: Option<Spool>,
    header_bytes_max: usize,
    received_fields_max: usize,
}

fn not_spooled(error: std::io::Error) -> Fault {
    tracing::error!(name: "smtp.spool_failed", %error, "writing a message to the spool failed");
    Fault::Storage
}

impl Kept {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.scanner.push(bytes);
        self.spool.push(bytes).map_err(not_spooled)
    }

    fn keep(&mut self, piece: Piece<'_>) -> Result<(), Fault> {
        match piece {
            Piece::Header(bytes) => self.header(bytes),
            Piece::Body(bytes) => self.write(bytes),
            Piece::HeaderEnds(seen) if seen.received >= self.received_fields_max => {
                Err(Fault::Loop)
            }
            Piece::HeaderEnds(seen) => self.header_ends(seen),
        }
    }

    /// Our fields go before the client's header, of which only what policy names is changed (it may
    /// be signed).
    fn header_ends(&mut self, seen: Seen) -> Result<(), Fault> {
        let Some(front) = self.held.take() else {
            return Ok(());
        };
        let Front {
            fields,
            missing,
            author,
            edits,
            rules,
            held,
            hosts,
        } = *front;
        let came = match held.as_memory() {
            Some(memory) => Cow::Borrowed(memory),
            None => Cow::Owned(held.read_range(0..held.len()).map_err(not_spooled)?),
        };
        let (for_rules, by_rules) = match rules.as_ref().map(|rules| rules.read(&came)) {
            Some((seen, actions)) => (Some(seen), actions),
            None => (None, Vec::new()),
        };
        let hosts: Vec<&str> = hosts.iter().map(|host| &**host).collect();
        let honest = match seen.results {
            true => results_field::without_forged(&came, &hosts),
            false => None,
        };
        let honest = honest.map_or(Cow::Borrowed(&came[..]), Cow::Owned);
        let header = match &edits {
            Some(edits) => edits.apply(&honest, &by_rules),
            None => Cow::Borrowed(&*honest),
        };
        self.report = HeaderReport::read(&header, author)?;
        self.report.for_rules = for_rules;
        if author == Author::Customer {
            self.report.mailer = header_report::mailer(&came);
        }
        self.write(fields.as_bytes())?;
        if let Some(missing) = missing {
            if !seen.date {
                self.write(missing.date.as_bytes())?;
            }
            if !seen.message_id {
                self.write(missing.message_id.as_bytes())?;
            }
        }
        self.write(&header)?;
        if author == Author::Server && *header != came[..] {
            self.original_header = Some(held);
        }
        Ok(())
    }

    fn header(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let Some(Front { held, .. }) = self.held.as_deref_mut() else {
            return self.write(bytes);
        };
        if held.len() + bytes.len() as u64 > self.header_bytes_max as u64 {
            return Err(Fault::HeaderTooLarge);
        }
        held.push(bytes).map_err(not_spooled)
    }
}

impl Incoming {
    /// At the beginning of a message.
    pub(super) fn begin(
        front: Front,
        spool: Spool,
        dots: Dots,
        bare: BareEndings,
        limits: &Limits,
    ) -> Self {
        let kept = Kept {
            spool,
            scanner: Scanner::new(),
            held: Some(Box::new(front)),
            report: HeaderReport::default(),
            original_header: None,
            header_bytes_max: limits.header_bytes_max,
            received_fields_max: limits.received_fields_max,
        };
        Self {
            lines: Lines::new(dots, bare),
            gate: HeaderGate::new(),
            kept,
            bytes: 0,
            fault: None,
        }
    }

    /// Takes bytes as they come from the peer; says whether the message ended within them.
    pub(super) fn push(&mut self, input: &[u8], limits: &Limits) -> Progress {
        let Self {
            lines,
            gate,
            kept,
            bytes,
            fault,
        } = self;
        let progress = lines.push(input, |piece| {
            *bytes = bytes.saturating_add(piece.len() as u64);
            if fault.is_some() {
                return Ok(());
            }
            let outcome = if *bytes > limits.message_bytes_max {
                Err(Fault::TooLarge)
            } else {
                take(gate, kept, piece)
            };
            if let Err(found) = outcome {
                *fault = Some(found);
            }
            Ok::<_, std::convert::Infallible>(())
        });
        if self.fault.is_none() && self.lines.must_be_refused() {
            self.fault = Some(Fault::BareEnding);
        }
        match progress {
            Ok(progress) => progress,
            Err(never) => match never {},
        }
    }

    /// Why the message must be refused, as far as it came.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Whether a message that is refused anyway has gone on for twice the largest size: the peer
    /// does not look as if it ever wants to hear that.
    pub(super) fn is_endless(&self, limits: &Limits) -> bool {
        self.fault.is_some() && self.bytes > limits.message_bytes_max.saturating_mul(2)
    }

    /// The message ended.
    ///
    /// # Errors
    /// Why it must be refused.
    pub(super) fn finish(mut self) -> Result<Message, Fault> {
        let Self {
            lines,
            gate,
            kept,
            fault,
            ..
        } = &mut self;
        if let Some(fault) = *fault {
            return Err(fault);
        }
        lines.finish(|piece| take(gate, kept, piece))?;
        if lines.must_be_refused() {
            return Err(Fault::BareEnding);
        }
        gate.finish(&mut |piece| kept.keep(piece))?;
        let facts = self.kept.scanner.finish();
        if facts.marks().nul {
            return Err(Fault::Nul);
        }
        Ok(Message {
            body: self.kept.spool,
            facts: facts.to_bytes(),
            bytes: self.bytes,
            report: self.kept.report,
            original_header: self.kept.original_header,
        })
    }
}

/// Sends a piece of the message through the gate into what is kept.
fn take(gate: &mut HeaderGate, kept: &mut Kept, piece: &[u8]) -> Result<(), Fault> {
    gate.push(piece, &mut |piece| kept.keep(piece))
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::address::Address;
    use platform::spool::SpoolLimits;

    fn spool_limits() -> SpoolLimits {
        SpoolLimits {
            memory_bytes: 64 * 1024,
            dir: std::env::temp_dir().into(),
        }
    }

    fn incoming(front: Front, limits: &Limits) -> Incoming {
        let spool = Spool::new(spool_limits());
        Incoming::begin(front, spool, Dots::Stuffed, BareEndings::Refuse, limits)
    }

    fn mx() -> Front {
        Front {
            missing: None,
            author: Author::Server,
            edits: None,
            ..submission()
        }
    }

    fn submission() -> Front {
        let missing = Missing {
            date: "Date: now\r\n".into(),
            message_id: "Message-ID: <1@x>\r\n".into(),
        };
        Front {
            fields: "Received: us\r\n".into(),
            missing: Some(missing),
            author: Author::Customer,
            edits: Some(Edits {
                policy: Arc::default(),
                domain: "firma.test".into(),
                direction: Direction::Outbound,
            }),
            rules: None,
            held: Spool::new(spool_limits()),
            hosts: ["rp.test".into()].into(),
        }
    }

    fn text(message: &Message) -> String {
        String::from_utf8_lossy(message.body.as_memory().unwrap_or_default()).into_owned()
    }

    #[test]
    fn our_fields_come_first_and_the_rest_is_untouched() {
        let limits = Limits::default();
        let mut message = incoming(mx(), &limits);
        let progress = message.push(b"Subject: x\r\n\r\n..hi\r\n.\r\n", &limits);
        assert!(matches!(progress, Progress::End { .. }));
        let message = message.finish().unwrap();
        assert_eq!(text(&message), "Received: us\r\nSubject: x\r\n\r\n.hi\r\n");
        assert_eq!(message.bytes, 19);
    }

    #[test]
    fn a_submitted_message_gets_what_is_missing_and_nothing_twice() {
        let limits = Limits::default();
        for (sent, stored) in [
            (
                "Subject: x\r\n\r\nhi\r\n",
                "Date: now\r\nMessage-ID: <1@x>\r\nSubject: x\r\n\r\nhi\r\n",
            ),
            (
                "Date: y\r\n\r\nhi\r\n",
                "Message-ID: <1@x>\r\nDate: y\r\n\r\nhi\r\n",
            ),
            (
                "date: y\r\nmessage-id: <2>\r\n",
                "date: y\r\nmessage-id: <2>\r\n",
            ),
            (
                "just text\r\n",
                "Date: now\r\nMessage-ID: <1@x>\r\n\r\njust text\r\n",
            ),
        ] {
            let mut message = incoming(submission(), &limits);
            for byte in sent.as_bytes() {
                message.push(&[*byte], &limits);
            }
            message.push(b".\r\n", &limits);
            assert_eq!(
                text(&message.finish().unwrap()),
                format!("Received: us\r\n{stored}")
            );
        }
    }

    #[test]
    fn a_submitted_header_loses_what_tells_too_much_and_is_read_as_it_is_kept() {
        let limits = Limits::default();
        let mut message = incoming(submission(), &limits);
        message.push(
            b"Date: y\r\nMessage-ID: <2>\r\nBcc: x@y.test,\r\n z@y.test\r\nX-Originating-IP: 1\r\n\
              From: anna@firma.test\r\nTLS-Required: no\r\nX-Keep:\r\n  folded\r\n\r\nBcc: body\r\n.\r\n",
            &limits,
        );
        let message = message.finish().unwrap();
        assert_eq!(
            text(&message),
            "Received: us\r\nDate: y\r\nMessage-ID: <2>\r\nFrom: anna@firma.test\r\n\
             TLS-Required: no\r\nX-Keep:\r\n  folded\r\n\r\nBcc: body\r\n"
        );
        assert!(message.report.tls_required_no);
        let author = message.report.author();
        assert_eq!(author.map(Address::domain), Some("firma.test"));
    }

    #[test]
    fn an_incoming_header_is_read_as_it_is_kept() {
        let limits = Limits::default();
        let front = Front {
            edits: Some(Edits {
                policy: Arc::default(),
                domain: "firma.test".into(),
                direction: Direction::Inbound,
            }),
            ..mx()
        };
        let mut message = incoming(front, &limits);
        let sent = "Bcc: x@y.test\r\nDelivered-To: Anna@Firma.test\r\n\r\nhi\r\n";
        message.push(sent.as_bytes(), &limits);
        message.push(b".\r\n", &limits);
        let message = message.finish().unwrap();
        assert_eq!(text(&message), format!("Received: us\r\n{sent}"));
        assert_eq!(message.report.delivered_to, ["anna@firma.test"]);
        assert!(message.original_header.is_none());
    }

    #[test]
    fn headers_that_do_not_end_share_the_memory_of_all_messages() {
        let limits = Limits::default();
        let budget = platform::spool::SpoolBudget::new(20_000);
        let front = Front {
            held: Spool::with_budget(spool_limits(), budget.clone()),
            ..mx()
        };
        let mut message = incoming(front, &limits);
        let mut sent = "Authentication-Results: rp.test; none\r\n".to_owned();
        message.push(sent.as_bytes(), &limits);
        assert!(budget.used() > 0, "it is counted");
        for n in 0..2_000 {
            let field = format!("X-Field-{n}: some value or other\r\n");
            message.push(field.as_bytes(), &limits);
            sent.push_str(&field);
        }
        assert_eq!(budget.used(), 0, "it went to a file");
        message.push(b"\r\nhi\r\n.\r\n", &limits);
        let message = message.finish().unwrap();
        let original = message.original_header.unwrap();
        let original = original.read_range(0..original.len()).unwrap();
        assert!(original.starts_with(sent.as_bytes()));
        let kept = message.body.read_range(0..message.body.len()).unwrap();
        let (_, fields) = sent.split_once('\n').unwrap();
        assert_eq!(
            String::from_utf8(kept).unwrap(),
            format!("Received: us\r\n{fields}\r\nhi\r\n")
        );
    }

    #[test]
    fn nobody_writes_results_in_our_name_and_signatures_are_checked_over_what_came() {
        let limits = Limits::default();
        let mut message = incoming(mx(), &limits);
        let header = "Authentication-Results: RP.test; dmarc=pass\r\nFrom: <anna@Firma.test>,\r\n b@x.test\r\n";
        message.push(header.as_bytes(), &limits);
        message.push(b"From: \"c\"@y.test\r\n\r\nhi\r\n.\r\n", &limits);
        let message = message.finish().unwrap();
        let kept = text(&message);
        assert!(kept.starts_with("Received: us\r\nFrom: <anna@"), "{kept}");
        let original = message.original_header.unwrap();
        assert!(original.as_memory().unwrap().starts_with(header.as_bytes()));
        let authors: Vec<_> = message
            .report
            .authors
            .iter()
            .map(|(_, domain)| domain.as_str())
            .collect();
        assert_eq!(authors, ["firma.test", "x.test", "y.test"]);
    }

    #[test]
    fn a_refused_message_is_read_on_but_not_kept() {
        let limits = Limits {
            message_bytes_max: 1_000,
            ..Limits::default()
        };
        let mut message = incoming(mx(), &limits);
        let line = [b"x".repeat(98), b"\r\n".to_vec()].concat();
        message.push(b"\r\n", &limits);
        for _ in 0..100 {
            message.push(&line, &limits);
        }
        assert!(message.is_endless(&limits));
        assert!(message.kept.spool.len() < 1_100);
        assert!(matches!(
            message.push(b".\r\n", &limits),
            Progress::End { consumed: 3 }
        ));
        assert_eq!(message.finish().err(), Some(Fault::TooLarge));
    }

    #[test]
    fn a_loop_is_seen() {
        let limits = Limits::default();
        for (count, expected) in [(99, None), (100, Some(Fault::Loop))] {
            let mut message = incoming(mx(), &limits);
            message.push("Received: a\r\n".repeat(count).as_bytes(), &limits);
            message.push(b"\r\nhi\r\n.\r\n", &limits);
            assert_eq!(message.finish().err(), expected);
        }
    }

    #[test]
    fn a_bare_ending_is_refused_after_the_real_end() {
        let limits = Limits::default();
        let mut message = incoming(mx(), &limits);
        assert_eq!(
            message.push(b"Subject: x\r\n\r\na\n.\r\nQUIT\r\n", &limits),
            Progress::More
        );
        assert!(matches!(
            message.push(b".\r\n", &limits),
            Progress::End { .. }
        ));
        assert_eq!(message.finish().err(), Some(Fault::BareEnding));
    }

    #[test]
    fn a_held_header_is_bounded() {
        let limits = Limits {
            header_bytes_max: 1_000,
            ..Limits::default()
        };
        let mut message = incoming(submission(), &limits);
        message.push("Subject: x\r\n".repeat(100).as_bytes(), &limits);
        message.push(b"\r\n.\r\n", &limits);
        assert_eq!(message.finish().err(), Some(Fault::HeaderTooLarge));
    }
}
