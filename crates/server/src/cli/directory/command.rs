//! One verb as a command of the program: on the store beside a running node or without one; a node
//! that runs is told at once. Called by the table of commands.

use super::{Desk, Verb, run};
use crate::control::{Request, ask};
use directory::Directory;
use platform::clock::Clock;
use platform::random::Random;
use platform::store::Store;
use std::path::Path;

/// Carries out `verb` on `store` and prints what it says.
///
/// # Errors
/// A text for the person at the terminal; nothing was changed then.
pub(crate) fn command(
    store: Store,
    settings: directory::Settings,
    data_dir: &Path,
    verb: &Verb,
) -> Result<(), String> {
    if matches!(verb, Verb::Plan(_)) {
        // A plan tells whom it would cut off: a running node writes what it has seen.
        let _ = ask(data_dir, &Request::Keep);
    }
    let work = async {
        // The node's time, which a demo can have moved.
        let clock = Clock::settable(super::super::policy::now_in(data_dir));
        let directory = Directory::open(store, settings, Random::from_os())
            .await
            .map_err(|error| error.to_string())?;
        let admin = crate::accounts::admin(directory, clock.clone());
        let mut desk = Desk {
            admin: &admin,
            now: clock.now(),
            input: &mut std::io::stdin(),
        };
        run(verb, &mut desk).await
    };
    let text = super::super::block_on(work)??;
    super::super::print(format_args!("{text}"));
    if verb.changes_something() {
        // Without a node there is nobody to tell; one that does not answer looks within a second.
        let _ = ask(data_dir, &Request::Refresh);
    }
    Ok(())
}
