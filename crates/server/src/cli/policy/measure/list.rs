//! Which measures are set, how far each is, and whether every node knows.

use crate::cli::policy::Desk;
use crate::cli::policy::output::{self, Format};
use platform::clock::Timestamp;
use policy::Measure;
use policy::admin::PolicyError;
use policy::admin::typed::{self, called};
use policy::measure::DatedStep;
use policy::nodes::{self, Report, Standing};
use policy::setting::Name;
use serde_json::{Value, json};

pub(super) async fn all(desk: &Desk<'_>, format: Format) -> Result<String, PolicyError> {
    let zone = desk.admin.zone().await?;
    let mut rows = Vec::new();
    let mut values = Vec::new();
    let (settings, unreadable) = desk.admin.readable_settings().await?;
    let measures = settings
        .iter()
        .filter(|row| row.name.is_measure() || row.name == Name::LegacyAccess)
        .filter(|row| row.expires_at.is_none_or(|end| end > desk.now));
    for row in measures {
        let scope = desk.admin.scope_text(&row.scope).await?;
        let typed::Standing { stage, next } = typed::standing(row, &zone, desk.now);
        values.push(json!({
            "scope": scope, "measure": called(row.name, &row.item), "value": row.value.to_string(),
            "stage": stage, "next_change": next.map(|at| at.0),
            "until": row.expires_at.map(|at| at.0), "owner": row.owner,
            "changed_by": row.changed_by, "changed_at": row.changed_at.0, "reason": row.reason,
        }));
        rows.push(vec![
            called(row.name, &row.item),
            scope,
            stage,
            row.value.to_string(),
            next.map_or_else(|| "-".to_owned(), output::time),
            output::or_dash(row.owner.as_deref().unwrap_or_default()),
            row.changed_by.clone(),
            output::or_dash(&row.reason),
        ]);
    }
    let (newest, reports) = desk.store.read(nodes::list).await?;
    let nodes: Vec<Value> = reports
        .iter()
        .map(|report| node(report, newest, desk.now))
        .collect();
    let value =
        json!({"measures": values, "unreadable": unreadable, "revision": newest, "nodes": nodes});
    output::value(format, &value, || {
        let head = [
            "MEASURE",
            "FOR",
            "STAGE",
            "VALUE",
            "NEXT CHANGE",
            "OWNER",
            "BY",
            "REASON",
        ];
        let mut text = match rows.is_empty() {
            true => "Nothing is set: every measure is at its default.\n".to_owned(),
            false => output::table(&head, &rows),
        };
        for what in &unreadable {
            text.push_str(&format!("Warning: {what}\n"));
        }
        for report in &reports {
            text.push_str(&told(report, newest, desk.now));
        }
        text
    })
}

fn node(report: &Report, newest: i64, now: Timestamp) -> Value {
    json!({
        "node": report.node, "revision": report.revision, "standing": report.standing(newest, now).word(),
        "current_at": report.current_at.0, "seen_at": report.seen_at.0, "trouble": report.trouble,
    })
}

/// A line about a node.
fn told(report: &Report, newest: i64, now: Timestamp) -> String {
    let node = &report.node;
    let trouble = match &report.trouble {
        Some(why) => format!(": {why}"),
        None => String::new(),
    };
    match report.standing(newest, now) {
        Standing::Current => format!(
            "Node {node} holds the rules of revision {}.\n",
            report.revision
        ),
        Standing::Behind => format!(
            "Warning: node {node} holds old rules, of revision {} instead of {newest}, since {}{trouble}\n",
            report.revision,
            output::time(report.current_at),
        ),
        Standing::Silent => format!(
            "Warning: node {node} has not been heard of since {}; it is not running or cannot reach the \
             store{trouble}\n",
            output::time(report.seen_at),
        ),
    }
}

pub(super) async fn show(
    desk: &Desk<'_>,
    scope: &str,
    measure: Option<&str>,
    format: Format,
) -> Result<String, PolicyError> {
    let wanted = measure.map(typed::measures).transpose()?;
    let at = desk.admin.scope(scope).await?;
    let now = desk.now;
    let found = desk
        .admin
        .on_behalf_of(&at, now, |snapshot, sender| {
            let measures = Measure::built_in().filter(|measure| {
                wanted
                    .as_ref()
                    .is_none_or(|wanted| wanted.contains(measure))
            });
            let each = measures.map(|measure| {
                let stage = snapshot.stage(&measure, sender, now);
                let steps = snapshot.steps(&measure, sender, now);
                (measure, stage.value, stage.origin, steps.value)
            });
            each.collect::<Vec<_>>()
        })
        .await?;
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for (measure, stage, origin, steps) in &found {
        let origin = match steps.is_empty() {
            true => "default".to_owned(),
            false => desk.admin.scope_text(origin).await?,
        };
        let dated: Vec<_> = steps
            .iter()
            .map(|step| {
                json!({
                    "from": step.from.map(|at| at.0), "stage": step.stage.word(),
                    "date": step.written.map(|date| date.to_string()),
                })
            })
            .collect();
        values.push(json!({
            "measure": measure.to_string(), "stage": stage.word(), "set_for": origin, "steps": dated,
        }));
        rows.push(vec![
            measure.to_string(),
            stage.to_string(),
            coming(steps, now),
            origin,
        ]);
    }
    output::value(format, &json!(values), || {
        output::table(&["MEASURE", "STAGE", "THEN", "SET FOR"], &rows)
    })
}

/// The steps that are still to come.
fn coming(steps: &[DatedStep], now: Timestamp) -> String {
    let coming = steps
        .iter()
        .filter(|step| step.from.is_some_and(|from| from > now));
    let words: Vec<_> = coming
        .filter_map(|step| Some(format!("{} {}", step.written?, step.stage)))
        .collect();
    output::or_dash(&words.join("; "))
}
