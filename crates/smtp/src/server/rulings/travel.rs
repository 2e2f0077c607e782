//! Decides how a message travels on, from what MAIL asks for (REQUIRETLS, FUTURERELEASE, MT-PRIORITY)
//! and what this connection offers. Pure; the time is an argument.

use super::Refusal;
use crate::grammar::{HoldRequest, MailParameters};
use crate::limits::Limits;
use crate::reply::{Permanent, Reply, Status};
use platform::clock::Timestamp;
use queue::RequireTls;

/// Which of the extensions this connection offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Offered {
    /// REQUIRETLS: after TLS (RFC 8689 §2).
    pub(in crate::server) require_tls: bool,
    /// FUTURERELEASE and MT-PRIORITY: to customers (RFC 4865 §4, RFC 6710 §4.1).
    pub(in crate::server) submission: bool,
}

/// How a message travels on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::server) struct Travel {
    /// Only over verified TLS.
    pub(in crate::server) require_tls: RequireTls,
    /// Not before, as the client asked.
    pub(in crate::server) release_at: Option<Timestamp>,
    /// -9 to 9.
    pub(in crate::server) priority: i8,
    /// The priority is lower than what was asked for.
    pub(in crate::server) lowered: bool,
}

/// The ruling on the parameters of one MAIL. `priority_max` is what the customer's group may have.
///
/// # Errors
/// The refusal.
pub(in crate::server) fn rule(
    parameters: &MailParameters<'_>,
    offered: Offered,
    priority_max: i8,
    limits: &Limits,
    now: Timestamp,
) -> Result<Travel, Refusal> {
    if parameters.require_tls && !offered.require_tls {
        return Err(not_offered(
            "REQUIRETLS is offered after STARTTLS only; see the answer to EHLO.",
        ));
    }
    let for_customers = parameters.hold.is_some() || parameters.priority.is_some();
    if for_customers && !offered.submission {
        return Err(not_offered(
            "HOLDFOR, HOLDUNTIL and MT-PRIORITY are offered to customers only; see the answer to \
             EHLO.",
        ));
    }
    let wanted = parameters.priority.unwrap_or(0);
    // RFC 6710 §4.1: anybody may lower, only the entitled raise.
    let priority = wanted.min(priority_max.max(0));
    Ok(Travel {
        require_tls: match parameters.require_tls {
            true => RequireTls::Yes,
            false => RequireTls::No,
        },
        release_at: parameters
            .hold
            .map(|hold| release_at(hold, limits, now))
            .transpose()?,
        priority,
        lowered: priority < wanted,
    })
}

/// RFC 4865 §4 items 7 and 8. A time that has passed is one at which the message leaves at once.
fn release_at(hold: HoldRequest, limits: &Limits, now: Timestamp) -> Result<Timestamp, Refusal> {
    let latest = now.plus(limits.hold_max);
    let asked = match hold {
        HoldRequest::For(seconds) => i64::try_from(seconds)
            .ok()
            .and_then(|seconds| seconds.checked_mul(1000))
            .and_then(|ms| now.0.checked_add(ms)),
        HoldRequest::Until(unix_ms) => Some(unix_ms),
    };
    match asked.map(Timestamp).filter(|asked| *asked <= latest) {
        Some(asked) => Ok(asked),
        None => Err(Refusal {
            reply: Reply::permanent(
                Permanent::BadArgument,
                Status::ARGUMENTS,
                format!(
                    "A message is held for {} seconds at most. Choose an earlier time.",
                    limits.hold_max.as_secs()
                ),
            ),
            reason: "hold-too-long",
            explain: "The time asked for is past hold_max.",
        }),
    }
}

fn not_offered(text: &'static str) -> Refusal {
    Refusal {
        reply: Reply::permanent(Permanent::UnknownParameter, Status::ARGUMENTS, text),
        reason: "parameter-not-offered",
        explain: "The client used a parameter that this connection does not offer.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);
    const CUSTOMER: Offered = Offered {
        require_tls: true,
        submission: true,
    };

    fn ask(
        parameters: &MailParameters<'_>,
        offered: Offered,
        priority_max: i8,
    ) -> Result<Travel, u16> {
        let limits = Limits {
            hold_max: Duration::from_secs(600),
            ..Limits::default()
        };
        rule(parameters, offered, priority_max, &limits, NOW).map_err(|no| no.reply.code())
    }

    fn held(hold: HoldRequest) -> Result<Option<Timestamp>, u16> {
        let parameters = MailParameters {
            hold: Some(hold),
            ..MailParameters::default()
        };
        ask(&parameters, CUSTOMER, 0).map(|travel| travel.release_at)
    }

    #[test]
    fn a_hold_has_an_end() {
        assert_eq!(
            held(HoldRequest::For(600)),
            Ok(Some(Timestamp(NOW.0 + 600_000)))
        );
        assert_eq!(held(HoldRequest::For(601)), Err(501));
        assert_eq!(held(HoldRequest::For(u64::MAX)), Err(501));
        let until = HoldRequest::Until(NOW.0 + 600_000);
        assert_eq!(held(until), Ok(Some(Timestamp(NOW.0 + 600_000))));
        assert_eq!(held(HoldRequest::Until(NOW.0 + 600_001)), Err(501));
        assert_eq!(held(HoldRequest::Until(0)), Ok(Some(Timestamp(0))));
    }

    #[test]
    fn priorities_are_lowered_by_anybody_and_raised_by_the_entitled() {
        let asked = |priority, max| {
            let parameters = MailParameters {
                priority: Some(priority),
                ..MailParameters::default()
            };
            ask(&parameters, CUSTOMER, max).map(|travel| (travel.priority, travel.lowered))
        };
        assert_eq!(asked(-9, 0), Ok((-9, false)));
        assert_eq!(asked(3, 0), Ok((0, true)));
        assert_eq!(asked(3, 5), Ok((3, false)));
        assert_eq!(asked(9, 5), Ok((5, true)));
        assert_eq!(asked(0, -5), Ok((0, false)));
    }

    #[test]
    fn what_is_not_offered_is_refused() {
        let nobody = Offered {
            require_tls: false,
            submission: false,
        };
        for parameters in [
            MailParameters {
                require_tls: true,
                ..MailParameters::default()
            },
            MailParameters {
                hold: Some(HoldRequest::For(1)),
                ..MailParameters::default()
            },
            MailParameters {
                priority: Some(-1),
                ..MailParameters::default()
            },
        ] {
            assert_eq!(ask(&parameters, nobody, 0), Err(555), "{parameters:?}");
            assert!(ask(&parameters, CUSTOMER, 0).is_ok());
        }
        assert_eq!(
            ask(&MailParameters::default(), nobody, 0),
            Ok(Travel::default())
        );
    }
}
