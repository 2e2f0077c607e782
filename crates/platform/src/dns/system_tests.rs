//! The resolver against BIND's `named` with zones signed by BIND's tools, where they are installed. Tests only.

use super::*;
use crate::dns::Security;

/// Nobody answers on the port: that must be a failure, and soon.
#[tokio::test(start_paused = true)]
async fn a_silent_server_is_a_temporary_failure() {
    let dns = SystemResolver::new(&["127.0.0.1:9".parse().unwrap()], Anchors::none()).unwrap();
    assert!(matches!(
        dns.mx("firma.test").await,
        Outcome::TemporaryFailure(_)
    ));
    let long = "x".repeat(300);
    assert_eq!(dns.mx(&long).await, Outcome::NxDomain(Security::Secure));
}
