//! Our client against servers with certificates that no PKI would issue, both sides in memory. Where nothing is to be
//! proved, or only a key (RFC 7671 §5.1), such a certificate does; the server must own its key all the same.

use super::*;
use crate::dns::Tlsa;
use crate::tls::validity;
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;
use std::process::Command;

#[derive(Debug)]
struct Only(Arc<CertifiedKey>);

impl ResolvesServerCert for Only {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A certificate of version 1, as `openssl x509 -req` makes it, and its key.
fn version_1(key_options: &[&str]) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let directory = tempfile::tempdir().unwrap();
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        let done = command.args(arguments).current_dir(directory.path());
        assert!(done.output().unwrap().status.success(), "{arguments:?}");
    };
    let request = ["req", "-new", "-nodes", "-subj", "/CN=mx.test"];
    let files = ["-keyout", "key", "-out", "request"];
    openssl(&[&request[..], &files, key_options].concat());
    openssl(&[
        "x509", "-req", "-in", "request", "-signkey", "key", "-out", "cert",
    ]);
    let certificate = CertificateDer::from_pem_file(directory.path().join("cert")).unwrap();
    assert!(webpki::EndEntityCert::try_from(&certificate).is_err());
    let key = PrivateKeyDer::from_pem_file(directory.path().join("key")).unwrap();
    (certificate, key)
}

/// How the handshake ends for the client.
async fn meet(
    certificate: &CertificateDer<'static>,
    key: &PrivateKeyDer<'static>,
    version: &'static rustls::SupportedProtocolVersion,
    proof: Proof,
) -> Result<(), String> {
    let provider = Arc::new(provider());
    let signer = provider
        .key_provider
        .load_private_key(key.clone_key())
        .unwrap();
    let certified = CertifiedKey::new(vec![certificate.clone()], signer);
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Only(Arc::new(certified))));
    let demand = Demand::with_proof("mx.test", proof);
    let client = ClientTls::new(None).unwrap().config(&demand).unwrap();
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let connector = tokio_rustls::TlsConnector::from(client);
    let (met, _served) = tokio::join!(
        connector.connect(server_name("mx.test"), ours),
        acceptor.accept(theirs)
    );
    met.map(drop).map_err(|error| error.to_string())
}

const RSA: &[&str] = &["-newkey", "rsa:2048"];
const EC: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

#[tokio::test]
async fn a_certificate_of_version_1_does_where_its_key_is_all_that_counts() {
    for key_options in [RSA, EC] {
        let (certificate, key) = version_1(key_options);
        let spki = validity::public_key(&certificate).unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, spki);
        let meant = |data: &[u8]| Proof::Dane {
            records: vec![Tlsa {
                usage: 3,
                selector: 1,
                matching: 1,
                data: data.into(),
            }],
            names: vec!["mx.test".to_owned()],
        };
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let meet = |proof| meet(&certificate, &key, version, proof);
            assert_eq!(meet(Proof::Any).await, Ok(()), "{version:?}");
            assert_eq!(meet(meant(digest.as_ref())).await, Ok(()), "{version:?}");
            assert!(meet(meant(&[0; 32])).await.is_err());
            let names = Proof::Names(vec!["mx.test".to_owned()]);
            assert!(meet(names).await.is_err());
        }
    }
}

#[tokio::test]
async fn whoever_lacks_the_key_of_the_certificate_does_not() {
    for key_options in [RSA, EC] {
        let (certificate, _key) = version_1(key_options);
        let (_other, wrong) = version_1(key_options);
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let met = meet(&certificate, &wrong, version, Proof::Any).await;
            assert!(met.is_err(), "{version:?}");
        }
    }
}
