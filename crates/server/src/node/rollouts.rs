//! The letters of a node's rollouts: the chore that writes and sends them by the node's own queue. Wiring only;
//! `rollout::Runner` decides.

use super::{Bound, Parts};
use crate::letters::QueuePost;
use crate::settings::{Mode, Role};
use rollout::guides::Ports;
use rollout::{Rollouts, Runner, RunnerParts};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// The rollouts of this node.
pub(crate) fn rollouts(parts: &Parts) -> Rollouts {
    Rollouts::new(
        parts.store.clone(),
        parts.policies.clone(),
        &parts.settings.host_name.0,
    )
}

/// Sets the chore going.
pub(super) fn start(parts: &Parts, bound: &[Bound]) -> JoinHandle<()> {
    let runner = Runner::new(RunnerParts {
        rollouts: rollouts(parts),
        connections: parts.connections.clone(),
        findings: parts.findings.clone(),
        post: Arc::new(QueuePost::new(parts)),
        clock: parts.clock.clone(),
        random: parts.random.clone(),
        first_language: parts.settings.notices_first.0.language(),
        ports: ports(bound),
    });
    tokio::spawn(runner.run())
}

/// The ports of the hosts that letters tell readers of: those of the listeners, else the usual ones.
fn ports(bound: &[Bound]) -> Ports {
    let usual = Ports::default();
    let of = |role: Role, mode: Mode, otherwise: u16| {
        let is_it = |bound: &&Bound| bound.listener.role == role && bound.listener.mode == mode;
        bound
            .iter()
            .find(is_it)
            .map_or(otherwise, |bound| bound.address.port())
    };
    Ports {
        imap_tls: of(Role::Imap, Mode::ImplicitTls, usual.imap_tls),
        pop3_tls: of(Role::Pop3, Mode::ImplicitTls, usual.pop3_tls),
        smtp_tls: of(Role::Submission, Mode::ImplicitTls, usual.smtp_tls),
        imap_starttls: of(Role::Imap, Mode::StartTls, usual.imap_starttls),
        pop3_starttls: of(Role::Pop3, Mode::StartTls, usual.pop3_starttls),
        smtp_starttls: of(Role::Submission, Mode::StartTls, usual.smtp_starttls),
    }
}
