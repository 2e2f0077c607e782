//! Orders for what waits.

use super::{Chosen, What};
use crate::cli::admin_api::{AdminApi, Method, path};
use crate::cli::say;
use https::api::waiting::{CalledBack, Give, Given, OrderWord, WhichWait as Which};

pub(super) async fn run(api: &AdminApi, what: &What) -> Result<(), String> {
    let mut route = None;
    let (chosen, order, done) = match what {
        What::Hold(chosen) => (chosen, OrderWord::Hold, "held"),
        What::Release(chosen) => (chosen, OrderWord::Release, "released"),
        What::Retry(chosen) => (chosen, OrderWord::Retry, "tried again now"),
        What::Bounce(chosen) => (chosen, OrderWord::Return, "returned"),
        What::Reroute { chosen, to } => {
            route = Some(to.clone());
            (chosen, OrderWord::Reroute, "sent another way")
        }
        What::Cancel { id } => return cancel(api, *id).await,
        What::Show { .. } => return Ok(()),
    };
    let (mut changed, mut under_way) = (0, 0);
    for which in wanted(chosen)? {
        let mut give = Give {
            order,
            which,
            all: chosen.all,
            route: route.clone(),
        };
        loop {
            let place = path(&["queue", "orders"], &[]);
            let given: Given = api.send(Method::Post, &place, &give).await?;
            changed += given.changed;
            under_way += given.under_way;
            if given.next.is_none() {
                break;
            }
            give.which.after = given.next;
        }
    }
    tell(changed, under_way, done)
}

fn tell(changed: u64, under_way: u64, done: &str) -> Result<(), String> {
    if under_way > 0 {
        say(format_args!(
            "left out because they are being tried at this moment: {under_way}; say it again if they still wait"
        ));
    }
    match changed {
        0 if under_way > 0 => Ok(()),
        0 => Err("nothing that waits was meant, or there was nothing to change about it".into()),
        1 => {
            say(format_args!("1 recipient is {done}"));
            Ok(())
        }
        _ => {
            say(format_args!("{changed} recipients are {done}"));
            Ok(())
        }
    }
}

fn wanted(chosen: &Chosen) -> Result<Vec<Which>, String> {
    let which = chosen.which.wanted();
    if chosen.ids.is_empty() {
        let narrow = &chosen.which;
        let is_narrow = narrow.to_domain.is_some()
            || narrow.from.is_some()
            || narrow.group.is_some()
            || narrow.older_than.is_some();
        return match is_narrow || chosen.all {
            true => Ok(vec![which]),
            false => Err(
                "say which mail: ids, --to-domain, --from, --group, --older-than or --all".into(),
            ),
        };
    }
    let with_id = |id: &queue::TraceId| Which {
        message: Some(id.to_string()),
        ..which.clone()
    };
    Ok(chosen.ids.iter().map(with_id).collect())
}

async fn cancel(api: &AdminApi, id: queue::TraceId) -> Result<(), String> {
    let place = path(&["queue", &id.to_string(), "cancel"], &[]);
    let back: CalledBack = api.send(Method::Post, &place, &()).await?;
    say(format_args!(
        "{} from <{}> to <{}> was called back; nothing of it was sent",
        back.message,
        back.sender,
        back.recipients.join(">, <")
    ));
    Ok(())
}
