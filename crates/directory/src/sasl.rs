//! SASL for all protocols: SMTP AUTH, IMAP AUTHENTICATE and POP3 AUTH do base64 and their framing,
//! everything between is here. Decoded messages in, decoded challenges or a ruling out. Stops where the
//! user name is known (`Step::Named`), so that policy can rule before any secret is looked at.

use crate::limits::SASL_MESSAGE_BYTES_MAX;
use crate::login::account::LoginAccount;
use crate::login::backoff::Attempt;
use crate::login::check::{Place, back_off, refused, store_failed, user_key};
use crate::password::prepare;
use crate::scram::{AwaitingFinal, ClientFirst, Derivation, Keys, ScramError};
use crate::{Claimed, Credential, Directory, Login, LoginRuling, Protocol, Refusal};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platform::clock::Timestamp;
use platform::store::StoreError;
use std::net::IpAddr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login; Outlook still asks for it.
    Login,
    /// RFC 7677.
    ScramSha256,
    /// RFC 7677 with channel binding (RFC 5802 §6).
    ScramSha256Plus,
}

impl Mechanism {
    /// Every mechanism, the strongest first: the order in which they are shown unless somebody says
    /// otherwise.
    pub const ALL: [Self; 4] = [
        Self::ScramSha256Plus,
        Self::ScramSha256,
        Self::Plain,
        Self::Login,
    ];

    /// The mechanism of this name, in any case (RFC 4422 §3.1).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
        }
    }
}

/// What ties a SCRAM exchange to its TLS connection. Both `None` without TLS.
#[derive(Debug, Clone, Default)]
pub struct ChannelBindings {
    /// RFC 9266: 32 bytes exported from this connection; TLS 1.3 (or 1.2 with extended master
    /// secret).
    pub tls_exporter: Option<[u8; 32]>,
    /// RFC 5929 §4: the hash of the server's certificate.
    pub tls_server_end_point: Option<Vec<u8>>,
}

/// What is known about the connection an exchange runs on.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Over which protocol.
    pub protocol: Protocol,
    /// The client's address.
    pub address: IpAddr,
    /// What ties the exchange to TLS.
    pub bindings: ChannelBindings,
    /// Whether SCRAM-SHA-256-PLUS was among the offered mechanisms; a client that says it was not
    /// has been lied to (RFC 5802 §6).
    pub plus: PlusOffer,
}

/// Whether SCRAM-SHA-256-PLUS was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlusOffer {
    /// It was.
    Offered,
    /// It was not.
    NotOffered,
}

/// What comes next in an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send these bytes (base64) and give the answer to `step`.
    Challenge(Vec<u8>),
    /// The client said who it is. Nothing of its secret was looked at yet: `admit` goes on, dropping the
    /// exchange ends it. Comes once per exchange.
    Named(Claimed),
    /// It is over.
    Done(LoginRuling),
    /// The client broke the mechanism's grammar: SMTP 501 5.5.2, IMAP BAD, POP3 -ERR. It is over.
    Malformed(&'static str),
}

/// One authentication exchange. After `Done` or `Malformed` it is of no further use. A client that
/// sends `*` (cancel) is the protocol's matter: drop the exchange.
pub struct Exchange {
    directory: Directory,
    mechanism: Mechanism,
    peer: Peer,
    state: State,
}

/// What the next message of the client is.
enum State {
    /// The first of the mechanism.
    First,
    /// No message: `admit`.
    Named(Held),
    /// LOGIN: the password of this user.
    LoginPassword {
        user: String,
    },
    /// SCRAM: the proof.
    ScramFinal(Box<ScramFinal>),
    /// SCRAM: the empty answer to the server's proof (RFC 5802 §5, RFC 4954 §4).
    ScramEnd(LoginRuling),
    Over,
}

/// What waits while policy rules on the name.
enum Held {
    Plain {
        user: String,
        password: Zeroizing<Vec<u8>>,
    },
    Login {
        user: String,
    },
    Scram {
        first: Box<ClientFirst>,
        user: String,
    },
}

struct ScramFinal {
    awaiting: AwaitingFinal,
    user: String,
    account: Option<Arc<LoginAccount>>,
    /// Which credential each key belongs to, in the order of the keys.
    credentials: Vec<Credential>,
}

impl Exchange {
    /// Begins an exchange; nothing is sent or asked yet.
    pub fn start(directory: &Directory, mechanism: Mechanism, peer: Peer) -> Self {
        Self {
            directory: directory.clone(),
            mechanism,
            peer,
            state: State::First,
        }
    }

    /// The first step: with the initial response where the client sent one (an empty one, `=`, is
    /// `Some(b"")`), `None` where it did not.
    pub async fn first(&mut self, initial: Option<&[u8]>, now: Timestamp) -> Step {
        match (initial, self.mechanism) {
            (Some(message), _) => self.step(message, now).await,
            (None, Mechanism::Login) => Step::Challenge(b"Username:".to_vec()),
            (None, _) => Step::Challenge(Vec::new()),
        }
    }

    /// The client's answer to the last challenge, decoded.
    pub async fn step(&mut self, message: &[u8], now: Timestamp) -> Step {
        if message.len() > SASL_MESSAGE_BYTES_MAX {
            self.state = State::Over;
            return Step::Malformed("the authentication message is too long");
        }
        match (
            std::mem::replace(&mut self.state, State::Over),
            self.mechanism,
        ) {
            (State::First, Mechanism::Plain) => self.plain(message).await,
            (State::First, Mechanism::Login) => {
                let user = String::from_utf8_lossy(message).into_owned();
                self.named(Held::Login { user }).await
            }
            (State::First, _) => self.scram_first(message).await,
            (State::Named(_), _) => Step::Malformed("nothing was asked"),
            (State::LoginPassword { user }, _) => self.password(&user, message, now).await,
            (State::ScramFinal(state), _) => self.scram_final(*state, message, now).await,
            (State::ScramEnd(ruling), _) if message.is_empty() => Step::Done(ruling),
            (State::ScramEnd(_), _) => Step::Malformed("an empty answer was expected"),
            (State::Over, _) => Step::Malformed("this authentication is over"),
        }
    }

    /// Goes on after `Step::Named`: the name may log in here, if its secret is right.
    pub async fn admit(&mut self, now: Timestamp) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Named(Held::Plain { user, password }) => {
                self.password(&user, &password, now).await
            }
            State::Named(Held::Login { user }) => {
                self.state = State::LoginPassword { user };
                Step::Challenge(b"Password:".to_vec())
            }
            State::Named(Held::Scram { first, user }) => {
                self.scram_challenge(*first, user, now).await
            }
            _ => Step::Malformed("this authentication is over"),
        }
    }

    /// Stops until `admit`, and says whom the client claims to be.
    async fn named(&mut self, held: Held) -> Step {
        let (Held::Plain { user, .. } | Held::Login { user } | Held::Scram { user, .. }) = &held;
        match self.directory.claimed(user).await {
            Ok(claimed) => {
                self.state = State::Named(held);
                Step::Named(claimed)
            }
            Err(later) => Step::Done(later),
        }
    }

    /// RFC 4616 §2: `[authzid] NUL authcid NUL passwd`.
    async fn plain(&mut self, message: &[u8]) -> Step {
        let mut parts = message.splitn(3, |byte| *byte == 0);
        let (Some(authzid), Some(user), Some(password)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Step::Malformed(
                "PLAIN wants identity, user and password with NUL between them",
            );
        };
        if user.is_empty() || password.is_empty() || password.contains(&0) {
            return Step::Malformed("PLAIN wants a user and a password, neither empty");
        }
        let user = String::from_utf8_lossy(user);
        if !authzid.is_empty() && user_key(&String::from_utf8_lossy(authzid)) != user_key(&user) {
            return Step::Done(LoginRuling::Refused(Refusal::OtherIdentity));
        }
        let held = Held::Plain {
            user: user.into_owned(),
            password: Zeroizing::new(password.to_vec()),
        };
        self.named(held).await
    }

    async fn password(&mut self, user: &str, password: &[u8], now: Timestamp) -> Step {
        let login = Login {
            user,
            password,
            protocol: self.peer.protocol,
            peer: self.peer.address,
            now,
        };
        Step::Done(self.directory.login(login).await)
    }

    async fn scram_first(&mut self, message: &[u8]) -> Step {
        let (bindings, plus) = (&self.peer.bindings, self.peer.plus);
        let first = match ClientFirst::parse(message, self.mechanism, bindings, plus) {
            Ok(first) => first,
            Err(error) => return failed(error, None),
        };
        let user = String::from_utf8_lossy(&prepare(first.user.as_bytes())).into_owned();
        let Some(user) = user_key(&user) else {
            return Step::Malformed("the user name is too long");
        };
        let first = Box::new(first);
        self.named(Held::Scram { first, user }).await
    }

    async fn scram_challenge(&mut self, first: ClientFirst, user: String, now: Timestamp) -> Step {
        if let Some(wait) = self.must_wait(&user, now) {
            return Step::Done(wait);
        }
        let account = match self.scram_account(&user).await {
            Ok(account) => account,
            Err(error) => return Step::Done(store_failed(&error)),
        };
        let (credentials, keys) = account.as_deref().map(offered_keys).unwrap_or_default();
        let derivation = match account.as_deref().and_then(|a| a.derivation.clone()) {
            Some(derivation) => derivation,
            None => self.invented_derivation(&user),
        };
        let mut nonce = [0; 18];
        self.directory.random().fill(&mut nonce);
        let (awaiting, challenge) = first.challenge(&derivation, keys, &STANDARD.encode(nonce));
        self.state = State::ScramFinal(Box::new(ScramFinal {
            awaiting,
            user,
            account,
            credentials,
        }));
        Step::Challenge(challenge)
    }

    async fn scram_final(&mut self, state: ScramFinal, message: &[u8], now: Timestamp) -> Step {
        let account = state.account.as_deref();
        let who = self
            .directory
            .back_off()
            .who(&state.user, self.peer.address);
        if let Some(who) = &who
            && let Attempt::Wait(wait) = self.directory.back_off().begin(who, None, now)
        {
            return Step::Done(back_off(wait));
        }
        let done = match state.awaiting.finish(message) {
            Ok(done) => done,
            Err(error) => return failed(error, account),
        };
        let credential = state
            .credentials
            .into_iter()
            .nth(done.key)
            .unwrap_or(Credential::Password);
        let place = Place {
            protocol: self.peer.protocol,
            peer: self.peer.address,
            now,
        };
        // An app password where it may not be used is as good as a wrong one.
        if let Some(who) = &who
            && place.admits(account, &credential).is_ok()
        {
            self.directory.back_off().right(who);
        }
        match self.directory.let_in(account, credential, place).await {
            accepted @ LoginRuling::Accepted(_) => {
                self.state = State::ScramEnd(accepted);
                Step::Challenge(done.message)
            }
            other => Step::Done(other),
        }
    }

    /// A password may have been renewed by another node without a new revision; where its keys are
    /// missing, one look into the store says whether they still are.
    async fn scram_account(&self, user: &str) -> Result<Option<Arc<LoginAccount>>, StoreError> {
        let account = self.directory.login_account(user).await?;
        if account.as_ref().is_some_and(|a| a.lacks_keys()) {
            self.directory.forget_login(user);
            return self.directory.login_account(user).await;
        }
        Ok(account)
    }

    fn must_wait(&self, user: &str, now: Timestamp) -> Option<LoginRuling> {
        let mut table = self.directory.back_off();
        let who = table.who(user, self.peer.address)?;
        let wait = table.wait(&who, now);
        (!wait.is_zero()).then(|| back_off(wait))
    }

    /// A salt for a name without an account, the same at every try and on every node, so that it
    /// looks like any other.
    fn invented_derivation(&self, user: &str) -> Derivation {
        let mut hasher = blake3::Hasher::new_keyed(self.directory.scram_secret());
        hasher.update(user.as_bytes());
        let digest = hasher.finalize();
        Derivation {
            salt: digest.as_bytes().iter().copied().take(16).collect(),
            iterations: self.directory.settings().hashing.scram_iterations,
        }
    }
}

/// All keys a proof may fit, and what each belongs to.
fn offered_keys(account: &LoginAccount) -> (Vec<Credential>, Vec<Keys>) {
    let own = account.keys.map(|keys| (Credential::Password, keys));
    let apps = account
        .app_passwords
        .iter()
        .filter_map(|app| Some((app.credential(), app.keys?)));
    own.into_iter().chain(apps).unzip()
}

fn failed(error: ScramError, account: Option<&LoginAccount>) -> Step {
    match error {
        ScramError::Malformed(text) => Step::Malformed(text),
        ScramError::OtherIdentity => Step::Done(LoginRuling::Refused(Refusal::OtherIdentity)),
        ScramError::ChannelBinding => Step::Done(LoginRuling::Refused(Refusal::ChannelBinding)),
        ScramError::WrongProof => Step::Done(refused(account)),
    }
}

#[cfg(test)]
mod tests;
