//! One verb as a command of the program: over the admin API of the node that runs, or over that of this process where
//! none does. Called by the table of commands.

use super::{Desk, Verb, run};
use crate::cli::admin_api::AdminApi;
use crate::settings::Settings;

/// Carries out `verb` and prints what it says.
///
/// # Errors
/// A text for the person at the terminal; nothing was changed then.
pub(crate) fn command(settings: &Settings, verb: &Verb) -> Result<(), String> {
    let text = crate::cli::block_on(async {
        // A command that only reads must not make an empty installation out of a typing error.
        let api = match verb.changes_something() {
            true => AdminApi::open_or_create(settings).await?,
            false => AdminApi::open(settings).await?,
        };
        let mut desk = Desk {
            api: &api,
            input: &mut std::io::stdin(),
        };
        run(verb, &mut desk).await
    })??;
    crate::cli::print(format_args!("{text}"));
    Ok(())
}
