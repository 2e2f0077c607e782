//! Every route there is, in one list.

use crate::route::Route;

/// All of them.
pub(crate) fn all() -> Vec<Route> {
    let mut routes = crate::api::routes();
    routes.extend(crate::pages::routes());
    routes
}
