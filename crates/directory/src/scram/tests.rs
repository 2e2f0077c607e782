//! SCRAM against the published example and against everything a client may get wrong.

use super::*;

const EXPORTER: [u8; 32] = [7; 32];

fn bindings() -> ChannelBindings {
    ChannelBindings {
        tls_exporter: Some(EXPORTER),
        tls_server_end_point: Some(vec![9; 32]),
    }
}

fn derivation() -> Derivation {
    Derivation {
        salt: STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(),
        iterations: 4096,
    }
}

fn first(message: &str) -> Result<ClientFirst, ScramError> {
    ClientFirst::parse(
        message.as_bytes(),
        Mechanism::ScramSha256,
        &bindings(),
        PlusOffer::NotOffered,
    )
}

/// RFC 7677 §3.
#[test]
fn the_published_example() {
    let first = first("n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
    assert_eq!(first.user, "user");
    let keys = vec![derivation().keys(b"other"), derivation().keys(b"pencil")];
    let (state, challenge) = first.challenge(&derivation(), keys, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    assert_eq!(
        String::from_utf8(challenge).unwrap(),
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let done = state.clone().finish(last.as_bytes()).unwrap();
    assert_eq!(done.key, 1);
    assert_eq!(
        done.message,
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    );

    let forged = last.replace("p=dHzb", "p=eHzb");
    assert_eq!(
        state.clone().finish(forged.as_bytes()),
        Err(ScramError::WrongProof)
    );
    let moved = last.replace("%hv", "%hx");
    assert!(matches!(
        state.clone().finish(moved.as_bytes()),
        Err(ScramError::Malformed(_))
    ));
    let unbound = last.replace("c=biws", "c=eSws");
    assert_eq!(
        state.finish(unbound.as_bytes()),
        Err(ScramError::ChannelBinding)
    );
}

/// What a client does with the challenge; for tests here and in `sasl`.
pub(crate) fn client_final(
    password: &[u8],
    bare: &str,
    gs2_and_binding: &[u8],
    server_first: &str,
) -> String {
    let field = |name: &str| {
        server_first
            .split(',')
            .find_map(|a| a.strip_prefix(name))
            .unwrap()
            .to_owned()
    };
    let derivation = Derivation {
        salt: STANDARD.decode(field("s=")).unwrap(),
        iterations: field("i=").parse().unwrap(),
    };
    let mut salted = [0; 32];
    pbkdf2::pbkdf2::<Hmac<Sha256>>(
        password,
        &derivation.salt,
        derivation.iterations,
        &mut salted,
    )
    .unwrap();
    let client_key = hmac(&salted, &[b"Client Key"]);
    let stored_key = Sha256::digest(client_key);
    let without = format!("c={},r={}", STANDARD.encode(gs2_and_binding), field("r="));
    let signature = hmac(
        &stored_key,
        &[format!("{bare},{server_first},{without}").as_bytes()],
    );
    let proof: Vec<u8> = client_key
        .iter()
        .zip(signature)
        .map(|(k, s)| k ^ s)
        .collect();
    format!("{without},p={}", STANDARD.encode(proof))
}

#[test]
fn a_bound_exchange_knows_its_channel() {
    for (flag, data) in [
        ("p=tls-exporter", EXPORTER.to_vec()),
        ("p=tls-server-end-point", vec![9; 32]),
    ] {
        let gs2 = format!("{flag},,");
        let bare = "n=user,r=abc";
        let parse = || {
            ClientFirst::parse(
                format!("{gs2}{bare}").as_bytes(),
                Mechanism::ScramSha256Plus,
                &bindings(),
                PlusOffer::Offered,
            )
            .unwrap()
        };
        let keys = vec![derivation().keys(b"pencil")];
        let (state, challenge) = parse().challenge(&derivation(), keys.clone(), "xyz");
        let challenge = String::from_utf8(challenge).unwrap();
        let good = client_final(
            b"pencil",
            bare,
            &[gs2.as_bytes(), &data].concat(),
            &challenge,
        );
        assert!(state.clone().finish(good.as_bytes()).is_ok(), "{flag}");
        let elsewhere = client_final(
            b"pencil",
            bare,
            &[gs2.as_bytes(), &[1; 32]].concat(),
            &challenge,
        );
        assert_eq!(
            state.finish(elsewhere.as_bytes()),
            Err(ScramError::ChannelBinding),
            "{flag}"
        );
    }
}

#[test]
fn a_downgrade_is_noticed() {
    let parse = |message: &str, mechanism, plus| {
        ClientFirst::parse(message.as_bytes(), mechanism, &bindings(), plus).map(drop)
    };
    use Mechanism::{ScramSha256 as Bare, ScramSha256Plus as Plus};
    use PlusOffer::{NotOffered, Offered};
    assert_eq!(parse("y,,n=u,r=x", Bare, NotOffered), Ok(()));
    assert_eq!(
        parse("y,,n=u,r=x", Bare, Offered),
        Err(ScramError::ChannelBinding)
    );
    assert_eq!(parse("n,,n=u,r=x", Bare, Offered), Ok(()));
    assert!(matches!(
        parse("n,,n=u,r=x", Plus, Offered),
        Err(ScramError::Malformed(_))
    ));
    assert!(matches!(
        parse("p=tls-exporter,,n=u,r=x", Bare, Offered),
        Err(ScramError::Malformed(_))
    ));
    assert_eq!(
        parse("p=tls-unique,,n=u,r=x", Plus, Offered),
        Err(ScramError::ChannelBinding)
    );
    let none = ChannelBindings::default();
    assert_eq!(
        ClientFirst::parse(b"p=tls-exporter,,n=u,r=x", Plus, &none, Offered).map(drop),
        Err(ScramError::ChannelBinding)
    );
}

#[test]
fn malformed_messages_are_refused() {
    for message in [
        "",
        "n",
        "n,",
        "n,,",
        "n,,n=",
        "n,,n=u",
        "n,,n=u,r=",
        "n,,n=u,r=a b",
        "n,,u,r=x",
        "n,,n=u=,r=x",
        "n,,n=u=2,r=x",
        "n,,m=1,n=u,r=x",
        "x,,n=u,r=x",
        "n,b=u,n=u,r=x",
        "n,,n=u\0,r=x",
    ] {
        assert!(
            matches!(first(message), Err(ScramError::Malformed(_))),
            "{message:?}"
        );
    }
    assert_eq!(first("n,a=v,n=u,r=x"), Err(ScramError::OtherIdentity));
    assert_eq!(first("n,a=u,n=u,r=x").unwrap().user, "u");
    assert_eq!(first("n,,n=a=2Cb=3Dc,r=x,ext=1").unwrap().user, "a,b=c");
    let (state, _) = first("n,,n=u,r=x")
        .unwrap()
        .challenge(&derivation(), Vec::new(), "y");
    for message in [
        "",
        "c=biws",
        "c=biws,r=xy",
        "c=biws,r=xy,p=",
        "c=!,r=xy,p=AAAA",
        ",p=AAAA",
    ] {
        assert!(
            matches!(
                state.clone().finish(message.as_bytes()),
                Err(ScramError::Malformed(_))
            ),
            "{message}"
        );
    }
}

#[test]
fn without_keys_nothing_fits() {
    let (state, challenge) = first("n,,n=u,r=x")
        .unwrap()
        .challenge(&derivation(), Vec::new(), "y");
    let challenge = String::from_utf8(challenge).unwrap();
    let last = client_final(b"", "n=u,r=x", b"n,,", &challenge);
    assert_eq!(state.finish(last.as_bytes()), Err(ScramError::WrongProof));
}

#[test]
fn the_text_form_survives() {
    let keys = derivation().keys(b"pencil");
    for keys in [None, Some(keys)] {
        let text = to_text(&derivation(), keys.as_ref());
        assert_eq!(from_text(&text), Some((derivation(), keys)), "{text}");
    }
    for text in [
        "",
        "SCRAM-SHA-256$1:W22ZaJ0SNY7soEsUEjb6gQ==",
        "SCRAM-SHA-256$4096:",
        "SCRAM-SHA-1$4096:W22ZaJ0SNY7soEsUEjb6gQ==",
    ] {
        assert_eq!(from_text(text), None, "{text}");
    }
}
