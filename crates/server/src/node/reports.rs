//! The reports of a node: counts what TLS sessions told, sends TLS reports, reads reports about the
//! hosted domains. Wiring only.

use super::{Parts, StartError};
use formats::address::Address;
use platform::https::HttpsClient;
use platform::spool::Spool;
use platform::tls::ClientTls;
use reports::inbox::Verifier;
use reports::{Inbox, InboxParts, Reporter, ReporterParts, ReporterSettings};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Between two writes of counts.
const COUNTS_EVERY: Duration = Duration::from_secs(30);

/// Sets going what the settings ask for.
///
/// # Errors
/// Where a setting cannot be used.
pub(super) fn start(parts: &Parts) -> Result<Vec<JoinHandle<()>>, StartError> {
    let mut tasks = Vec::new();
    if parts.settings.reports_send_tls.0 {
        tasks.push(tokio::spawn(reporter(parts)?));
        tasks.push(tokio::spawn(counts(parts.clone())));
    }
    if let Some(address) = parts.settings.reports_address.0.clone() {
        let inbox = Inbox::new(InboxParts {
            store: parts.store.clone(),
            mailboxes: parts.mailboxes.clone(),
            directory: parts.directory.clone(),
            clock: parts.clock.clone(),
            verifier: Some(Arc::new(Signers(parts.clone()))),
            address,
        });
        tasks.push(tokio::spawn(inbox.run()));
    }
    Ok(tasks)
}

fn reporter(parts: &Parts) -> Result<impl Future<Output = ()> + use<>, StartError> {
    let settings = &parts.settings;
    let host = settings.host_name.0.clone();
    let contact = match &settings.reports_contact.0 {
        Some(contact) => contact.clone(),
        None => Address::parse(&format!("postmaster@{host}"))
            .map_err(|error| StartError::new("reports.contact", error))?,
    };
    let organization = match settings.reports_organization.0.as_str() {
        "" => host.clone(),
        name => name.to_owned(),
    };
    let tls = ClientTls::new(settings.ca_file.0.as_deref())
        .map_err(|error| StartError::new("tls.ca_file", error))?;
    let reporter = Reporter::new(
        ReporterParts {
            store: parts.store.clone(),
            counts: parts.tls_counts.clone(),
            resolver: parts.resolver.clone(),
            https: Some(
                HttpsClient::new(parts.resolver.clone(), tls)
                    .forbidding(&super::listeners::networks(&settings.forbidden_networks.0)),
            ),
            queue: parts.queue.clone(),
            directory: parts.directory.clone(),
            clock: parts.clock.clone(),
            traces: parts.traces.clone(),
        },
        ReporterSettings {
            organization,
            contact,
            host,
            spool: super::spool(parts),
        },
    );
    Ok(reporter.run())
}

/// Writes counts while the reporter waits for servers that are slow to take a report.
async fn counts(parts: Parts) {
    loop {
        tokio::time::sleep(COUNTS_EVERY).await;
        keep(&parts).await;
    }
}

/// Proves who sent a report, by its DKIM signatures.
struct Signers(Parts);

impl Verifier for Signers {
    fn signers<'a>(
        &'a self,
        message: &'a [u8],
    ) -> Pin<Box<dyn Future<Output = Vec<String>> + Send + 'a>> {
        Box::pin(async move {
            let mut spool = Spool::new(super::spool(&self.0));
            if let Err(error) = spool.push(message) {
                tracing::warn!(%error, "reports.spool_failed");
                return Vec::new();
            }
            match self.0.signing.signers(&spool, 0).await {
                Ok(signers) => signers,
                Err(error) => {
                    tracing::info!(%error, "reports.signatures_unreadable");
                    Vec::new()
                }
            }
        })
    }
}

/// Writes what was counted, now and then and at a stop.
pub(super) async fn keep(parts: &Parts) {
    if !parts.settings.reports_send_tls.0 {
        return;
    }
    if let Err(error) = parts.tls_counts.flush(&parts.store).await {
        tracing::warn!(%error, "reports.counts_not_written");
    }
}
