//! The program `rohrpost-legacy`: does the TLS that the mail server refuses to do (1.0 and 1.1), in a process of its
//! own with a key, a user and addresses of its own, and passes plain bytes on to `rohrpost serve`. Holds no mail,
//! no accounts and no rules. Absent where nobody wants it.

mod control;
mod groups;
mod link;
mod recorder;
mod sandbox;
mod session;
mod settings;
mod tally;
mod tls;

use clap::Parser;
use gateway_link::{Door, Waiting};
use session::Shared;
use settings::Settings;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::net::unix::pipe;
use tokio::sync::{Semaphore, watch};

/// How many connections may wait in the kernel to be accepted.
const BACKLOG: i32 = 256;
/// Pause after no connection could be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Descriptors for other things than clients.
const OTHER_DESCRIPTORS: u64 = 100;

/// The gateway for mail programs that can do no TLS better than 1.0 or 1.1.
///
/// It binds its ports, reads its certificate and key, becomes its own user, gives up files, programs and
/// outgoing connections, and passes what clients say on to `rohrpost serve` over a Unix socket. Who may
/// come in, until when and with which versions is decided there (`rohrpost legacy status`); without that
/// connection nobody is served. Certificate and settings are read at the start only.
///
/// It logs to standard error. Exit code 1: it could not start, and says why.
#[derive(Parser)]
#[command(name = "rohrpost-legacy", version)]
struct Arguments {
    /// The settings file; `rohrpost legacy settings` prints a sample.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "/etc/rohrpost-legacy/legacy.toml"
    )]
    config: PathBuf,
    /// Only checks the settings and says so.
    #[arg(long)]
    check: bool,
    /// Closes the sandbox and tries what must fail in it.
    #[arg(long, hide = true)]
    self_test: bool,
    /// Writes the addresses that were bound, a line each, to standard output.
    #[arg(long, hide = true)]
    print_addresses: bool,
    /// Ends when standard input ends.
    #[arg(long, hide = true)]
    with_parent: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("rohrpost-legacy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let settings = Settings::read(&arguments.config)?;
    let contexts = tls::Contexts::new(&settings)?;
    if arguments.check {
        println!("{} can be used.", arguments.config.display());
        return Ok(ExitCode::SUCCESS);
    }
    let mut doors = Vec::new();
    for door in settings.doors() {
        let socket = bind(door.local).map_err(|error| format!("{}: {error}", door.local))?;
        let local = socket.local_addr().map_err(|error| error.to_string())?;
        doors.push((socket, Door { local, ..door }));
    }
    if arguments.print_addresses {
        for (_, door) in &doors {
            println!("{:?} {:?} {}", door.protocol, door.mode, door.local);
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let shared = Arc::new(Shared {
        contexts,
        versions: settings.versions(),
        handshake_time_max: settings.handshake_time_max(),
        socket: settings.socket.clone(),
        allowed: watch::Sender::new(control::NOTHING),
        tally: tally::Tally::default(),
    });
    let parent = match arguments.with_parent {
        true => Some(standard_input(&runtime).map_err(|error| error.to_string())?),
        false => None,
    };
    sandbox::become_user(settings.user.as_deref())?;
    // A client is two connections.
    let descriptors = settings.connections_max as u64 * 2 + OTHER_DESCRIPTORS;
    let files = sandbox::close(descriptors)?;
    if arguments.self_test {
        let (lines, all) = sandbox::self_test();
        println!("{}", lines.join("\n"));
        return Ok(ExitCode::from(u8::from(!all)));
    }
    tracing::info!(library = openssl::version::version(), landlock = ?files, "gateway.ready");
    runtime.block_on(async {
        let serving = serve(shared, doors, settings.connections_max);
        tokio::select! {
            () = serving => {}
            () = parent_ended(parent) => {}
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// Standard input, a pipe from whoever started this.
fn standard_input(runtime: &tokio::runtime::Runtime) -> std::io::Result<pipe::Receiver> {
    let _here = runtime.enter();
    let input = std::io::stdin().as_fd().try_clone_to_owned()?;
    pipe::Receiver::from_owned_fd(input)
}

/// Returns when `parent` ends; never where there is none.
async fn parent_ended(parent: Option<pipe::Receiver>) {
    let Some(mut parent) = parent else {
        return std::future::pending().await;
    };
    let mut space = [0; 64];
    while matches!(parent.read(&mut space).await, Ok(bytes) if bytes > 0) {}
}

fn bind(address: SocketAddr) -> std::io::Result<StdTcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

async fn serve(shared: Arc<Shared>, doors: Vec<(StdTcpListener, Door)>, connections_max: usize) {
    let names = doors.iter().map(|(_, door)| *door).collect();
    let places = Arc::new(Semaphore::new(connections_max));
    for (socket, door) in doors {
        match TcpListener::from_std(socket) {
            Ok(socket) => {
                let (shared, places) = (shared.clone(), places.clone());
                tokio::spawn(accept(shared, socket, door, places));
            }
            Err(error) => tracing::error!(%error, address = %door.local, "listener.failed"),
        }
    }
    control::run(shared, names).await;
}

async fn accept(shared: Arc<Shared>, socket: TcpListener, door: Door, places: Arc<Semaphore>) {
    loop {
        // Past the limit clients wait in the kernel.
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        match socket.accept().await {
            Ok((client, peer)) => {
                let _ = client.set_nodelay(true);
                let local = client.local_addr().unwrap_or(door.local);
                let waiting = Waiting {
                    door: Door { local, ..door },
                    peer,
                };
                let shared = shared.clone();
                tokio::spawn(async move {
                    session::serve(shared, client, waiting).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "client.not_accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
