//! `rohrpost legacy dns`: the records of the legacy names as the DNS has them, and taking them out at the end.

use super::Why;
use crate::cli::admin_api::{AdminApi, Method, path};
use crate::cli::policy::dmarc::{line, shown, taken_back};
use clap::Args;
use https::api::dmarc::{PlannedStep, RecordChange};
use https::api::legacy_dns::{LegacyName, LegacyNames, NamesGo, NamesGoing};

#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// Take them out on this local date, such as 2027-06-01 or 2027-06-01T06:00.
    #[arg(long, value_name = "DATE", conflicts_with_all = ["now", "rollback"])]
    on: Option<String>,
    /// Take them out now.
    #[arg(long, conflicts_with = "rollback")]
    now: bool,
    /// Plan it; without it the change is only shown.
    #[arg(long)]
    yes: bool,
    /// Call the last change off, or bring the records back.
    #[arg(long)]
    rollback: bool,
    #[command(flatten)]
    why: Why,
}

pub(super) async fn run(api: AdminApi, options: &Options) -> Result<String, String> {
    let api = options.why.author(api);
    if options.rollback {
        let at = path(&["legacy", "dns", "rollback"], &[]);
        let back: Vec<RecordChange> = api.send(Method::Post, &at, &()).await?;
        return Ok(back.iter().map(taken_back).collect());
    }
    if options.on.is_none() && !options.now {
        return records(&api).await;
    }
    let go = NamesGo {
        on: options.on.clone(),
        reason: options.why.reason.clone(),
    };
    if options.yes {
        let at = path(&["legacy", "dns", "changes"], &[]);
        let planned: NamesGoing = api.send(Method::Post, &at, &go).await?;
        let text: String = planned.changes.iter().map(shown).collect();
        return Ok(text + "Planned; `rohrpost legacy dns --rollback` takes it back.\n");
    }
    let at = path(&["legacy", "dns", "plan"], &[]);
    let steps: Vec<PlannedStep> = api.send(Method::Post, &at, &go).await?;
    let text: String = steps.iter().map(shown).collect();
    Ok(text + "Nothing is planned yet; give --yes to plan it.\n")
}

async fn records(api: &AdminApi) -> Result<String, String> {
    let found: LegacyNames = api.get(&path(&["legacy", "dns"], &[])).await?;
    let mut text = match (&found.last_day, found.may_go) {
        (None, _) => "; Legacy access was never set; these names need not exist.\n".to_owned(),
        (Some(last), true) => format!(
            "; Legacy access is over since {last} was the last day. Take out the lines that begin with - \
             (`rohrpost legacy dns --now`).\n"
        ),
        (Some(last), false) => {
            format!("; Legacy access lasts until {last}. The records stay until then.\n")
        }
    };
    let mark = if found.may_go { "-" } else { "" };
    for name in &found.names {
        text.push_str(&of_name(name, mark));
    }
    let open = |change: &&RecordChange| {
        matches!(change.state.as_str(), "planned" | "shortened" | "published")
    };
    for change in found.changes.iter().filter(open) {
        let lines = line(change);
        text.extend(lines.lines().map(|line| format!("; {line}\n")));
    }
    Ok(text)
}

fn of_name(found: &LegacyName, mark: &str) -> String {
    let name = &found.name;
    match (found.trouble.as_str(), found.lines.as_slice()) {
        ("", []) => format!("; {name} has no addresses.\n"),
        ("", lines) => lines.iter().map(|line| format!("{mark}{line}\n")).collect(),
        (why, _) => format!("; {why}; ask again.\n"),
    }
}
