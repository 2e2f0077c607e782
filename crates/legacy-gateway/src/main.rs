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
/// Descriptors for other things than clients: listeners, and for each a client that waits for a place.
const OTHER_DESCRIPTORS: u64 = 200;

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
    let connections_max = connections_max(settings.connections_max)?;
    let shared = Arc::new(Shared {
        contexts,
        versions: settings.versions(),
        handshake_time_max: settings.handshake_time_max(),
        stall_time_max: session::STALL_TIME_MAX,
        places: Arc::new(Semaphore::new(connections_max)),
        socket: settings.socket.clone(),
        allowed: watch::Sender::new(control::NOTHING),
        tally: tally::Tally::default(),
    });
    let parent = match arguments.with_parent {
        true => Some(standard_input(&runtime).map_err(|error| error.to_string())?),
        false => None,
    };
    sandbox::become_user(settings.user.as_deref())?;
    let files = sandbox::close(descriptors_for(connections_max))?;
    if arguments.self_test {
        let (lines, all) = sandbox::self_test();
        println!("{}", lines.join("\n"));
        return Ok(ExitCode::from(u8::from(!all)));
    }
    tracing::info!(library = openssl::version::version(), landlock = ?files, "gateway.ready");
    runtime.block_on(async {
        tokio::select! {
            () = serve(shared, doors) => {}
            () = parent_ended(parent) => {}
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// A client is two connections.
fn descriptors_for(connections: usize) -> u64 {
    connections as u64 * 2 + OTHER_DESCRIPTORS
}

/// As many clients as the system lets this process have descriptors for, at most `wished`.
fn connections_max(wished: usize) -> Result<usize, String> {
    let allowed = sandbox::descriptors_max().map_err(|error| error.to_string())?;
    let clients = allowed.saturating_sub(OTHER_DESCRIPTORS) / 2;
    let possible = usize::try_from(clients).unwrap_or(wished).min(wished);
    if possible == 0 {
        return Err(format!(
            "the system allows only {allowed} open files, too few for a single client; raise LimitNOFILE"
        ));
    }
    if possible < wished {
        tracing::warn!(
            connections_max = possible,
            "the system allows fewer open files than connections_max needs; raise LimitNOFILE"
        );
    }
    Ok(possible)
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

async fn serve(shared: Arc<Shared>, doors: Vec<(StdTcpListener, Door)>) {
    let names = doors.iter().map(|(_, door)| *door).collect();
    for (socket, door) in doors {
        match TcpListener::from_std(socket) {
            Ok(socket) => {
                tokio::spawn(accept(shared.clone(), socket, door));
            }
            Err(error) => tracing::error!(%error, address = %door.local, "listener.failed"),
        }
    }
    control::run(shared, names).await;
}

async fn accept(shared: Arc<Shared>, socket: TcpListener, door: Door) {
    loop {
        let accepted = socket.accept().await;
        // Past the limit the one that came last waits here, the others in the kernel.
        let Ok(place) = shared.places.clone().acquire_owned().await else {
            return;
        };
        match accepted {
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
