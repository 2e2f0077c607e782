//! A limit that is reached, in words for the customer and for the operator. Pure.

use crate::model::Scope;
use std::fmt;
use std::time::Duration;

/// Which limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Messages in an hour.
    MessagesPerHour,
    /// Recipients in a day.
    RecipientsPerDay,
    /// Recipients in a day that were not written to in the last 30 days.
    NewRecipientsPerDay,
    /// Recipients of one message.
    RecipientsPerMessage,
}

impl Limit {
    /// The reason code for logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::MessagesPerHour => "messages_per_hour",
            Self::RecipientsPerDay => "recipients_per_day",
            Self::NewRecipientsPerDay => "new_recipients_per_day",
            Self::RecipientsPerMessage => "recipients_per_message",
        }
    }
}

/// A limit is reached: the ruling is to refuse for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// Which limit.
    pub limit: Limit,
    /// Whose.
    pub scope: Scope,
    /// How much it allows.
    pub allowed: u32,
    /// When there is room again; zero where another message can be sent at once.
    pub wait: Duration,
}

impl Exceeded {
    pub(super) fn new(limit: Limit, scope: &Scope, allowed: u32, wait: Duration) -> Self {
        Self {
            limit,
            scope: scope.clone(),
            allowed,
            wait,
        }
    }

    /// Reply code and enhanced code (RFC 5321 §4.5.3.1.10, RFC 3463): temporary, nothing is lost.
    pub fn code(&self) -> (u16, &'static str) {
        match self.limit {
            Limit::RecipientsPerMessage => (452, "4.5.3"),
            _ => (450, "4.7.1"),
        }
    }

    /// What the customer reads, in English; one line of ASCII.
    pub fn text(&self) -> String {
        let n = self.allowed;
        let whose = match self.scope {
            Scope::Account(_) => "this account",
            Scope::Domain(_) => "your domain",
            Scope::Group(_) | Scope::Installation => "your group of customers",
        };
        let s = if n == 1 { "" } else { "s" };
        let (what, not_done) = match self.limit {
            Limit::MessagesPerHour => (format!("{n} message{s} an hour"), "Nothing was sent"),
            Limit::RecipientsPerDay => (format!("{n} recipient{s} a day"), NOT_TO_THIS_ONE),
            Limit::NewRecipientsPerDay => (format!("{n} new recipient{s} a day"), NOT_TO_THIS_ONE),
            Limit::RecipientsPerMessage => {
                return format!(
                    "A message may have {n} recipient{s} here; send it to the others as another message"
                );
            }
        };
        format!(
            "The limit of {what} for {whose} is reached. {not_done}; send again in {}, or ask your \
             provider for a higher limit",
            span(self.wait, ["minute", "minutes", "hours"])
        )
    }

    /// What the customer reads, in German; one line of ASCII, as a reply must be.
    pub fn text_de(&self) -> String {
        let n = self.allowed;
        let whose = match self.scope {
            Scope::Account(_) => "dieses Konto",
            Scope::Domain(_) => "Ihre Domain",
            Scope::Group(_) | Scope::Installation => "Ihre Kundengruppe",
        };
        let one = n == 1;
        let pick =
            |singular: &'static str, plural: &'static str| if one { singular } else { plural };
        let (what, not_done) = match self.limit {
            Limit::MessagesPerHour => {
                let messages = pick("Nachricht", "Nachrichten");
                (
                    format!("{n} {messages} je Stunde"),
                    "Es wurde nichts gesendet",
                )
            }
            Limit::RecipientsPerDay => (
                format!("{n} Empfaenger{} am Tag", pick("", "n")),
                NOT_TO_THIS_ONE_DE,
            ),
            Limit::NewRecipientsPerDay => {
                let new = pick("neuen Empfaenger", "neuen Empfaengern");
                (format!("{n} {new} am Tag"), NOT_TO_THIS_ONE_DE)
            }
            Limit::RecipientsPerMessage => {
                return format!(
                    "Eine Nachricht darf hier {n} Empfaenger haben; senden Sie sie den uebrigen gesondert"
                );
            }
        };
        format!(
            "Das Limit von {what} fuer {whose} ist erreicht. {not_done}; senden Sie in {} erneut, oder \
             bitten Sie Ihren Anbieter um ein hoeheres Limit",
            span(self.wait, ["Minute", "Minuten", "Stunden"])
        )
    }
}

/// What became of one RCPT; others of the same message may have been taken.
const NOT_TO_THIS_ONE: &str = "The message was not taken for this recipient";
/// The same in German.
const NOT_TO_THIS_ONE_DE: &str = "Fuer diesen Empfaenger wurde die Nachricht nicht angenommen";

fn span(wait: Duration, [minute, minutes, hours]: [&str; 3]) -> String {
    match wait.as_secs().div_ceil(60) {
        0 | 1 => format!("1 {minute}"),
        whole @ 2..=120 => format!("{whole} {minutes}"),
        whole => format!("{} {hours}", whole.div_ceil(60)),
    }
}

impl fmt::Display for Exceeded {
    /// For the operator.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} for {} is reached",
            self.limit.reason(),
            self.allowed,
            self.scope
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural_and_what_was_taken_is_not_denied() {
        let text = |limit, allowed, seconds| {
            let exceeded = Exceeded {
                limit,
                scope: Scope::Installation,
                allowed,
                wait: Duration::from_secs(seconds),
            };
            format!("{} {}", exceeded.text(), exceeded.text_de())
        };
        for limit in [
            Limit::MessagesPerHour,
            Limit::RecipientsPerDay,
            Limit::NewRecipientsPerDay,
            Limit::RecipientsPerMessage,
        ] {
            let one = text(limit, 1, 30);
            let plural = [
                "messages an",
                "recipients a",
                "Nachrichten je",
                "Empfaengern",
                "1 minutes",
                "1 Minuten",
            ];
            assert!(plural.iter().all(|word| !one.contains(word)), "{one}");
            assert!(one.is_ascii() && text(limit, 2, 7_260).is_ascii());
        }
        assert!(text(Limit::MessagesPerHour, 2, 120).contains("in 2 Minuten"));
        assert!(text(Limit::RecipientsPerDay, 2, 7_260).contains("in 3 hours"));
        assert!(!text(Limit::RecipientsPerDay, 2, 60).contains("othing was sent"));
    }
}
