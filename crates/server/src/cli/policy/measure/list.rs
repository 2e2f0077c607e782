//! Which measures are set, how far each is, and whether every node knows.

use crate::cli::admin_api::{AdminApi, path};
use crate::cli::policy::output::{self, Format, local, ms};
use https::api::staging::{DatedStage, Node, SetMeasure, SetMeasures, StageOf};
use policy::nodes::Standing;
use serde_json::{Value, json};

pub(super) async fn all(api: &AdminApi, format: Format) -> Result<String, String> {
    let all: SetMeasures = api.get(&path(&["measures"], &[])).await?;
    let measures: Vec<Value> = all.measures.iter().map(measure).collect();
    let nodes: Vec<Value> = all.nodes.iter().map(node).collect();
    let value = json!({
        "measures": measures, "unreadable": all.unreadable, "revision": all.revision, "nodes": nodes,
    });
    output::shown(format, &value, || {
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
        let rows: Vec<_> = all.measures.iter().map(|one| row(one, &all.zone)).collect();
        let mut text = match rows.is_empty() {
            true => "Nothing is set: every measure is at its default.\n".to_owned(),
            false => output::table(&head, &rows),
        };
        for what in &all.unreadable {
            text.push_str(&format!("Warning: {what}\n"));
        }
        for node in &all.nodes {
            text.push_str(&told(node, &all));
        }
        text
    })
}

fn measure(one: &SetMeasure) -> Value {
    json!({
        "scope": one.scope, "measure": one.measure, "value": one.value,
        "stage": one.stage, "next_change": one.next_change.as_deref().map(ms),
        "until": one.until.as_deref().map(ms), "owner": one.owner,
        "changed_by": one.changed_by, "changed_at": ms(&one.changed), "reason": one.reason,
    })
}

fn row(one: &SetMeasure, zone: &str) -> Vec<String> {
    let next = one.next_change.as_deref();
    vec![
        one.measure.clone(),
        one.scope.clone(),
        one.stage.clone(),
        one.value.clone(),
        next.map_or_else(|| "-".to_owned(), |at| local(at, zone)),
        output::or_dash(one.owner.as_deref().unwrap_or_default()),
        one.changed_by.clone(),
        output::or_dash(&one.reason),
    ]
}

fn node(node: &Node) -> Value {
    json!({
        "node": node.node, "revision": node.revision, "standing": node.standing,
        "current_at": ms(&node.current), "seen_at": ms(&node.seen), "trouble": node.trouble,
    })
}

/// A line about a node.
fn told(node: &Node, all: &SetMeasures) -> String {
    let Node {
        node: name,
        revision,
        ..
    } = node;
    let trouble = match &node.trouble {
        Some(why) => format!(": {why}"),
        None => String::new(),
    };
    match node.standing.as_str() {
        word if word == Standing::Current.word() => {
            format!("Node {name} holds the rules of revision {revision}.\n")
        }
        word if word == Standing::Behind.word() => format!(
            "Warning: node {name} holds old rules, of revision {revision} instead of {}, since {}{trouble}\n",
            all.revision,
            local(&node.current, &all.zone),
        ),
        _ => format!(
            "Warning: node {name} has not been heard of since {}; it is not running or cannot reach the \
             store{trouble}\n",
            local(&node.seen, &all.zone),
        ),
    }
}

pub(super) async fn show(
    api: &AdminApi,
    scope: &str,
    measure: Option<&str>,
    format: Format,
) -> Result<String, String> {
    let mut query = vec![("scope", scope)];
    query.extend(measure.map(|measure| ("measure", measure)));
    let found: Vec<StageOf> = api.get(&path(&["measures", "stages"], &query)).await?;
    let set_for = |one: &StageOf| one.set_for.clone().unwrap_or_else(|| "default".to_owned());
    let step = |step: &DatedStage| {
        json!({
            "from": step.from.as_deref().map(ms), "stage": step.stage, "date": step.date,
        })
    };
    let value = |one: &StageOf| {
        json!({
            "measure": one.measure, "stage": one.stage, "set_for": set_for(one),
            "steps": one.steps.iter().map(step).collect::<Vec<_>>(),
        })
    };
    let values: Vec<_> = found.iter().map(value).collect();
    output::shown(format, &json!(values), || {
        let row = |one: &StageOf| {
            vec![
                one.measure.clone(),
                one.stage.clone(),
                coming(&one.steps),
                set_for(one),
            ]
        };
        let rows: Vec<_> = found.iter().map(row).collect();
        output::table(&["MEASURE", "STAGE", "THEN", "SET FOR"], &rows)
    })
}

/// The steps that are still to come.
fn coming(steps: &[DatedStage]) -> String {
    let coming = steps.iter().filter(|step| !step.begun);
    let words: Vec<_> = coming
        .filter_map(|step| Some(format!("{} {}", step.date.as_ref()?, step.stage)))
        .collect();
    output::or_dash(&words.join("; "))
}
