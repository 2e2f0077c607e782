//! What the operator's rules need to remember of a session: tags and how long each is known, recipients, what was found
//! out about the client. Decides nothing; `rules` asks.

use super::super::settings::Listener;
use policy::rules::{Known, Recipient};
use std::sync::Arc;

/// What rules need to remember of a session.
#[derive(Debug, Default)]
pub(in crate::server) struct Remembered {
    /// The listener as it is set up, where rules took something from it.
    pub(super) listener: Option<Arc<Listener>>,
    tags: Vec<Box<str>>,
    /// Since when each of `tags` is known.
    since: Vec<Since>,
    pub(super) reverse_name: Known<Box<str>>,
    pub(super) program: Option<Box<str>>,
    recipients: Vec<OwnRecipient>,
    /// Recipients were accepted while nobody asked about them: who they are is not known.
    pub(super) recipients_missed: bool,
}

/// What a tag came with, and is forgotten with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// The connection.
    Connect,
    /// The greeting; another EHLO makes it anew.
    Hello,
    /// The login.
    Login,
    /// The message.
    Message,
}

/// A recipient that was accepted.
#[derive(Debug)]
pub(super) struct OwnRecipient {
    pub(super) address: String,
    pub(super) domain: String,
    pub(super) group: Option<Box<str>>,
}

impl OwnRecipient {
    pub(super) fn view(&self) -> Recipient<'_> {
        Recipient {
            address: Known::Is(&self.address),
            domain: &self.domain,
            group: Known::of(self.group.as_deref()),
        }
    }
}

impl Remembered {
    /// The tags that are known now.
    pub(super) fn tags(&self) -> &[Box<str>] {
        &self.tags
    }

    /// Keeps tags for later points.
    pub(super) fn keep(&mut self, tags: &[Box<str>], since: Since) {
        for tag in tags {
            let mut known = self.tags.iter().zip(&self.since);
            if !known.any(|(one, from)| one == tag && *from == since) {
                self.tags.push(tag.clone());
                self.since.push(since);
            }
        }
    }

    /// Forgets the tags that came with something.
    pub(super) fn forget(&mut self, gone: Since) {
        let mut since = self.since.iter();
        self.tags.retain(|_| since.next() != Some(&gone));
        self.since.retain(|one| *one != gone);
    }

    /// A message begins.
    pub(super) fn begin_message(&mut self) {
        self.forget(Since::Message);
        self.recipients.clear();
        self.recipients_missed = false;
    }

    pub(super) fn add(&mut self, recipient: OwnRecipient) {
        self.recipients.push(recipient);
    }

    /// The message's recipients as rules see them.
    pub(super) fn recipients(&self) -> Vec<Recipient<'_>> {
        self.recipients.iter().map(OwnRecipient::view).collect()
    }
}
