//! The OpenAPI document, made from the routes and the types they take and give. Pure; made once at the start.

use crate::problem::ProblemDetails;
use crate::route::{About, Kind, Operation, Route};
use axum::http::Method;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Components, Content, Info, OpenApi, PathItem, Paths, Ref, Required, ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};

/// The document of these routes.
pub(crate) fn document(routes: &[Route]) -> OpenApi {
    let mut paths = Paths::new();
    let mut components = Components::new();
    let problem = ProblemDetails::name().into_owned();
    components
        .schemas
        .insert(problem.clone(), ProblemDetails::schema());
    for route in routes {
        let Kind::Api(operation) = &route.kind else {
            continue;
        };
        for described in [(operation.sent)(), (operation.told)()] {
            components.schemas.extend(described.parts);
        }
        let described = describe(route, operation, &problem);
        let item = PathItem::new(method(&route.method), described);
        match paths.paths.get_mut(route.path) {
            Some(there) => there.merge_operations(item),
            None => {
                paths.paths.insert(route.path.to_owned(), item);
            }
        }
    }
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token made by `rohrpost token add`."))
        .build();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    let cookie = ApiKeyValue::new(crate::session::COOKIE);
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let mut info = Info::new("Rohrpost", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Administration of a Rohrpost mail server. Times are RFC 3339 unless a name ends in a unit. Problems are told \
         as RFC 9457 says, in German or English by Accept-Language."
            .to_owned(),
    );
    let mut document = OpenApi::new(info, paths);
    document.components = Some(components);
    document.security = Some(vec![
        SecurityRequirement::new("token", Vec::<String>::new()),
        SecurityRequirement::new("session", Vec::<String>::new()),
    ]);
    document
}

fn method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn describe(route: &Route, operation: &Operation, problem: &str) -> OperationBuilder {
    let told = (operation.told)();
    let mut well = ResponseBuilder::new().description("It was done.");
    if let Some(content) = told.content() {
        well = well.content(told.kind, content);
    }
    let wrong = ResponseBuilder::new()
        .description("It was not done; why, and what to do.")
        .content(
            "application/problem+json",
            Content::new(Some(Ref::from_schema_name(problem))),
        );
    let mut builder = OperationBuilder::new()
        .summary(Some(operation.summary))
        .description(Some(format!("Needs: {}.", needs(route))))
        .operation_id(Some(operation_id(route)))
        .tag(tag(route.path))
        .response(operation.status.as_str(), well)
        .response("4XX", wrong);
    for name in params_of(route.path) {
        builder = builder.parameter(path_parameter(name));
    }
    for parameter in (operation.query)() {
        builder = builder.parameter(parameter);
    }
    let sent = (operation.sent)();
    if let Some(content) = sent.content() {
        let body = RequestBodyBuilder::new()
            .content(sent.kind, content)
            .required(Some(Required::True));
        builder = builder.request_body(Some(body.build()));
    }
    builder
}

fn needs(route: &Route) -> String {
    let about = match route.about {
        About::Installation => "the installation",
        About::Domain => "the domain",
        About::Account => "the account",
        About::Each => "what is shown of each",
        About::Caller => "the caller itself",
    };
    format!("the right to {:?} for {about}", route.right).to_lowercase()
}

fn path_parameter(name: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(String::schema()))
        .build()
}

/// The names in braces.
pub(crate) fn params_of(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn operation_id(route: &Route) -> String {
    let path = route
        .path
        .trim_start_matches("/api/v1/")
        .trim_start_matches('/');
    let words = path.replace(['{', '}'], "").replace(['/', '-', '.'], "_");
    format!("{}_{words}", route.method.as_str().to_lowercase())
}

/// The first word after `/api/v1/`.
fn tag(path: &str) -> &str {
    path.trim_start_matches("/api/v1/")
        .split('/')
        .next()
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn every_reference_leads_somewhere_and_no_name_is_given_twice() {
        let routes = crate::routes::all();
        let text = document(&routes).to_json().unwrap();
        let known = document(&routes).components.unwrap().schemas;
        for (_, rest) in text
            .match_indices("#/components/schemas/")
            .map(|(at, m)| (at, &text[at + m.len()..]))
        {
            let name = rest.split('"').next().unwrap();
            assert!(known.contains_key(name), "{name}");
        }
        let mut said: BTreeMap<String, String> = BTreeMap::new();
        for route in &routes {
            let Kind::Api(operation) = &route.kind else {
                continue;
            };
            for (name, schema) in [(operation.sent)(), (operation.told)()]
                .into_iter()
                .flat_map(|d| d.parts)
            {
                let schema = serde_json::to_string(&schema).unwrap();
                let before = said.insert(name.clone(), schema.clone());
                assert!(
                    before.is_none_or(|before| before == schema),
                    "two types are called {name}"
                );
            }
        }
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let routes = crate::routes::all();
        let api = routes
            .iter()
            .filter(|route| matches!(route.kind, Kind::Api(_)));
        let names: Vec<_> = api.map(operation_id).collect();
        let different: BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), different.len());
    }

    /// Or needs even more: a right to the whole installation.
    #[test]
    fn a_path_that_names_a_domain_or_an_account_is_about_it() {
        for route in crate::routes::all() {
            let names: Vec<_> = params_of(route.path).collect();
            let about = match () {
                () if names.contains(&"account") => Some(About::Account),
                () if names.contains(&"domain") => Some(About::Domain),
                () => None,
            };
            if let Some(about) = about {
                let fits = route.about == about || route.about == About::Installation;
                assert!(fits, "{}", route.path);
            }
        }
    }

    /// What everybody may call without saying who they are, and nothing else.
    #[test]
    fn what_is_public_is_known() {
        let public: BTreeSet<_> = crate::routes::all()
            .into_iter()
            .filter(|route| route.right == crate::access::Right::Public)
            .map(|route| format!("{} {}", route.method, route.path))
            .collect();
        let known = [
            "GET /",
            "GET /.well-known/autoconfig/mail/config-v1.1.xml",
            "GET /Autodiscover/Autodiscover.json",
            "GET /abmelden/{token}",
            "GET /ankuendigungen/",
            "GET /ankuendigungen/{slug}",
            "GET /announcements/",
            "GET /announcements/{slug}",
            "GET /api/catalogue/clients",
            "GET /api/v1/catalogue/clients",
            "GET /api/v1/openapi.json",
            "GET /autodiscover/autodiscover.json",
            "GET /autodiscover/autodiscover.json/v1.0/{address}",
            "GET /h/",
            "GET /h/{topic}",
            "GET /help/",
            "GET /help/{guide}",
            "GET /hilfe/",
            "GET /hilfe/{guide}",
            "GET /login",
            "GET /mail.mobileconfig",
            "GET /mail/config-v1.1.xml",
            "GET /style.css",
            "GET /unsubscribe/{token}",
            "POST /AutoDiscover/AutoDiscover.xml",
            "POST /Autodiscover/Autodiscover.xml",
            "POST /abmelden/{token}",
            "POST /ankuendigungen/{slug}/fragen",
            "POST /announcements/{slug}/questions",
            "POST /api/v1/session",
            "POST /autodiscover/autodiscover.xml",
            "POST /login",
            "POST /unsubscribe/{token}",
        ];
        assert_eq!(public, known.map(str::to_owned).into());
    }
}
