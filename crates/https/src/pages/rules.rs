//! `/rules`: the operator's rules in their order, each in words with what the linter says of it; and the forms that add,
//! change, move and remove one. A rule is saved as the API saves it, with author and reason, if nobody else changed the
//! rules since the form was made. What the fields of a form mean stands in `rule_form`.

use super::rule_form::{Entered, fields};
use super::{Page, form_field, respond};
use crate::access::{Right, Subject};
use crate::answer;
use crate::api::rules::{Remark, held, remarks, save};
use crate::api::trying::{Replayed, replayed};
use crate::call::Call;
use crate::form;
use crate::language::{Language, Speak as _};
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use policy::Stage;
use policy::rules::record::DAYS_KEPT;
use policy::rules::replay::Stages;
use policy::rules::{Place, Rule, RuleSet};

/// Rows of a replay that are shown; the API tells all.
const REPLAYED_MAX: usize = 100;

/// Its routes.
pub(super) fn routes() -> Vec<Route> {
    let look = (Right::See, About::Installation);
    let operate = (Right::Change, About::Installation);
    vec![
        Route::page(Method::GET, "/rules", look, list),
        Route::page(Method::GET, "/rules/new", operate, new),
        Route::page(Method::GET, "/rules/edit", operate, edit),
        Route::page(Method::POST, "/rules/preview", operate, preview),
        Route::page(Method::POST, "/rules/save", operate, put).audited(),
        Route::page(Method::POST, "/rules/move", operate, move_).audited(),
        Route::page(Method::POST, "/rules/remove", operate, remove).audited(),
    ]
}

/// The address of one of these pages in the reader's language.
fn address(call: &Call, page: &str) -> String {
    format!("/rules{page}?lang={}", call.language.tag())
}

async fn list(call: Call) -> Result<Response, Problem> {
    let language = call.language;
    let (version, set) = held(&call).await?;
    let said = remarks(&call, &set).await?;
    let may = call.caller()?.may(Right::Change, &Subject::Installation);
    let body = html! {
        p {
            (language.of(
                "Regeln werden in dieser Reihenfolge gefragt. Was eine nicht mehr annimmt, erfährt vorher, wen es \
                 betrifft: Mit dem Zeitplan „observe“ wird nur aufgeschrieben, was sie getan hätte.",
                "Rules are asked in this order. Before one refuses anything, find out whom it concerns: with the \
                 schedule \"observe\" it is only noted what it would have done.",
            ))
        }
        @if may {
            p { a href=(address(&call, "/new")) { (language.of("Regel hinzufügen", "Add a rule")) } }
        }
        @if set.rules().is_empty() {
            p { (language.of("Es gibt keine Regeln.", "There are no rules.")) }
        }
        ol {
            @for (place, rule) in set.rules().iter().enumerate() {
                li {
                    h2 { (rule.name) }
                    (one(rule, language))
                    (warnings(&said, Some(&rule.name)))
                    @if may { (handles(&call, rule, place + 1, version)) }
                }
            }
        }
        p.meta { (language.of("Fassung ", "Version ")) (version) }
    };
    Ok(respond(
        &call,
        Page::new(language.of("Regeln", "Rules"), body),
    ))
}

/// A rule in words.
fn one(rule: &Rule, language: Language) -> Markup {
    let at: Vec<_> = rule.at.iter().map(|point| point.word()).collect();
    html! {
        @if !rule.note.is_empty() { p { (rule.note) } }
        dl {
            dt { (language.of("Gefragt bei", "Asked at")) }
            dd { (at.join(", ")) }
            dt { (language.of("Wenn", "When")) }
            dd { (rule.when.in_words(language)) }
            dt { (language.of("Dann", "Then")) }
            dd { (rule.actions_in_words(language)) }
            dt { (language.of("Zeitplan", "Schedule")) }
            dd { (rule.schedule.to_string()) }
        }
    }
}

/// What the linter says: of one rule, or of all.
fn warnings(said: &[Remark], of: Option<&str>) -> Markup {
    let said = said.iter();
    let said: Vec<_> = said
        .filter(|one| of.is_none_or(|rule| one.rule == rule))
        .collect();
    html! {
        @if !said.is_empty() {
            ul { @for one in said { li.bad { (one.text) } } }
        }
    }
}

/// What can be done with a rule of the list.
fn handles(call: &Call, rule: &Rule, place: usize, version: i64) -> Markup {
    let language = call.language;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("name", &rule.name);
    let edit = format!("{}&{}", address(call, "/edit"), query.finish());
    let reason = format!("reason-{place}");
    let number = format!("place-{place}");
    html! {
        p { a href=(edit) { (language.of("Ändern: ", "Change: ")) (rule.name) } }
        details {
            summary { (language.of("Verschieben oder entfernen: ", "Move or remove: ")) (rule.name) }
            form method="post" action=(address(call, "/move")) {
                (form_field(call))
                input type="hidden" name="name" value=(rule.name);
                input type="hidden" name="version" value=(version);
                label for=(number) { (language.of("Platz in der Reihenfolge", "Place in the order")) }
                input id=(number) name="place" type="number" min="1" max="1000" value=(place) required;
                label for=(reason) { (language.of("Warum", "Why")) }
                input id=(reason) name="reason" type="text" maxlength="2000" required;
                button type="submit" { (language.of("Verschieben", "Move")) }
                " "
                button type="submit" formaction=(address(call, "/remove")) {
                    (language.of("Entfernen", "Remove"))
                }
            }
        }
    }
}

async fn new(call: Call) -> Result<Response, Problem> {
    let (version, _) = held(&call).await?;
    let entered = Entered::new(version);
    Ok(form_page(&call, &entered, html! {}))
}

async fn edit(call: Call) -> Result<Response, Problem> {
    let name = form::asked(call.uri.query(), "name").unwrap_or_default();
    let (version, set) = held(&call).await?;
    let rule = set.named(&name).ok_or_else(Problem::not_here)?;
    let entered = Entered::of(version, rule);
    Ok(form_page(&call, &entered, html! {}))
}

/// The form with what was entered; above it what is to be said of that.
fn form_page(call: &Call, entered: &Entered, above: Markup) -> Response {
    let language = call.language;
    let title = match entered.was.as_str() {
        "" => language.of("Regel hinzufügen", "Add a rule").to_owned(),
        name => format!("{}{name}", language.of("Regel ändern: ", "Change a rule: ")),
    };
    let body = html! {
        (above)
        form method="post" action=(address(call, "/preview")) {
            (form_field(call))
            (fields(entered, language))
            button type="submit" { (language.of("Vorschau", "Preview")) }
            " "
            button type="submit" formaction=(address(call, "/save")) { (language.of("Speichern", "Save")) }
            " "
            button type="submit" name="more" value="1" {
                (language.of("Mehr Zeilen", "More rows"))
            }
        }
        p { a href=(address(call, "")) { (language.of("Zu den Regeln", "To the rules")) } }
    };
    respond(call, Page::new(title, body))
}

/// The form again, with why it was not done.
fn refused(call: &Call, entered: &Entered, why: &Problem) -> Response {
    let above = html! { p.bad role="alert" { (why.reason(call.language)) } };
    let mut response = form_page(call, entered, above);
    *response.status_mut() = why.status();
    response
}

/// The rule that was entered, and the set with it.
fn with_entered(entered: &Entered, set: &RuleSet) -> Result<(Rule, RuleSet), Problem> {
    let rule = entered.rule().map_err(Problem::invalid)?;
    let after = match entered.was.as_str() {
        "" => set.with(rule.clone(), Place::Last)?,
        was => set.with_changed(was, rule.clone())?,
    };
    Ok((rule, after))
}

async fn preview(call: Call) -> Result<Response, Problem> {
    let mut entered = Entered::read(&call.body);
    if form::field(&call.body, "more").is_some() {
        entered.more_rows();
        return Ok(form_page(&call, &entered, html! {}));
    }
    let (_, set) = held(&call).await?;
    let (rule, after) = match with_entered(&entered, &set) {
        Ok(both) => both,
        Err(why) if why.status() != StatusCode::INTERNAL_SERVER_ERROR => {
            return Ok(refused(&call, &entered, &why));
        }
        Err(why) => return Err(why),
    };
    let said = remarks(&call, &after).await?;
    // Whatever its schedule says: what would it do were it enforced?
    let enforced = after.with_schedule(&rule.name, policy::Schedule::always(Stage::Enforce))?;
    let found = replayed(&call, enforced, Stages::AsTheyAre, DAYS_KEPT).await?;
    let language = call.language;
    let json = serde_json::to_string_pretty(&rule).map_err(|error| Problem::fault(&error))?;
    let above = html! {
        section aria-labelledby="preview" {
            h2 #preview { (language.of("Vorschau", "Preview")) }
            (one(&rule, language))
            (warnings(&said, None))
            (told(&found, language))
            details {
                summary { (language.of("Als JSON, wie in der API", "As JSON, as in the API")) }
                pre { (json) }
            }
        }
    };
    Ok(form_page(&call, &entered, above))
}

/// Whom the rule would have treated otherwise in the last days.
fn told(found: &Replayed, language: Language) -> Markup {
    html! {
        h3 { (language.of("In den letzten sieben Tagen, wäre sie in Kraft gewesen", "In the last seven days, had it been in force")) }
        @if found.looked_at == 0 {
            p {
                (language.of(
                    "Es ist nichts aufgezeichnet (rules.record_facts).",
                    "Nothing was recorded (rules.record_facts).",
                ))
            }
        } @else {
            p {
                (found.looked_at)
                (language.of(" Anmeldungen, Empfänger und Nachrichten angesehen. ", " logins, recipients and messages looked at. "))
                @if found.totals.is_empty() {
                    (language.of("Nichts wäre anders gewesen.", "Nothing would have been different."))
                }
            }
            @if !found.rows.is_empty() {
                table {
                    caption { (language.of("Was anders gewesen wäre", "What would have been different")) }
                    tr {
                        th scope="col" { (language.of("Was", "What")) }
                        th scope="col" { (language.of("Wer", "Who")) }
                        th scope="col" { (language.of("An", "To")) }
                        th scope="col" { (language.of("Regel", "Rule")) }
                        th scope="col" { (language.of("Wie oft", "How often")) }
                    }
                    @for row in found.rows.iter().take(REPLAYED_MAX) {
                        tr {
                            td { (difference(&row.difference, language)) }
                            td { (row.who) }
                            td { (row.to) }
                            td { (row.rule) " (" (row.at) ")" }
                            td { (row.count) }
                        }
                    }
                }
                @if found.rows.len() > REPLAYED_MAX || found.left_out > 0 {
                    p { (language.of("Es gibt mehr; die API nennt alle.", "There is more; the API tells all.")) }
                }
            }
        }
    }
}

fn difference(word: &str, language: Language) -> &str {
    match word {
        "new refusal" => language.of("neu abgelehnt", word),
        "no longer refused" => language.of("nicht mehr abgelehnt", word),
        "changed" => language.of("anders behandelt", word),
        "cannot be told" => language.of("nicht zu sagen", word),
        other => other,
    }
}

async fn put(call: Call) -> Result<Response, Problem> {
    let entered = Entered::read(&call.body);
    match put_entered(&call, &entered).await {
        Ok(()) => Ok(to_the_rules(&call)),
        Err(why) if why.status() != StatusCode::INTERNAL_SERVER_ERROR => {
            Ok(refused(&call, &entered, &why))
        }
        Err(why) => Err(why),
    }
}

async fn put_entered(call: &Call, entered: &Entered) -> Result<(), Problem> {
    let (_, set) = held(call).await?;
    let (_, after) = with_entered(entered, &set)?;
    changed(call, entered.version, set, after, entered.reason.clone()).await
}

/// Saves, if the rules are those the form was made of, and notes it for the audit log.
async fn changed(
    call: &Call,
    seen: i64,
    before: RuleSet,
    after: RuleSet,
    reason: String,
) -> Result<(), Problem> {
    let judged = save(call, (seen, before), after, reason.clone()).await?;
    call.note_before(&seen);
    call.note_after(&serde_json::json!({ "judged": judged, "reason": reason }));
    Ok(())
}

fn to_the_rules(call: &Call) -> Response {
    answer::redirect(StatusCode::SEE_OTHER, &address(call, ""))
}

/// The rule of a row of the list, the version it was seen in, and why it is changed.
fn row(call: &Call) -> (String, i64, String) {
    let field = |name| form::field(&call.body, name).unwrap_or_default();
    let version = field("version").parse().unwrap_or(-1);
    (field("name"), version, field("reason"))
}

async fn move_(call: Call) -> Result<Response, Problem> {
    let (name, version, reason) = row(&call);
    let place = form::field(&call.body, "place").unwrap_or_default();
    let place: usize = place.parse().map_err(|_| {
        Problem::invalid(call.language.of(
            "Der Platz ist eine Zahl ab 1.",
            "The place is a number from 1.",
        ))
    })?;
    let (_, set) = held(&call).await?;
    let after = set.with_moved(&name, Place::At(place))?;
    changed(&call, version, set, after, reason).await?;
    Ok(to_the_rules(&call))
}

async fn remove(call: Call) -> Result<Response, Problem> {
    let (name, version, reason) = row(&call);
    let (_, set) = held(&call).await?;
    let after = set.without(&name)?;
    changed(&call, version, set, after, reason).await?;
    Ok(to_the_rules(&call))
}
