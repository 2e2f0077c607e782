//! Carries out of rustls what its callbacks see of one handshake: the exporter secret, which certificate was shown,
//! whether the peer's certificate was good. Callbacks belong to the shared configuration and are not told whose
//! connection they serve; but rustls calls them while it works on that connection's bytes, on the same thread,
//! so `tls::session` opens a capture before and takes it after. Nothing waits in between.

use crate::tls::{CertificateFault, Verified};
use std::cell::RefCell;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What the callbacks saw.
#[derive(Default)]
pub(crate) struct Captured {
    /// TLS 1.3's exporter_secret (RFC 8446 §7.5).
    exporter_secret: Option<Zeroizing<Vec<u8>>>,
    /// The `tls-server-end-point` hash of the certificate that was chosen.
    pub(crate) end_point: Option<Arc<[u8]>>,
    /// How the peer's certificate was judged.
    pub(crate) verdict: Option<Verdict>,
}

/// How a demand judged the peer's certificate.
pub(crate) struct Verdict {
    pub(crate) proved: Result<Verified, CertificateFault>,
    pub(crate) audit: Option<Result<Verified, CertificateFault>>,
}

thread_local! {
    static CAPTURED: RefCell<Captured> = RefCell::new(Captured::default());
}

/// Starts with nothing.
pub(crate) fn begin() {
    CAPTURED.set(Captured::default());
}

/// Takes what was seen since `begin`.
pub(crate) fn take() -> Captured {
    CAPTURED.take()
}

/// Notes which certificate was chosen.
pub(crate) fn note_end_point(end_point: Arc<[u8]>) {
    CAPTURED.with_borrow_mut(|captured| captured.end_point = Some(end_point));
}

/// Notes how the peer's certificate was judged.
pub(crate) fn note_verdict(verdict: Verdict) {
    CAPTURED.with_borrow_mut(|captured| captured.verdict = Some(verdict));
}

impl Captured {
    /// Adds what a later step saw.
    pub(crate) fn merge(&mut self, later: Self) {
        self.exporter_secret = later.exporter_secret.or(self.exporter_secret.take());
        self.end_point = later.end_point.or(self.end_point.take());
        self.verdict = later.verdict.or(self.verdict.take());
    }

    /// The channel binding of RFC 9266 §2: TLS-Exporter("EXPORTER-Channel-Binding", "", 32).
    pub(crate) fn tls_exporter(&self) -> Option<[u8; 32]> {
        use aws_lc_rs::{digest, hmac};
        let secret = self.exporter_secret.as_deref()?;
        let (hash, mac) = match secret.len() {
            32 => (&digest::SHA256, hmac::HMAC_SHA256),
            48 => (&digest::SHA384, hmac::HMAC_SHA384),
            _ => return None,
        };
        let nothing = digest::digest(hash, b"");
        // RFC 8446 §7.5: the label derives a secret, and that expands to the value.
        let derived = expand_label(
            mac,
            secret,
            b"EXPORTER-Channel-Binding",
            nothing.as_ref(),
            secret.len() as u16,
        );
        let exported = expand_label(mac, derived.as_ref(), b"exporter", nothing.as_ref(), 32);
        exported.as_ref().first_chunk().copied()
    }
}

/// HKDF-Expand-Label (RFC 8446 §7.1) for outputs no longer than the hash, which take one round.
fn expand_label(
    mac: aws_lc_rs::hmac::Algorithm,
    secret: &[u8],
    label: &[u8],
    context: &[u8],
    bytes: u16,
) -> aws_lc_rs::hmac::Tag {
    const PREFIX: &[u8] = b"tls13 ";
    let mut info = Vec::with_capacity(4 + PREFIX.len() + label.len() + context.len() + 1);
    info.extend_from_slice(&bytes.to_be_bytes());
    info.push((PREFIX.len() + label.len()) as u8);
    info.extend_from_slice(PREFIX);
    info.extend_from_slice(label);
    info.push(context.len() as u8);
    info.extend_from_slice(context);
    info.push(1);
    aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(mac, secret), &info)
}

/// Given to rustls as its key log: keeps the exporter secret for a moment and logs nothing.
#[derive(Debug)]
pub(crate) struct ExporterCapture;

/// NSS's name for TLS 1.3's exporter_secret.
const EXPORTER_SECRET: &str = "EXPORTER_SECRET";

impl rustls::KeyLog for ExporterCapture {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if label == EXPORTER_SECRET {
            CAPTURED.with_borrow_mut(|captured| {
                captured.exporter_secret = Some(Zeroizing::new(secret.to_vec()));
            });
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label == EXPORTER_SECRET
    }
}
