//! The banner on every page of somebody who is logged in: announcements that concern the own account, each with its
//! next date, a link, and whether anything has to be done. Nothing to say, no banner; a failure never costs the page.

use super::announcements;
use crate::call::Call;
use crate::language::{Language, Speak as _};
use crate::posture::STATUS_PAGE;
use directory::AccountId;
use maud::{Markup, html};
use rollout::wording::moment;
use rollout::{Need, RolloutError, Told};
use std::sync::Arc;

/// Announcements that are shown; the page of all of them has the others.
const SHOWN_MAX: usize = 3;

/// What the caller's account is told.
pub(crate) async fn told(call: &Call) -> Arc<[Told]> {
    let account = call
        .caller
        .as_ref()
        .and_then(|caller| caller.account.as_ref());
    let Some((account, _)) = account else {
        return Arc::default();
    };
    match asked(call, *account).await {
        Ok(told) => told.into(),
        Err(error) => {
            tracing::warn!(%error, "https.banner_failed");
            Arc::default()
        }
    }
}

async fn asked(call: &Call, account: AccountId) -> Result<Vec<Told>, RolloutError> {
    let services = &call.services;
    // Whoever mended something a moment ago is told so.
    services.connections.flush().await?;
    services.rollouts.of_account(account, call.now).await
}

/// As it stands above a page.
pub(super) fn banner(told: &[Told], language: Language) -> Markup {
    html! {
        @if !told.is_empty() {
            aside.banner aria-label=(language.of("Ankündigungen für Sie", "Announcements for you")) {
                @for told in told.iter().take(SHOWN_MAX) { p { (one(told, language)) } }
            }
        }
    }
}

fn one(told: &Told, language: Language) -> Markup {
    html! {
        a href=(announcements::address(&told.slug, language)) { (told.title.of(language)) }
        ", " (moment(told.date, language)) ": "
        @match told.need {
            Need::Nothing => {
                span.good { (language.of("Sie müssen nichts tun.", "There is nothing you have to do.")) }
            }
            Need::Action => {
                span.bad { (language.of("Bitte handeln Sie: ", "Please act: ")) }
                a href=(STATUS_PAGE) { (language.of("Was ist zu tun?", "What is to be done?")) }
            }
        }
    }
}
