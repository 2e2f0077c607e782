//! `rohrpost legacy disable` and `enable`: the emergency switch.

use super::{What, Why};
use crate::cli::admin_api::{AdminApi, Method, path};
use https::api::legacy::{CarriedOut, Switch, Switched, SwitchedOff, Switches};

pub(super) async fn disable(
    api: &AdminApi,
    what: &What,
    now: bool,
    why: &Why,
) -> Result<String, String> {
    let switches = switches(what, why)?;
    if !now {
        return Err(
            "this ends sessions at once and until you take it back; say --now if that is meant"
                .to_owned(),
        );
    }
    let at = path(&["legacy", "stops"], &[]);
    let done: Switched = api.send(Method::Post, &at, &switches).await?;
    let mut text = format!(
        "Switched off: {}. {} enrolled accounts get a notice.\n",
        words(&switches),
        done.notices
    );
    match done.carried_out {
        CarriedOut::NoGateway => text.push_str(
            "No gateway is connected; one that comes is told before it serves anybody.\n",
        ),
        CarriedOut::Done => text.push_str(&format!(
            "The gateway has carried it out. Sessions now: {}.\n",
            sessions(&done.sessions.unwrap_or_default())
        )),
        CarriedOut::Late => {
            return Err(
                "the switch is stored, but the gateway did not confirm it within 5 seconds; stop \
                 rohrpost-legacy"
                    .to_owned(),
            );
        }
    }
    Ok(text)
}

pub(super) async fn enable(api: &AdminApi, what: &What, why: &Why) -> Result<String, String> {
    let switches = switches(what, why)?;
    let at = path(&["legacy", "resume"], &[]);
    let _: Vec<SwitchedOff> = api.send(Method::Post, &at, &switches).await?;
    Ok(format!(
        "No longer switched off: {}. What legacy-access and the measures say holds again.\n",
        words(&switches)
    ))
}

fn switches(what: &What, why: &Why) -> Result<Switches, String> {
    let mut all = Vec::new();
    for word in what.tls.iter().flat_map(|text| text.split(',')) {
        all.push(match word.trim() {
            "1.0" => Switch::Tls10,
            "1.1" => Switch::Tls11,
            other => {
                return Err(format!(
                    "--tls takes 1.0, 1.1 or 1.0,1.1; \"{other}\" cannot be switched off here"
                ));
            }
        });
    }
    all.extend(what.cleartext.then_some(Switch::Cleartext));
    Ok(Switches {
        what: all,
        reason: why.reason.clone(),
    })
}

fn words(switches: &Switches) -> String {
    let words: Vec<_> = switches.what.iter().map(|switch| switch.word()).collect();
    words.join(", ")
}

/// Open sessions in words.
pub(super) fn sessions(open: &[u32]) -> String {
    let [clear, tls10, tls11, tls12] = open.try_into().unwrap_or_default();
    format!("{clear} in clear, {tls10} over TLS 1.0, {tls11} over TLS 1.1, {tls12} over TLS 1.2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_old_can_be_switched() {
        let what = |tls: &str, cleartext| What {
            tls: (!tls.is_empty()).then(|| tls.to_owned()),
            cleartext,
        };
        let why = Why {
            reason: String::new(),
            by: None,
        };
        let both = switches(&what("1.0, 1.1", false), &why).unwrap();
        assert_eq!(words(&both), "tls-1.0, tls-1.1");
        let clear = switches(&what("", true), &why).unwrap();
        assert_eq!(words(&clear), "cleartext");
        assert!(switches(&what("1.2", false), &why).is_err());
    }
}
