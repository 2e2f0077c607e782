//! Every text of a rollout in every form: languages, forms of address, gender forms, mail programs. What
//! would be left unfilled is found here, before a letter leaves. Pure.

use crate::announce::Announced;
use crate::compose::{Draft, Kind, Writer};
use crate::facts::{Facts, Mailbox, Sighting};
use crate::fill::FillError;
use crate::guides::Ports;
use crate::model::{Rollout, Visibility};
use crate::runner::UNSUBSCRIBE;
use crate::voice::{Address, Gender, Voice};
use crate::wording::Speaker;
use formats::language::Language;
use jiff::civil::Date;
use policy::clients::Catalogue;
use policy::{Measure, Service};
use std::collections::BTreeSet;

/// The account in previews.
const SOMEBODY: &str = "anna@firma.example";
/// The domain in previews.
const SOME_DOMAIN: &str = "firma.example";

/// The form of one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Language it begins with.
    pub language: Language,
    /// Sie or Du.
    pub address: Address,
    /// Kundinnen und Kunden, or Kund:innen.
    pub gender: Gender,
}

impl Form {
    /// Every form that differs: English has one form of address and one of gender.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for address in Address::ALL {
            for gender in Gender::ALL {
                for language in [Language::German, Language::English] {
                    all.push(Self {
                        language,
                        address,
                        gender,
                    });
                }
            }
        }
        all
    }
}

/// One text as it would be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// `page`, or the kind of a letter.
    pub what: &'static str,
    /// Which form.
    pub form: Form,
    /// The key of the mail program it is for; empty where it makes no difference.
    pub client: String,
    /// Subject or title.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// Every variant; an `Err` names what cannot be filled.
///
/// # Errors
/// The first gap.
pub fn variants(
    rollout: &Rollout,
    voice: &Voice,
    catalogue: &Catalogue,
) -> Result<Vec<Variant>, FillError> {
    let mut all = Vec::new();
    for form in Form::all() {
        all.extend(in_form(rollout, voice, catalogue, form)?);
    }
    Ok(all)
}

/// The texts in one form.
///
/// # Errors
/// The first gap.
pub fn in_form(
    rollout: &Rollout,
    voice: &Voice,
    catalogue: &Catalogue,
    form: Form,
) -> Result<Vec<Variant>, FillError> {
    let voice = &Voice {
        address: form.address,
        gender: form.gender,
        ..voice.clone()
    };
    let writer = Writer {
        voice,
        catalogue,
        ports: Ports::default(),
    };
    let unsubscribe = format!("{}{UNSUBSCRIBE}TOKEN", voice.site);
    let mut texts = vec![page(rollout, voice, form)?];
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_of_rollout()) {
        let is_of_client = matches!(kind, Kind::Round | Kind::Nudge);
        let clients = match is_of_client {
            true => clients(catalogue),
            false => vec![String::new()],
        };
        for client in clients {
            let facts = facts(rollout, &client);
            let draft = Draft {
                kind,
                rollout: Some(rollout),
                about: if kind == Kind::Digest {
                    SOME_DOMAIN
                } else {
                    SOMEBODY
                },
                facts: &facts,
                unsubscribe: &unsubscribe,
                legacy_until: rollout.legacy.as_ref().map(|legacy| legacy.until),
            };
            let written = writer.write(&draft, form.language)?;
            texts.push(Variant {
                what: kind.word(),
                form,
                client,
                subject: written.subject,
                text: written.text,
            });
        }
    }
    Ok(texts)
}

/// What cannot be filled in any form; empty where all is well.
pub fn gaps(rollout: &Rollout) -> Vec<String> {
    let voice = Voice::of_host("mx.example");
    let catalogue = Catalogue::new(Vec::new());
    let forms = Form::all().into_iter();
    let found: BTreeSet<String> = forms
        .filter_map(|form| in_form(rollout, &voice, &catalogue, form).err())
        .map(|error| format!("texts: {error}"))
        .collect();
    found.into_iter().collect()
}

fn page(rollout: &Rollout, voice: &Voice, form: Form) -> Result<Variant, FillError> {
    let speaker = Speaker {
        voice,
        language: form.language,
        own: Some(rollout.texts.of(form.language)),
    };
    let announced = Announced::of(rollout, &speaker)?;
    let Announced {
        why,
        means,
        transition,
        background,
        dates,
    } = announced;
    let mut text = String::new();
    for (heading, part) in [
        ("why", why),
        ("means", means),
        ("dates", dates.join("\n")),
        ("transition", transition),
        ("background", background),
    ] {
        let heading = speaker.plain(&format!("heading.{heading}"))?;
        text.push_str(&format!("{heading}\n\n{part}\n\n"));
    }
    Ok(Variant {
        what: "page",
        form,
        client: String::new(),
        subject: rollout.title.of(form.language).clone(),
        text: crate::fill::wrap(&text, 72),
    })
}

/// A client of each guide, and one nobody knows.
fn clients(catalogue: &Catalogue) -> Vec<String> {
    let mut guides = BTreeSet::new();
    let mut clients = vec![policy::clients::UNKNOWN.to_owned()];
    for entry in catalogue.entries() {
        let key = format!("{}/-/any", entry.id);
        let client = catalogue.from_key(&key);
        if client.is_known() && guides.insert(client.guide.clone()) {
            clients.push(key);
        }
    }
    clients
}

/// What an account of the audience might have done.
fn facts(rollout: &Rollout, client: &str) -> Facts {
    let day = i64::from(
        Date::constant(1970, 1, 1)
            .until(rollout.as_of.day)
            .map_or(0, |span| span.get_days()),
    );
    let public = |step: &&crate::model::Step| step.visibility == Visibility::Public;
    let measures: BTreeSet<_> = rollout
        .steps
        .iter()
        .filter(public)
        .map(|step| &step.measure)
        .collect();
    let seen: Vec<_> = measures
        .into_iter()
        .map(|measure| sighting(measure, client, day))
        .collect();
    Facts {
        mailboxes: vec![Mailbox {
            account: SOMEBODY.to_owned(),
            seen: seen.clone(),
        }],
        count: 1,
        seen,
        legacy_until: None,
    }
}

fn sighting(measure: &Measure, client: &str, last_day: i64) -> Sighting {
    let service = |service: &Service| service.word().to_owned();
    let (of, tls, clear) = match measure {
        Measure::TlsVersion(of) => (service(of), Some("TLS 1.0".to_owned()), false),
        Measure::Cleartext(of) => (service(of), None, true),
        _ => (String::new(), None, false),
    };
    let client = match measure {
        Measure::SenderOwnership => "anna@elsewhere.example".to_owned(),
        Measure::Rule(_) => String::new(),
        _ => client.to_owned(),
    };
    Sighting {
        measure: measure.to_string(),
        service: of,
        tls,
        clear,
        client,
        says: String::new(),
        last_day,
    }
}
