//! Letters the node writes by itself: those of rollouts, and the code that proves control over an address
//! elsewhere. They leave by the node's own queue, signed, and ask for no answer (RFC 3834). A letter has a
//! name, and the queue takes a name once: a crash between taking over and noting it sends nothing twice.

use crate::node::Parts;
use directory::{AddressKey, DomainName};
use formats::address::Address;
use formats::date::{DateTime, format_rfc5322};
use formats::dsn::quoted_printable;
use formats::header::{encode_text, write_field};
use formats::language::Language;
use formats::message::Facts;
use platform::clock::Timestamp;
use platform::spool::{Spool, SpoolLimits};
use platform::store::Tx;
use policy::admin::Author;
use policy::identities::{Identities, new_code};
use queue::trace::{Entry, Told};
use queue::{
    Accept, AcceptError, Dispatch, DsnOptions, Origin, ReversePath, TraceId, bounce, trace,
};
use rollout::post::Carried;
use rollout::{Fate, Letter, Post, PostError, Posted, Stream, Token};

/// Letters are small: they never touch the disk before they are taken over.
const LETTER_MEMORY_BYTES: usize = 64 * 1024;

/// Carries letters by the queue of this node.
#[derive(Clone)]
pub(crate) struct QueuePost {
    parts: Parts,
}

impl QueuePost {
    pub(crate) fn new(parts: &Parts) -> Self {
        Self {
            parts: parts.clone(),
        }
    }

    async fn story(&self, token: Token) -> Result<Vec<Entry>, PostError> {
        let id = TraceId(token.0);
        let read = self
            .parts
            .store
            .read(move |tx: &mut dyn Tx| trace::read(tx, id));
        read.await.map_err(later)
    }

    async fn take(&self, letter: Letter) -> Result<Posted, PostError> {
        if let Some(first) = self.story(letter.token).await?.first() {
            return Ok(Posted { at: first.at });
        }
        let parts = &self.parts;
        let now = parts.clock.now();
        let to = Address::parse(&letter.to).map_err(impossible)?;
        let recipients = bounce::recipients(&to, &parts.directory)
            .await
            .map_err(later)?;
        if recipients.is_empty() {
            return Err(impossible("the address leads nowhere"));
        }
        let from = sender(&letter, &parts.settings.host_name.0)?;
        let mut bytes = b"Return-Path: <>\r\n".to_vec();
        write(&mut bytes, &letter, &from, &parts.settings.host_name.0, now);
        let mut body = Spool::new(SpoolLimits {
            memory_bytes: LETTER_MEMORY_BYTES,
            dir: parts.temporary_dir.clone(),
        });
        body.push(&bytes).map_err(later)?;
        let accept = Accept {
            trace: TraceId(letter.token.0),
            sender: ReversePath::Null,
            recipients,
            submitter: None,
            dsn: DsnOptions::default(),
            facts: Facts::scan(&bytes).to_bytes(),
            body,
            session: trace::Session::default(),
            now,
            announced: None,
            dispatch: self.dispatch(&letter, &from).await?,
        };
        match parts.queue.accept(accept).await {
            Ok(()) => Ok(Posted { at: now }),
            Err(AcceptError::NoRecipient) => Err(impossible("the address leads nowhere")),
            Err(error) => Err(later(error)),
        }
    }

    /// A letter from an address of a domain here is signed by that domain, any other one by this host.
    async fn dispatch(&self, letter: &Letter, from: &Address) -> Result<Dispatch, PostError> {
        let domain = DomainName::parse(from.domain()).map_err(impossible)?;
        let hosting = self.parts.directory.hosting(&domain).await.map_err(later)?;
        let origin = match hosting {
            directory::Hosting::Elsewhere => Origin::Ours,
            _ => Origin::Submitted {
                author_domain: Some(domain.to_string()),
                login_domain: None,
            },
        };
        Ok(Dispatch {
            group: letter.group.as_deref().map(Box::from),
            rules_of: Some(domain.as_str().into()),
            origin,
            ..Dispatch::default()
        })
    }
}

impl Post for QueuePost {
    fn token(&self) -> Token {
        Token(self.parts.traces.next().0)
    }

    fn send<'a>(&'a self, letter: Letter) -> Carried<'a, Posted> {
        Box::pin(self.take(letter))
    }

    fn fate<'a>(&'a self, token: Token) -> Carried<'a, Option<(Fate, Timestamp)>> {
        Box::pin(async move { Ok(fate(&self.story(token).await?)) })
    }
}

/// What a story comes to: a letter has one reader, so its last line decides.
fn fate(story: &[Entry]) -> Option<(Fate, Timestamp)> {
    let last = story.iter().rev().find_map(|entry| {
        let Told::Settled(settled) = &entry.told else {
            return None;
        };
        let reply = settled.reply.clone();
        let fate = match entry.event.as_str() {
            "relayed" => Fate::Relayed(reply),
            "delivered" => Fate::Delivered,
            "failed" => Fate::Failed(reply),
            "deferred" => Fate::Queued(reply),
            _ => return None,
        };
        Some((fate, entry.at))
    });
    last.or_else(|| {
        let first = story.first()?;
        let Told::Accepted(accepted) = &first.told else {
            return Some((Fate::Queued(String::new()), first.at));
        };
        let fate = match accepted.waiting {
            0 => Fate::Delivered,
            _ => Fate::Queued(String::new()),
        };
        Some((fate, first.at))
    })
}

fn later(error: impl std::fmt::Display) -> PostError {
    PostError::Later(error.to_string())
}

fn impossible(error: impl std::fmt::Display) -> PostError {
    PostError::Impossible(error.to_string())
}

fn sender(letter: &Letter, host: &str) -> Result<Address, PostError> {
    let from = match &letter.from {
        Some(from) => from.clone(),
        None => format!("postmaster@{host}"),
    };
    Address::parse(&from).map_err(impossible)
}

/// Writes the message: plain text, seven bit.
fn write(out: &mut Vec<u8>, letter: &Letter, from: &Address, host: &str, now: Timestamp) {
    let shown = match letter.from_name.as_str() {
        "" => from.to_string(),
        name => format!("{} <{from}>", phrase(name)),
    };
    let id = TraceId(letter.token.0);
    write_field(out, "Date", &format_rfc5322(DateTime::utc(now.0)));
    write_field(out, "From", &shown);
    write_field(out, "To", &letter.to);
    write_field(out, "Message-ID", &format!("<{id}@{host}>"));
    write_field(out, "Subject", &encode_text(&letter.subject));
    if letter.stream == Stream::Notice {
        // RFC 3834 §5; a newsletter is no answer to anything and nobody's own matter.
        write_field(out, "Auto-Submitted", "auto-generated");
    }
    if let Some(unsubscribe) = &letter.unsubscribe {
        // RFC 8058 §3.1
        write_field(out, "List-Unsubscribe", &format!("<{}>", unsubscribe.url));
        write_field(out, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
    }
    let language = match letter.language {
        Language::German => "de, en",
        Language::English => "en, de",
    };
    write_field(out, "Content-Language", language);
    write_field(out, "MIME-Version", "1.0");
    write_field(out, "Content-Type", "text/plain; charset=utf-8");
    write_field(out, "Content-Transfer-Encoding", "quoted-printable");
    out.extend_from_slice(b"\r\n");
    quoted_printable(out, &letter.text);
}

/// A name as it may stand before an address (RFC 5322 §3.2.5).
fn phrase(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '-';
    match name.chars().all(is_plain) {
        true => name.to_owned(),
        false if name.chars().all(|c| (' '..='~').contains(&c)) && !name.contains("=?") => {
            format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
        }
        false => encode_text(name),
    }
}

/// Notes that the account `login` wants to send as `wanted` and mails a code there.
///
/// # Errors
/// Why not, for the person who asked; nothing waits for a code then.
pub(crate) async fn identity_code(
    parts: &Parts,
    login: &AddressKey,
    wanted: &AddressKey,
    by: String,
) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let to = Address::parse(&wanted.to_string()).map_err(|e| said(&e))?;
    let (code, now) = (new_code(&parts.random), parts.clock.now());
    let identities = Identities::new(parts.store.clone());
    let author = Author {
        by,
        reason: String::new(),
        now,
    };
    let asked = identities.request(login, wanted, &code, author).await;
    asked.map_err(|e| said(&e))?;
    let post = QueuePost::new(parts);
    if let Err(why) = post
        .send(code_letter(post.token(), login, &to, &code))
        .await
    {
        if let Err(error) = identities.withdraw(login, wanted).await {
            tracing::error!(%error, "identity.withdraw_failed");
        }
        return Err(format!("the code could not be mailed: {why}"));
    }
    Ok(())
}

fn code_letter(token: Token, login: &AddressKey, to: &Address, code: &str) -> Letter {
    Letter {
        token,
        from: None,
        from_name: String::new(),
        to: to.to_string(),
        subject: format!("Code {code} - Absender {to}"),
        text: code_text(login, to, code),
        language: Language::German,
        stream: Stream::Notice,
        unsubscribe: None,
        group: None,
    }
}

fn code_text(login: &AddressKey, to: &Address, code: &str) -> String {
    format!(
        "Guten Tag,\n\n\
         das Konto {login} möchte E-Mails mit dem Absender {to} versenden. Wenn Sie das veranlasst \
         haben, geben Sie dort diesen Code ein. Er gilt 24 Stunden:\n\n    {code}\n\n\
         Wenn Sie davon nichts wissen, brauchen Sie nichts zu tun: Ohne den Code geschieht nichts. \
         Geben Sie ihn niemandem.\n\n\
         --\n\n\
         Hello,\n\n\
         the account {login} wants to send mail as {to}. If you asked for that, give this code back \
         there. It is good for 24 hours:\n\n    {code}\n\n\
         If you know nothing about it, do nothing: without the code nothing happens. Give it to nobody.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rollout::Unsubscribe;

    fn written(letter: &Letter) -> String {
        let mut bytes = Vec::new();
        let from = sender(letter, "mx.test").unwrap();
        write(&mut bytes, letter, &from, "mx.test", Timestamp(0));
        assert!(bytes.is_ascii());
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.replace("\r\n", "").contains('\n'));
        text
    }

    fn code() -> Letter {
        let login = AddressKey::parse("anna@firma.test").unwrap();
        let to = Address::parse("anna@gmx.test").unwrap();
        code_letter(Token(1), &login, &to, "AAAA-BBBB-CCCC")
    }

    #[test]
    fn a_letter_is_seven_bit_and_tells_both_languages_what_to_do() {
        let text = written(&code());
        assert!(
            text.contains("\r\nAuto-Submitted: auto-generated\r\n"),
            "{text}"
        );
        assert!(
            text.contains("From: postmaster@mx.test\r\n") && text.contains("To: anna@gmx.test\r\n")
        );
        assert_eq!(text.matches("AAAA-BBBB-CCCC").count(), 3);
        assert!(!text.contains("List-Unsubscribe"));
    }

    #[test]
    fn a_newsletter_can_be_ended_with_one_click_and_is_no_automatic_answer() {
        let text = written(&Letter {
            from: Some("post@provider.test".into()),
            from_name: "Rohr & \"Söhne\"".into(),
            subject: "Grüße\r\nBcc: x@y.test".into(),
            stream: Stream::Newsletter,
            unsubscribe: Some(Unsubscribe {
                url: "https://mx.test/abmelden/abc".into(),
            }),
            ..code()
        });
        assert!(text.contains("\r\nList-Unsubscribe: <https://mx.test/abmelden/abc>\r\n"));
        assert!(text.contains("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
        assert!(!text.contains("Auto-Submitted") && !text.contains("Precedence"));
        assert!(!text.contains("\r\nBcc"), "{text}");
        assert!(text.contains("From: =?utf-8?q?Rohr_=26_=22S=C3=B6hne=22?= <post@provider.test>"));
    }
}
