//! EHLO and HELO (RFC 5321 §4.1.1.1): who the client says it is, and what this server offers it.
//! Both end an open transaction (§4.1.4). The name is never checked against anything.

use super::super::extension::Extension;
use super::super::rules;
use super::super::rulings::travel::Offered;
use super::super::session::{Session, Xclient};
use super::super::settings::{Listener, LoginOffer, Role};
use super::super::state::{Greeting, State};
use crate::limits::Limits;
use crate::reply::{Reply, Success};
use admission::Told;
use directory::sasl::Mechanism;
use formats::received::Greeting as Spoken;
use platform::clock::Timestamp;

pub(super) fn helo(session: &mut Session, name: &str) -> Reply {
    session.told = told(name);
    session.enter(State::Greeted(Greeting {
        name: name.into(),
        spoken: Spoken::Helo,
    }));
    if let Some(refusal) = rules::hello(session) {
        session.state = State::Connected;
        return refusal;
    }
    Reply::bare(Success::Ok, session.host_name().to_owned())
}

pub(super) fn ehlo(session: &mut Session, name: &str) -> Reply {
    session.told = told(name);
    session.enter(State::Greeted(Greeting {
        name: name.into(),
        spoken: Spoken::Ehlo,
    }));
    if let Some(refusal) = rules::hello(session) {
        session.state = State::Connected;
        return refusal;
    }
    let mechanisms = offered_mechanisms(session)
        .map(Mechanism::name)
        .collect::<Vec<_>>();
    let starttls = session.connection.stream.tls().is_none();
    let keywords = keywords(&Offer {
        listener: &session.listener,
        starttls: starttls && session.listener.offers(Extension::StartTls),
        mechanisms: &mechanisms,
        xclient: session.xclient,
        travel: super::mail::offered(session),
        now: session.context.clock.now(),
        limits: session.limits(),
    });
    Reply::bare(
        Success::Ok,
        format!("{}\n{}", session.host_name(), keywords.join("\n")),
    )
}

/// The name for recognising the program.
fn told(name: &str) -> Option<Box<Told>> {
    let hello = Some(Told::value(name.as_bytes())?);
    Some(Box::new(Told {
        hello,
        ..Told::default()
    }))
}

/// The mechanisms a client on this connection may use: none where every login would be refused, which
/// is before TLS (RFC 4954 §4) unless policy says otherwise; the -PLUS ones where the TLS session has
/// something to bind to.
pub(super) fn offered_mechanisms(session: &Session) -> impl Iterator<Item = Mechanism> + '_ {
    let in_tls = session.connection.stream.tls().is_some();
    let mechanisms = match session.login_offer() {
        LoginOffer::AfterTls if in_tls || session.role == Role::Submission => {
            session.listener.mechanisms(&session.context.settings)
        }
        _ => &[],
    };
    let (desk, visit) = (&session.context.desk, session.visit());
    let offered = !mechanisms.is_empty() && desk.offer(&visit).is_ok();
    desk.mechanisms(&visit, if offered { mechanisms } else { &[] })
}

/// What decides the answer to EHLO.
struct Offer<'a> {
    listener: &'a Listener,
    starttls: bool,
    mechanisms: &'a [&'static str],
    xclient: Xclient,
    travel: Offered,
    now: Timestamp,
    limits: &'a Limits,
}

fn keywords(offer: &Offer<'_>) -> Vec<String> {
    let limits = offer.limits;
    let offers = |one: &Extension| offer.listener.offers(*one);
    let mut keywords: Vec<String> = [
        Extension::Pipelining,
        Extension::EightBitMime,
        Extension::SmtpUtf8,
        Extension::Dsn,
    ]
    .iter()
    .filter(|one| offers(one))
    .map(|one| one.keyword().to_owned())
    .collect();
    keywords.push("ENHANCEDSTATUSCODES".into());
    if offers(&Extension::Chunking) {
        keywords.push("CHUNKING".into());
    }
    if offers(&Extension::Size) {
        keywords.push(format!("SIZE {}", limits.message_bytes_max));
    }
    if offers(&Extension::Limits) {
        // RFC 9422 §4: so that clients need not find out by being refused.
        keywords.push(format!(
            "LIMITS MAILMAX={} RCPTMAX={}",
            limits.messages_max, limits.recipients_max
        ));
    }
    if offer.starttls {
        keywords.push("STARTTLS".into());
    }
    if !offer.mechanisms.is_empty() {
        keywords.push(format!("AUTH {}", offer.mechanisms.join(" ")));
    }
    if offer.travel.require_tls && offers(&Extension::RequireTls) {
        keywords.push("REQUIRETLS".into());
    }
    if offer.travel.submission && offers(&Extension::FutureRelease) {
        // RFC 4865 §3: how long, and until when.
        let latest = offer.now.plus(limits.hold_max);
        keywords.push(format!(
            "FUTURERELEASE {} {}",
            limits.hold_max.as_secs(),
            formats::rfc3339::format(latest.0)
        ));
    }
    if offer.travel.submission && offers(&Extension::MtPriority) {
        keywords.push("MT-PRIORITY".into());
    }
    if offer.xclient == Xclient::Permitted {
        keywords.push("XCLIENT NAME ADDR PORT PROTO HELO".into());
    }
    keywords
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_depends_on_tls_login_and_test_addresses() {
        let limits = Limits::default();
        let listener = Listener::default();
        let offer = Offer {
            listener: &listener,
            starttls: true,
            mechanisms: &[],
            xclient: Xclient::Hidden,
            travel: Offered {
                require_tls: false,
                submission: false,
            },
            now: Timestamp(0),
            limits: &limits,
        };
        let text = keywords(&offer).join("\n");
        assert!(
            text.contains("STARTTLS") && text.contains("SIZE 52428800"),
            "{text}"
        );
        assert!(text.contains("LIMITS MAILMAX=1000 RCPTMAX=1000"), "{text}");
        assert!(
            !text.contains("AUTH") && !text.contains("XCLIENT") && !text.contains("REQUIRETLS"),
            "{text}"
        );
        let text = keywords(&Offer {
            starttls: false,
            mechanisms: &["PLAIN", "LOGIN"],
            xclient: Xclient::Permitted,
            travel: Offered {
                require_tls: true,
                submission: true,
            },
            ..offer
        })
        .join("\n");
        assert!(
            text.contains("AUTH PLAIN LOGIN") && !text.contains("STARTTLS"),
            "{text}"
        );
        assert!(text.contains("XCLIENT NAME ADDR"), "{text}");
        assert!(
            text.contains("REQUIRETLS\nFUTURERELEASE 2678400 1970-02-01T00:00:00Z\nMT-PRIORITY"),
            "{text}"
        );
    }
}
