//! The router with its services: what one request is answered with. Made once for all listeners.

use crate::answer;
use crate::headers;
use crate::limits::REQUEST_TIME_MAX;
use crate::services::Services;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tower::ServiceExt as _;

/// Answers requests. Cheap to clone.
#[derive(Clone)]
pub struct Face {
    services: Arc<Services>,
    router: Router,
}

impl Face {
    /// Every route over `services`.
    pub fn new(services: Services) -> Self {
        let services = Arc::new(services);
        let router = Router::new()
            .fallback(|| async { answer::text(StatusCode::NOT_FOUND, "There is nothing here.\n") });
        Self { services, router }
    }

    /// The services.
    pub(crate) fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// The answer to one request, in time and with everything every answer carries.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response {
        let path = request.uri().path().to_owned();
        let routed = AssertUnwindSafe(self.router.clone().oneshot(request)).catch_unwind();
        let mut response = match tokio::time::timeout(REQUEST_TIME_MAX, routed).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_panic)) => {
                tracing::error!(path, "http.handler_panicked");
                answer::text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "This did not work; the fault is ours.\n",
                )
            }
            Err(_elapsed) => answer::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "This took too long; try again in a minute.\n",
            ),
        };
        headers::secure(response.headers_mut());
        response
    }
}
