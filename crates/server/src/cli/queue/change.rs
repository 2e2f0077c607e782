//! Orders for what waits: through the running node, else in the store itself.

use super::{Chosen, Desk, What};
use crate::cli::{block_on, say};
use crate::control::{self, Request};
use platform::clock::Clock;
use platform::signals::Signals;
use queue::Queue;
use queue::list::Filter;
use queue::manage::{Cancelled, Done, Order};

pub(super) fn run(desk: &Desk<'_>, what: &What) -> Result<(), String> {
    let (chosen, order, done) = match what {
        What::Hold(chosen) => (chosen, Order::Hold, "held"),
        What::Release(chosen) => (chosen, Order::Release, "released"),
        What::Retry(chosen) => (chosen, Order::Retry, "tried again now"),
        What::Bounce(chosen) => (chosen, Order::Return, "returned"),
        What::Reroute { chosen, to } => (chosen, Order::Reroute(route(to)?), "sent another way"),
        What::Cancel { id } => return cancel(desk, *id),
        What::Show { .. } => return Ok(()),
    };
    let (mut changed, mut under_way) = (0, 0);
    for filter in filters(desk, chosen)? {
        let done = all_pages(desk, &filter, &order)?;
        changed += done.changed;
        under_way += done.under_way;
    }
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

fn filters(desk: &Desk<'_>, chosen: &Chosen) -> Result<Vec<Filter>, String> {
    let filter = desk.filter(&chosen.which);
    if chosen.ids.is_empty() {
        if filter.is_all() && !chosen.all {
            return Err(
                "say which mail: ids, --to-domain, --from, --group, --older-than or --all".into(),
            );
        }
        return Ok(vec![filter]);
    }
    let with_id = |id: &queue::TraceId| Filter {
        message: Some(id.0),
        ..filter.clone()
    };
    Ok(chosen.ids.iter().map(with_id).collect())
}

/// Checks `HOST:PORT`.
fn route(text: &str) -> Result<Option<String>, String> {
    if text == "mx" {
        return Ok(None);
    }
    let is_route = text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
        !host.is_empty() && host.chars().all(is_host) && port.parse::<u16>().is_ok_and(|p| p > 0)
    });
    match is_route {
        true => Ok(Some(text.to_owned())),
        false => Err(format!(
            "{text} is no HOST:PORT, for example relay.example:25; \"mx\" is the usual way"
        )),
    }
}

fn all_pages(desk: &Desk<'_>, filter: &Filter, order: &Order) -> Result<Done, String> {
    let mut all = Done::default();
    loop {
        let done = one_page(desk, filter, order, all.next)?;
        all.changed += done.changed;
        all.under_way += done.under_way;
        all.next = done.next;
        if all.next.is_none() {
            return Ok(all);
        }
    }
}

fn one_page(
    desk: &Desk<'_>,
    filter: &Filter,
    order: &Order,
    after: Option<(i64, i64)>,
) -> Result<Done, String> {
    if desk.running.is_some() {
        let request = Request::QueueOrder {
            filter: filter.clone(),
            order: order.clone(),
            after,
        };
        return through_node(desk, &request);
    }
    let (queue, now) = (store_only(desk)?, desk.now());
    block_on(queue.order(filter, order, after, now))?.map_err(super::said)
}

fn cancel(desk: &Desk<'_>, id: queue::TraceId) -> Result<(), String> {
    let cancelled: Cancelled = match &desk.running {
        Some(_) => through_node(desk, &Request::QueueCancel { message: id.0 })?,
        None => {
            let (queue, now) = (store_only(desk)?, desk.now());
            block_on(queue.cancel(id, now))?.map_err(|error| error.to_string())?
        }
    };
    say(format_args!(
        "{} from <{}> to <{}> was called back; nothing of it was sent",
        cancelled.message,
        cancelled.sender,
        cancelled.recipients.join(">, <")
    ));
    Ok(())
}

fn through_node<T: serde::de::DeserializeOwned>(
    desk: &Desk<'_>,
    request: &Request,
) -> Result<T, String> {
    match control::ask(&desk.settings.data_dir, request) {
        Ok(Some(answer)) if answer.ok => serde_json::from_str(&answer.text)
            .map_err(|error| format!("the node's answer cannot be read: {error}")),
        Ok(Some(answer)) => Err(answer.text),
        Ok(None) => Err("the node has just stopped; say it again".to_owned()),
        Err(error) => Err(format!("the node does not answer: {error}")),
    }
}

/// A queue without a worker, for a node that does not run.
fn store_only(desk: &Desk<'_>) -> Result<Queue, String> {
    let dir = crate::node::segments_dir(desk.settings);
    let segments = super::super::stores::open_segments(&dir)?;
    let store = desk.store.clone();
    let clock = Clock::system();
    let mailboxes =
        mailbox::Mailboxes::new(store.clone(), segments.clone(), Signals::default(), clock);
    Ok(Queue::new(store, segments, mailboxes))
}
