//! The TLS of the gateway, by the system's OpenSSL: 1.0 to 1.2 with ephemeral keys and AES only. No SSL, no RC4, 3DES,
//! EXPORT, NULL, anonymous or static RSA suites, no compression, no renegotiation, no resumption.
//! One context per set of versions, all made before the sandbox closes.

use crate::recorder::Recorder;
use crate::settings::Settings;
use gateway_link::{Version, VersionSet};
use openssl::ssl::{
    NameType, Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslMode, SslOptions,
    SslSessionCacheMode, SslVersion,
};
use std::pin::Pin;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

/// Security level 0 is what lets OpenSSL 3 speak TLS 1.0 and 1.1, whose signatures rest on SHA-1; the list itself
/// keeps every weak suite out.
const CIPHERS: &str = "ECDHE+AES:DHE+AES:!aNULL:!eNULL:!PSK:!SRP:!DSS:!AESCCM:@SECLEVEL=0";
/// Groups of ECDHE; old clients know the first two.
const GROUPS: &str = "P-256:P-384:X25519";

/// A context per set of versions, numbered by its bits; `None` for the empty set.
pub(crate) struct Contexts(Vec<Option<SslContext>>);

impl Contexts {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let contexts = (0..=VersionSet::ALL.bits()).map(|bits| {
            let versions = VersionSet::from_bits(bits);
            (!versions.is_empty())
                .then(|| context(settings, versions))
                .transpose()
        });
        contexts.collect::<Result<_, _>>().map(Self)
    }

    /// The context for `versions`; `None` where there are none.
    pub(crate) fn of(&self, versions: VersionSet) -> Option<&SslContext> {
        self.0.get(usize::from(versions.bits()))?.as_ref()
    }
}

fn context(settings: &Settings, versions: VersionSet) -> Result<SslContext, String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: openssl::error::ErrorStack| format!("{what}: {error}")
    };
    let tls = "TLS of OpenSSL";
    let mut context = SslContextBuilder::new(SslMethod::tls_server()).map_err(failed(tls))?;
    // These stand before what the system's openssl.cnf says.
    context
        .set_min_proto_version(Some(SslVersion::TLS1))
        .map_err(failed(tls))?;
    context
        .set_max_proto_version(Some(SslVersion::TLS1_2))
        .map_err(failed(tls))?;
    let mut options = SslOptions::NO_SSLV2
        | SslOptions::NO_SSLV3
        | SslOptions::NO_COMPRESSION
        | SslOptions::NO_RENEGOTIATION
        | SslOptions::NO_TICKET
        | SslOptions::CIPHER_SERVER_PREFERENCE
        | SslOptions::SINGLE_DH_USE
        | SslOptions::SINGLE_ECDH_USE;
    for version in Version::ALL {
        if !versions.has(version) {
            options |= match version {
                Version::Tls10 => SslOptions::NO_TLSV1,
                Version::Tls11 => SslOptions::NO_TLSV1_1,
                Version::Tls12 => SslOptions::NO_TLSV1_2,
            };
        }
    }
    context.set_options(options);
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_mode(SslMode::RELEASE_BUFFERS);
    context
        .set_cipher_list(CIPHERS)
        .map_err(failed("cipher suites"))?;
    context
        .set_groups_list(GROUPS)
        .map_err(failed("groups of ECDHE"))?;
    let group = settings.dh_group.parameters().map_err(failed("dh_group"))?;
    context.set_tmp_dh(&group).map_err(failed("dh_group"))?;
    context
        .set_certificate_chain_file(&settings.certificate)
        .map_err(failed(&settings.certificate.display().to_string()))?;
    let key = settings.key.display().to_string();
    context
        .set_private_key_file(&settings.key, SslFiletype::PEM)
        .map_err(failed(&key))?;
    context.check_private_key().map_err(failed(&key))?;
    Ok(context.build())
}

/// A session that began.
pub(crate) struct Session {
    /// The bytes.
    pub(crate) stream: SslStream<Recorder<TcpStream>>,
    /// What was agreed on.
    pub(crate) version: Version,
    /// The suite's IANA name.
    pub(crate) cipher: &'static str,
    /// The host name the client asked for.
    pub(crate) server_name: Option<String>,
}

/// Why there is none.
pub(crate) struct Failure {
    /// For the log.
    pub(crate) reason: String,
    /// What the client sent first.
    pub(crate) hello: Vec<u8>,
}

/// Does the handshake. Its time is the caller's matter.
pub(crate) async fn accept(
    context: &SslContext,
    client: Recorder<TcpStream>,
) -> Result<Session, Failure> {
    let ssl = Ssl::new(context).map_err(|error| Failure {
        reason: error.to_string(),
        hello: Vec::new(),
    })?;
    let mut stream = SslStream::new(ssl, client).map_err(|error| Failure {
        reason: error.to_string(),
        hello: Vec::new(),
    })?;
    let accepted = Pin::new(&mut stream).accept().await;
    let ssl = stream.ssl();
    let version = match ssl.version2() {
        Some(SslVersion::TLS1) => Some(Version::Tls10),
        Some(SslVersion::TLS1_1) => Some(Version::Tls11),
        Some(SslVersion::TLS1_2) => Some(Version::Tls12),
        _ => None,
    };
    match (accepted, version) {
        (Ok(()), Some(version)) => {
            let cipher = ssl.current_cipher();
            Ok(Session {
                version,
                cipher: cipher
                    .and_then(|cipher| cipher.standard_name())
                    .unwrap_or(""),
                server_name: ssl.servername(NameType::HOST_NAME).map(printable),
                stream,
            })
        }
        (accepted, _) => Err(Failure {
            reason: match accepted {
                Err(error) => printable(&error.to_string()),
                Ok(()) => "a version that is not ours was agreed on".to_owned(),
            },
            hello: stream.get_mut().take_recorded(),
        }),
    }
}

/// Without control characters, which texts on the link must not have.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
