//! Letters the node writes by itself: the code that proves control over an address elsewhere. They leave by
//! the node's own queue, signed for its host name, and ask for no answer (RFC 3834).

use crate::node::Parts;
use directory::AddressKey;
use formats::address::Address;
use formats::date::{DateTime, format_rfc5322};
use formats::dsn::quoted_printable;
use formats::header::write_field;
use formats::message::Facts;
use platform::clock::Timestamp;
use platform::spool::{Spool, SpoolLimits};
use policy::admin::Author;
use policy::identities::{Identities, new_code};
use queue::{
    Accept, DeliverTo, Dispatch, DsnOptions, Notify, Origin, Recipient, ReversePath, trace,
};

/// Letters are small: they never touch the disk before they are taken over.
const LETTER_MEMORY_BYTES: usize = 64 * 1024;

/// Notes that `account` wants to send as `address` and mails the code there; gives what to do next.
///
/// # Errors
/// Why not, for the person who asked; nothing waits for a code then.
pub(crate) async fn identity_code(
    parts: &Parts,
    account: &str,
    address: &str,
    by: String,
) -> Result<String, String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let login = AddressKey::parse(account).map_err(|e| said(&e))?;
    let wanted = AddressKey::parse(address).map_err(|e| said(&e))?;
    let to = Address::parse(address).map_err(|e| said(&e))?;
    let (code, now) = (new_code(&parts.random), parts.clock.now());
    let identities = Identities::new(parts.store.clone());
    let author = Author {
        by,
        reason: String::new(),
        now,
    };
    let asked = identities.request(&login, &wanted, &code, author).await;
    asked.map_err(|e| said(&e))?;
    if let Err(why) = send(parts, &login, &to, &code, now).await {
        if let Err(error) = identities.withdraw(&login, &wanted).await {
            tracing::error!(%error, "identity.withdraw_failed");
        }
        return Err(format!("the code could not be mailed: {why}"));
    }
    Ok(format!(
        "A code is on its way to {wanted}; give it back within 24 hours:\n  \
         rohrpost identity confirm {login} {wanted} CODE"
    ))
}

async fn send(
    parts: &Parts,
    login: &AddressKey,
    to: &Address,
    code: &str,
    now: Timestamp,
) -> Result<(), String> {
    let trace = parts.traces.next();
    let host = &parts.settings.host_name.0;
    let mut bytes = b"Return-Path: <>\r\n".to_vec();
    write_letter(&mut bytes, host, &trace.to_string(), login, to, code, now);
    let mut body = Spool::new(SpoolLimits {
        memory_bytes: LETTER_MEMORY_BYTES,
        dir: parts.temporary_dir.clone(),
    });
    body.push(&bytes).map_err(|error| error.to_string())?;
    let accept = Accept {
        trace,
        sender: ReversePath::Null,
        recipients: vec![Recipient {
            address: to.clone(),
            deliver_to: DeliverTo::Remote,
            notify: Notify::NEVER,
            original: None,
        }],
        submitter: None,
        dsn: DsnOptions::default(),
        facts: Facts::scan(&bytes).to_bytes(),
        body,
        session: trace::Session::default(),
        now,
        announced: None,
        dispatch: Dispatch {
            origin: Origin::Ours,
            ..Dispatch::default()
        },
    };
    parts
        .queue
        .accept(accept)
        .await
        .map_err(|error| error.to_string())
}

fn write_letter(
    out: &mut Vec<u8>,
    host: &str,
    token: &str,
    login: &AddressKey,
    to: &Address,
    code: &str,
    now: Timestamp,
) {
    write_field(out, "Date", &format_rfc5322(DateTime::utc(now.0)));
    write_field(out, "From", &format!("postmaster@{host}"));
    write_field(out, "To", &to.to_string());
    write_field(out, "Message-ID", &format!("<{token}@{host}>"));
    write_field(out, "Subject", &format!("Code {code} - Absender {to}"));
    write_field(out, "Auto-Submitted", "auto-generated");
    write_field(out, "MIME-Version", "1.0");
    write_field(out, "Content-Type", "text/plain; charset=utf-8");
    write_field(out, "Content-Transfer-Encoding", "quoted-printable");
    out.extend_from_slice(b"\r\n");
    quoted_printable(out, &letter(login, to, code));
}

fn letter(login: &AddressKey, to: &Address, code: &str) -> String {
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

    #[test]
    fn a_letter_is_seven_bit_and_tells_both_languages_what_to_do() {
        let login = AddressKey::parse("anna@firma.test").unwrap();
        let to = Address::parse("anna@gmx.test").unwrap();
        let mut bytes = Vec::new();
        write_letter(
            &mut bytes,
            "mx.test",
            "id",
            &login,
            &to,
            "AAAA-BBBB-CCCC",
            Timestamp(0),
        );
        assert!(bytes.is_ascii());
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.contains("\r\nAuto-Submitted: auto-generated\r\n"),
            "{text}"
        );
        assert!(
            text.contains("From: postmaster@mx.test\r\n") && text.contains("To: anna@gmx.test\r\n")
        );
        assert_eq!(text.matches("AAAA-BBBB-CCCC").count(), 3);
        assert!(!text.replace("\r\n", "").contains('\n'));
    }
}
