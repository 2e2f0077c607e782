//! What mail programs ask by themselves, before anybody logged in: Thunderbird's autoconfig, Outlook's Autodiscover,
//! Apple's profile. One answer for every address of a hosted domain, whether it exists or not: nobody is asked about
//! accounts. The texts are made by `discovery` from `connecting`, which knows no clear text and no legacy host.

use super::{Page, respond};
use crate::access::Right;
use crate::answer;
use crate::call::Call;
use crate::connecting::provider;
use crate::form;
use crate::language::Speak as _;
use crate::problem::Problem;
use crate::route::{About, Route};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use directory::{AddressKey, DomainName, Hosting};
use discovery::autodiscover::{Question, QuestionError};
use discovery::{autoconfig, autodiscover, mobileconfig};
use maud::html;

const XML: &str = "text/xml; charset=utf-8";
const JSON: &str = "application/json";

/// Where Apple's profile is.
pub(super) const PROFILE: &str = "/mail.mobileconfig";

/// Its routes. Outlook writes its path in all three ways.
pub(super) fn routes() -> Vec<Route> {
    let anyone = (Right::Public, About::Installation);
    let get = |path| Route::page(Method::GET, path, anyone, thunderbird);
    let post = |path| Route::page(Method::POST, path, anyone, outlook);
    let json = |path| Route::page(Method::GET, path, anyone, outlook_json);
    vec![
        get("/mail/config-v1.1.xml"),
        get("/.well-known/autoconfig/mail/config-v1.1.xml"),
        post("/autodiscover/autodiscover.xml"),
        post("/Autodiscover/Autodiscover.xml"),
        post("/AutoDiscover/AutoDiscover.xml"),
        json("/autodiscover/autodiscover.json"),
        json("/autodiscover/autodiscover.json/v1.0/{address}"),
        json("/Autodiscover/Autodiscover.json"),
        Route::page(Method::GET, PROFILE, anyone, apple),
    ]
}

/// Whether mail for the domain is handled here; the only thing that is looked up.
async fn is_hosted(call: &Call, domain: &DomainName) -> Result<bool, Problem> {
    let hosting = call.services.directory.hosting(domain).await?;
    Ok(matches!(hosting, Hosting::Here(_)))
}

/// The domain a program asks about: of the address, otherwise of the host it asked, otherwise the provider's own.
async fn asked_domain(call: &Call) -> Result<DomainName, Problem> {
    let query = call.uri.query();
    let typed = form::asked(query, "emailaddress").filter(|typed| !typed.is_empty());
    // Some programs leave the placeholder as it is, or say nothing but the domain.
    if let Some(typed) = typed.filter(|typed| !typed.contains('%')) {
        let domain = typed.rsplit_once('@').map_or(typed.as_str(), |(_, d)| d);
        let domain = DomainName::parse(domain.trim())?;
        return match is_hosted(call, &domain).await? {
            true => Ok(domain),
            false => Err(Problem::not_here()),
        };
    }
    let host = call.headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let host = host.unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let host = host.strip_prefix("autoconfig.").unwrap_or(host);
    if let Ok(domain) = DomainName::parse(host)
        && is_hosted(call, &domain).await?
    {
        return Ok(domain);
    }
    let own = &call.services.host_name;
    let parent = own.split_once('.').map_or(&**own, |(_, parent)| parent);
    Ok(DomainName::parse(parent)?)
}

async fn thunderbird(call: Call) -> Result<Response, Problem> {
    let domain = asked_domain(&call).await?;
    let voice = call.services.rollouts.voice().await?;
    let servers = call.services.connecting.servers(&voice);
    let text = autoconfig::answer(&servers, &provider(&voice), domain.as_str());
    Ok(answer::with_body(StatusCode::OK, XML, text))
}

async fn outlook(call: Call) -> Result<Response, Problem> {
    let refusal = |why: &str| {
        let text = autodiscover::refusal(why);
        Ok(answer::with_body(StatusCode::OK, XML, text))
    };
    let question = match Question::parse(&call.body) {
        Ok(question) => question,
        Err(error @ (QuestionError::Schema | QuestionError::NoAddress)) => {
            return refusal(&error.to_string());
        }
        Err(error) => return Err(Problem::unreadable(error.to_string())),
    };
    let elsewhere = "Mail for the domain of this address is not handled here.";
    let Ok(address) = AddressKey::parse(&question.address) else {
        return refusal(elsewhere);
    };
    if !is_hosted(&call, address.domain()).await? {
        return refusal(elsewhere);
    }
    let voice = call.services.rollouts.voice().await?;
    let servers = call.services.connecting.servers(&voice);
    let text = autodiscover::answer(&servers, &provider(&voice), &address.to_string());
    Ok(answer::with_body(StatusCode::OK, XML, text))
}

async fn outlook_json(call: Call) -> Result<Response, Problem> {
    let query = call.uri.query();
    let protocol = form::asked(query, "Protocol").or_else(|| form::asked(query, "protocol"));
    let voice = call.services.rollouts.voice().await?;
    let told = autodiscover::json(protocol.as_deref().unwrap_or_default(), &voice.site);
    Ok(match told {
        Ok(body) => answer::with_body(StatusCode::OK, JSON, body),
        Err(body) => answer::with_body(StatusCode::BAD_REQUEST, JSON, body),
    })
}

/// The profile for the address that was typed, or for whoever is logged in; a form where neither is known.
async fn apple(call: Call) -> Result<Response, Problem> {
    let typed = form::asked(call.uri.query(), "address").filter(|typed| !typed.is_empty());
    let own = call
        .caller
        .as_ref()
        .and_then(|caller| caller.account.as_ref());
    let address = match (typed, own) {
        (Some(typed), _) => AddressKey::parse(typed.trim())?,
        (None, Some((_, login))) => login.clone(),
        (None, None) => return Ok(ask_for_address(&call)),
    };
    if !is_hosted(&call, address.domain()).await? {
        return Err(Problem::not_here());
    }
    let voice = call.services.rollouts.voice().await?;
    let servers = call.services.connecting.servers(&voice);
    let profile = mobileconfig::profile(&servers, &provider(&voice), &address.to_string());
    let profile = profile.ok_or_else(Problem::not_here)?;
    let response = answer::with_body(StatusCode::OK, mobileconfig::MEDIA_TYPE, profile);
    let name = HeaderValue::from_static("attachment; filename=\"mail.mobileconfig\"");
    Ok(answer::with_header(
        response,
        header::CONTENT_DISPOSITION,
        name,
    ))
}

fn ask_for_address(call: &Call) -> Response {
    let say = |german, english| call.language.of(german, english);
    let body = html! {
        p {
            (say(
                "Das Profil richtet Apple Mail auf iPhone, iPad und Mac mit den richtigen Servern ein. Ein Passwort \
                 enthält es nicht; danach fragt das Gerät.",
                "The profile sets up Apple Mail on iPhone, iPad and Mac with the right servers. It holds no password; \
                 the device asks for it.",
            ))
        }
        form method="get" action=(PROFILE) {
            label for="address" { (say("E-Mail-Adresse", "E-mail address")) }
            input #address name="address" type="email" autocomplete="email" required;
            button type="submit" { (say("Profil laden", "Get the profile")) }
        }
    };
    let title = say("Profil für Apple-Geräte", "Profile for Apple devices");
    respond(call, Page::new(title, body))
}
