//! `rohrpost verify`: every reference leads to intact bytes, every counter is right. Changes nothing.

use super::stores::{open_segments, open_store};
use crate::node::segments_dir;
use crate::settings::Settings;
use mailbox::Mailboxes;
use platform::clock::Clock;
use platform::segments::{BodyRef, Segments};
use platform::signals::Signals;
use platform::store::{Store, StoreError};
use std::collections::HashSet;
use std::path::Path;

/// `rohrpost verify`.
pub(super) fn run(settings: &Settings) -> Result<(), String> {
    let store = open_store(settings)?;
    let faults = super::block_on(check(store, &segments_dir(settings)))??;
    if faults.is_empty() {
        super::say(format_args!("All is well."));
        return Ok(());
    }
    for fault in &faults {
        super::say(format_args!("{fault}"));
    }
    Err(format!("{} faults were found", faults.len()))
}

/// Everything that is wrong, in words.
async fn check(store: Store, segments_dir: &Path) -> Result<Vec<String>, String> {
    let words = |error: StoreError| error.to_string();
    let mut faults = store.check().map_err(words)?;
    // Rows are read before segments are opened: what a running node adds meanwhile is in both.
    let waiting = waiting_bodies(&store).await?;
    let rows_only = open_segments(segments_dir)?;
    let messages = message_bodies(&mailboxes(&store, rows_only)).await?;
    let segments = open_segments(segments_dir)?;
    let mut intact = HashSet::new();
    let report = segments.verify(|_, body| intact.extend(body));
    faults.extend(report.findings);
    if report.more_findings > 0 {
        faults.push(format!(
            "and {} more damaged places in segments",
            report.more_findings
        ));
    }
    for (owner, body) in messages.iter().chain(&waiting) {
        if !intact.contains(body) {
            faults.push(format!(
                "{owner} refers to segment {} at {}, where no intact message of {} bytes is",
                body.segment, body.offset, body.body_bytes
            ));
        }
    }
    faults.extend(recount(&mailboxes(&store, segments)).await?);
    let referred: HashSet<_> = messages
        .iter()
        .chain(&waiting)
        .map(|(_, body)| *body)
        .collect();
    let dead = intact.difference(&referred).count();
    super::say(format_args!(
        "rows: {}, messages: {} (in segments: {}, bytes: {}); messages referred to by no row: {dead} \
         (removed ones whose space was not taken back yet)",
        messages.len() + waiting.len(),
        report.messages,
        report.segments,
        report.body_bytes
    ));
    Ok(faults)
}

type Owned = Vec<(String, BodyRef)>;

fn mailboxes(store: &Store, segments: Segments) -> Mailboxes {
    Mailboxes::new(store.clone(), segments, Signals::default(), Clock::system())
}

async fn message_bodies(mailboxes: &Mailboxes) -> Result<Owned, String> {
    let mut bodies = Vec::new();
    let mut after = None;
    loop {
        let page = mailboxes
            .references(after)
            .await
            .map_err(|error| error.to_string())?;
        let Some(last) = page.last().copied() else {
            return Ok(bodies);
        };
        bodies.extend(page.into_iter().map(|r| {
            let owner = format!(
                "message {} in mailbox {} of account {}",
                r.uid, r.mailbox.0, r.account.0
            );
            (owner, r.body)
        }));
        after = Some(last);
    }
}

async fn waiting_bodies(store: &Store) -> Result<Owned, String> {
    let mut bodies = Vec::new();
    let mut after = 0;
    loop {
        let page = store
            .read(move |tx| queue::verify::references(tx, after))
            .await
            .map_err(|error: StoreError| error.to_string())?;
        let Some(last) = page.last() else {
            return Ok(bodies);
        };
        after = last.message;
        let owner = |message| format!("waiting message {}", queue::TraceId(message));
        bodies.extend(page.iter().map(|r| (owner(r.message), r.body)));
    }
}

async fn recount(mailboxes: &Mailboxes) -> Result<Vec<String>, String> {
    let mut faults = mailboxes.orphans().await.map_err(|e| e.to_string())?;
    let mut after = None;
    loop {
        let step = mailboxes.recount(after).await.map_err(|e| e.to_string())?;
        faults.extend(step.faults);
        match step.next {
            Some(next) => after = Some(next),
            None => return Ok(faults),
        }
    }
}
