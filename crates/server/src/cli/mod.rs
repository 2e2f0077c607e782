//! Commands of the program: clients of the admin API (`admin_api`), of the node that runs or of their own process. Those
//! that are about files, certificates or the process itself (serve, backup, verify, reload) do without it.

mod admin_api;
mod api;
mod backup;
mod clients;
mod clock;
mod directory;
mod dkim;
mod legacy;
mod policy;
mod queue;
mod relay_source;
mod reports;
mod rollout;
mod route;
mod rules;
mod serve;
mod settings;
mod stores;
mod tls;
mod token;
mod trace;
mod verify;

pub(crate) use serve::{run_until_told, runtime};

use crate::settings::{Settings, load};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};

/// Where a node's settings are when nothing else is said.
const CONFIG_DEFAULT: &str = "/etc/rohrpost/rohrpost.toml";

/// What stands at the end of `rohrpost help`.
const HELP_END: &str = "\
Begin like this:
  rohrpost settings sample > /etc/rohrpost/rohrpost.toml   # then edit it
  rohrpost settings check
  rohrpost domain add firma.example
  rohrpost account add anna@firma.example                  # prints a password once
  rohrpost serve

Commands work beside a running node and without one, with few exceptions: `restore` wants the node
stopped, `reload`, `clock`, `api`, `identity request` and `queue --run` want it running. Run them as
the user the node runs as, so that new files belong to it.

Exit codes:
  0  It was done. `verify` found nothing wrong; `serve` was told to stop.
  1  It was not done, or `verify` found something. Standard error says why and what to do.
  2  The command line was not understood.

Results are written to standard output, errors and the log of `serve` to standard error.
`rohrpost help COMMAND` says more about each command; docs/operator-guide.md is the guide.";

/// A mail server for e-mail providers: SMTP, IMAP, POP3 in one program.
#[derive(Parser)]
#[command(name = "rohrpost", version, propagate_version = true, after_long_help = HELP_END)]
pub(crate) struct Arguments {
    /// The node's settings file (TOML); it says where the data is.
    #[arg(long, global = true, default_value = CONFIG_DEFAULT, value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a node in the foreground until it is told to stop.
    ///
    /// SIGTERM and Ctrl-C stop it: no new connections are taken and sessions have 10 seconds to
    /// end. SIGHUP makes it read the certificates again, as `rohrpost reload` does. It logs to
    /// standard error, a line per event; a service manager keeps the log.
    ///
    /// It starts as a whole or not at all. Each of these stops the start with exit code 1 and a
    /// text: a bad setting, no usable certificate in tls.certificate_dir, a port that is taken,
    /// another node on the same data directory, a PostgreSQL that cannot be reached, data written
    /// by a newer version. Tables that an upgrade needs are made or changed at the start, after a
    /// check. Other settings than certificates are read at the start only.
    Serve,
    /// Runs a demo provider on loopback ports, to try things on.
    ///
    /// Makes two domains, three accounts and its own certificates in DIR, prints how to send and
    /// read a mail, and writes DIR/endpoints.json when everything answers. A second start goes on
    /// with the data that is there. Not for production: the passwords are public.
    ///
    /// Example: rohrpost demo --dir ./data --port-base 10000
    Demo(crate::demo::Options),
    #[command(flatten)]
    Directory(directory::Verb),
    #[command(flatten)]
    Policy(policy::Verb),
    /// Rules of your own: conditions over connections and messages, and what is done then.
    ///
    /// Rules are asked in their order at the points connect, hello, auth, mail, rcpt, data, route and
    /// deliver. The first accept, reject or defer at a point decides there; everything else adds up, and
    /// of two rules that set the same thing the later one decides. A rule without conditions holds
    /// always. Its schedule says from when on it acts (observe; 2027-01-15 warn; 2027-02-01 enforce);
    /// before that it is only noted whom it would have concerned: `rohrpost findings rule/NAME` and
    /// `rohrpost rules seen`. Every change is a new version that holds at once on every node.
    ///
    /// Examples: rohrpost rules list
    ///           rohrpost rules add rule.toml --reason "ticket 17"
    ///           rohrpost rules test mail.eml --from a@far.example --to anna@firma.example --tls 1.2
    ///           rohrpost rules replay changed.toml --days 7
    #[command(subcommand, verbatim_doc_comment)]
    Rules(rules::Verb),
    /// Keys that sign what leaves (DKIM), and the DNS records for them.
    ///
    /// A key is made here, published by whoever runs the domain's DNS, seen there by this server,
    /// and signs from then on. Private keys are stored sealed with the file installation.secret of
    /// the data directory; no command prints or exports them.
    ///
    /// Example: rohrpost dkim add firma.example
    #[command(subcommand)]
    Dkim(dkim::Verb),
    /// Servers that hand mail in for an account without a login, such as a web server whose PHP sends by mail().
    ///
    /// They come to the submission port (587) over TLS. A mailbox with a password, or an app password limited to
    /// sending, is the better way wherever the program can log in.
    ///
    /// Example: rohrpost relay-source add web1 192.0.2.7 --account website@firma.example
    #[command(subcommand)]
    RelaySource(relay_source::Verb),
    /// Checks that all mail is there and intact. Changes nothing.
    ///
    /// Reads every message and every row: each reference must lead to bytes with the right
    /// checksum, each counter must be right, and the database must find no fault with itself. May
    /// run beside a serving node; it takes as long as reading all mail from disk.
    ///
    /// Prints a line of figures, then "All is well." with exit code 0, or a line per fault with
    /// exit code 1. Messages "referred to by no row" are no fault: they were deleted, and their
    /// space is taken back later.
    Verify,
    /// Writes a consistent copy of all mail, accounts and settings to a new folder.
    ///
    /// May run beside a serving node, which goes on taking mail. The copy holds rohrpost.sqlite,
    /// the folder segments, the settings file and installation.secret, which opens the DKIM keys in
    /// the rows: keep it as closed as the server. Certificates are not in it. Only its owner can
    /// read it. With exit code 1 the copy is not complete and must be removed.
    ///
    /// With PostgreSQL it is refused: use pg_dump or pg_basebackup for the rows and copy the folder
    /// segments and the file installation.secret of the data directory after it.
    ///
    /// Example: rohrpost backup /var/backups/rohrpost/2026-11-22
    Backup {
        /// The new folder; it must not exist, its parent must.
        dir: PathBuf,
    },
    /// Makes the data directory of --config from a backup.
    ///
    /// Stop the node first, and move an old data directory away: with data in it nothing is done
    /// and the exit code is 1. The settings file of the backup is not put in place. Run
    /// `rohrpost verify` afterwards. Message numbers (UIDs) jump ahead once, so that no mail
    /// program takes a new message for one it saw after the backup; passwords and UIDVALIDITY
    /// stay.
    ///
    /// With PostgreSQL use pg_restore, and copy the folder segments of the backup.
    ///
    /// Example: rohrpost --config /etc/rohrpost/rohrpost.toml restore /var/backups/rohrpost/2026-11-22
    Restore {
        /// The folder `rohrpost backup` wrote.
        dir: PathBuf,
    },
    /// Shows messages waiting for other servers, why each waits and when it is tried next; holds,
    /// releases, retries, reroutes, returns or cancels them.
    ///
    /// Prints nothing when nothing waits; the exit code is 0 either way. With --json times are
    /// milliseconds since 1970. Orders are for ids or for what filters mean and work beside a
    /// running node and without one.
    ///
    /// Examples: rohrpost queue --to-domain kunde.example
    ///           rohrpost queue --json | wc -l   (how many recipients wait)
    ///           rohrpost queue retry --to-domain kunde.example
    #[command(verbatim_doc_comment)]
    Queue(queue::Options),
    /// Tells where mail for a domain would go now, and what TLS would have to be like.
    ///
    /// Asks the DNS (with DNSSEC) and the MTA-STS policy host as delivery does, shows hosts, TLSA
    /// records and policies, and says for each host what is demanded and by whom. Sends nothing.
    ///
    /// Example: rohrpost route partner.example --from anna@firma.example
    Route(route::Options),
    /// Tells the story of a message: who brought it, every attempt, what came of it and why.
    ///
    /// Stories are kept for trace.kept, the addresses and names of clients in them for
    /// trace.addresses_kept; after that the story says that they are expired. That you looked is
    /// recorded: --views lists who looked at what. Where nothing is found the exit code is 1.
    ///
    /// Examples: rohrpost trace 00cn623p9t000
    ///           rohrpost trace anna@firma.example --since "2 h" --lang de
    ///           rohrpost trace "<20261122.1@firma.example>"
    #[command(verbatim_doc_comment)]
    Trace(trace::Options),
    /// Announces what is tightened, and sees it through: measures with dates, texts, rounds of letters.
    ///
    /// A rollout bundles measures (the lowest TLS version, the end of logins in clear, sender ownership,
    /// mandatory TLS), each with its own dates, for an audience. It is written as a file, looked at
    /// (preview, plan), announced (its page is public, the newsletter goes out), started (schedules are
    /// set in one step, letters go to whom it concerns, in rounds), and can be paused and rolled back.
    /// A letter names the mail program that was seen, what to do, by when, what happens otherwise and
    /// whom to call; nobody gets more than one a week.
    ///
    /// Examples: rohrpost rollout sample > tls.toml
    ///           rohrpost rollout create tls.toml
    ///           rohrpost rollout plan secure-connections
    ///           rohrpost rollout letters secure-connections --list
    #[command(subcommand, verbatim_doc_comment)]
    Rollout(rollout::Verb),
    /// Shows what others report about a hosted domain: DMARC and TLS.
    Reports(reports::Options),
    /// TLSA records for this server's own keys (DANE), and changing a key without a gap.
    ///
    /// A new key is made or put beside the served one, its record is published, and it is served no
    /// sooner than two TTLs after its record was seen in DNS.
    ///
    /// Examples: rohrpost tls records --host mx.example.org
    ///           rohrpost tls next mx
    ///           rohrpost tls rollover mx --host mx.example.org
    #[command(subcommand, verbatim_doc_comment)]
    Tls(tls::Verb),
    /// Tokens for programs that use the admin API over HTTPS.
    ///
    /// A token is shown once, when it is made; only its hash is kept. It has one role: operator, support,
    /// domain-admin (of the domains named) or user (of one account).
    ///
    /// Example: rohrpost token add --role domain-admin --domain firma.example --label "firma's portal"
    #[command(subcommand)]
    Token(token::TokenVerb),
    /// Who administers what on the pages and over the API, and what was changed there.
    ///
    /// Whoever has an account logs in with its address and password; without a grant it sees the own account only.
    ///
    /// Examples: rohrpost admin add anna@firma.example --role domain-admin --domain firma.example
    ///           rohrpost admin log --limit 20
    #[command(subcommand, verbatim_doc_comment)]
    Admin(token::AdminVerb),
    /// Asks the admin API of the running node, as its operator.
    ///
    /// Prints the answer. The exit code is 1 where the status is not 2xx. `rohrpost api GET /api/v1/openapi.json`
    /// says what there is.
    ///
    /// Examples: rohrpost api GET /api/v1/domains
    ///           rohrpost api PATCH /api/v1/domains/firma.example '{"contact": "anna@firma.example"}'
    #[command(verbatim_doc_comment)]
    Api(api::Options),
    /// What is known of mail programs and devices: how they show themselves, what TLS they speak, which
    /// guide helps. Entries of your own go before the built-in ones.
    ///
    /// Examples: rohrpost catalogue list
    ///           rohrpost catalogue show outlook > outlook.toml
    ///           rohrpost catalogue add outlook.toml --reason "our customers' build"
    #[command(subcommand, verbatim_doc_comment)]
    Catalogue(clients::Verb),
    /// Access for mail programs that can do no modern TLS: who has it, until when, and the emergency
    /// switch.
    ///
    /// The program rohrpost-legacy serves them, on addresses and names of its own; the setting
    /// legacy-access says until when and with what.
    ///
    /// Examples: rohrpost policy set installation legacy-access "until 2025-05-30 tls=1.0,1.1"
    ///           rohrpost legacy enrol anna@firma.example --reason "printer"
    ///           rohrpost legacy list --left
    ///           rohrpost legacy disable --tls 1.0,1.1 --now
    #[command(subcommand, verbatim_doc_comment)]
    Legacy(legacy::Verb),
    /// Makes a running node read its certificates again.
    ///
    /// Connections that are open stay. A file that cannot be used is reported, exit code 1, and
    /// what was served from it before is served on. Exit code 1, too, where no node runs.
    Reload,
    /// Moves the clock of a demo that was started with --clock; never of a real node.
    Clock(clock::Options),
    /// Prints a sample settings file or the reference, or checks the file of --config.
    Settings(settings::Options),
}

/// Carries out one command.
///
/// # Errors
/// A text for the person at the terminal.
pub(crate) fn run(arguments: Arguments) -> Result<(), String> {
    let config = arguments.config;
    match arguments.command {
        Command::Serve => serve::run(read_settings(&config)?),
        Command::Demo(options) => crate::demo::run(&options),
        Command::Directory(verb) => directory::command(&read_settings(&config)?, &verb),
        Command::Policy(verb) => policy::run(&read_settings(&config)?, &verb),
        Command::Rules(verb) => rules::run(&read_settings(&config)?, &verb),
        Command::RelaySource(verb) => relay_source::run(&read_settings(&config)?, verb),
        Command::Dkim(verb) => dkim::run(&read_settings(&config)?, &verb),
        Command::Verify => verify::run(&read_settings(&config)?),
        Command::Backup { dir } => backup::backup(&read_settings(&config)?, &config, &dir),
        Command::Restore { dir } => backup::restore(&read_settings(&config)?, &dir),
        Command::Queue(options) => queue::run(&read_settings(&config)?, &options),
        Command::Tls(verb) => tls::run(&read_settings(&config)?, &verb),
        Command::Rollout(verb) => rollout::run(&read_settings(&config)?, &verb),
        Command::Route(options) => route::run(&read_settings(&config)?, &options),
        Command::Trace(options) => trace::run(&read_settings(&config)?, &options),
        Command::Reports(options) => reports::run(&read_settings(&config)?, &options),
        Command::Token(verb) => token::run_token(&read_settings(&config)?, &verb),
        Command::Admin(verb) => token::run_admin(&read_settings(&config)?, &verb),
        Command::Api(options) => api::run(&read_settings(&config)?, &options),
        Command::Catalogue(verb) => clients::run(&read_settings(&config)?, &verb),
        // Wanted before there are settings.
        Command::Legacy(legacy::Verb::Settings) => {
            print(format_args!("{}", gateway_link::SAMPLE_SETTINGS));
            Ok(())
        }
        Command::Legacy(verb) => legacy::run(&read_settings(&config)?, &verb),
        Command::Reload => tell(&read_settings(&config)?, &crate::control::Request::Reload),
        Command::Clock(options) => clock::run(&read_settings(&config)?, &options),
        Command::Settings(options) => settings::run(&config, &options),
    }
}

fn read_settings(config: &Path) -> Result<Settings, String> {
    load(config).map_err(|problems| {
        let lines: Vec<_> = problems
            .iter()
            .map(|problem| format!("  {problem}"))
            .collect();
        format!("{} cannot be used:\n{}", config.display(), lines.join("\n"))
    })
}

/// Asks the running node for something and prints its answer.
fn tell(settings: &Settings, request: &crate::control::Request) -> Result<(), String> {
    match crate::control::ask(&settings.data_dir, request) {
        Ok(Some(answer)) if answer.ok => {
            say(format_args!("{}", answer.text));
            Ok(())
        }
        Ok(Some(answer)) => Err(answer.text),
        Ok(None) => Err(format!("no node runs on {}", settings.data_dir.display())),
        Err(error) => Err(format!("the node does not answer: {error}")),
    }
}

/// A small runtime for commands that ask the store a few things.
fn block_on<T>(future: impl std::future::Future<Output = T>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("starting failed: {error}"))?;
    Ok(runtime.block_on(future))
}

/// Prints a line.
fn say(line: std::fmt::Arguments<'_>) {
    print(format_args!("{line}\n"));
}

/// Prints text. Where the reader went away (`| head`), the program ends quietly.
fn print(text: std::fmt::Arguments<'_>) {
    use std::io::Write;
    if std::io::stdout().write_fmt(text).is_err() {
        std::process::exit(0);
    }
}
