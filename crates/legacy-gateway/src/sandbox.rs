//! What the process gives up once everything is open: other users' rights, files (Landlock, where the kernel has it),
//! new programs, threads and new sockets but Unix ones (seccomp). A client that breaks OpenSSL gets a process that
//! can talk to clients and to Unix sockets its user may open, of which the core's should be the only one. Connecting
//! a client's socket anew elsewhere is prevented by Landlock only, from Linux 6.7 on.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus,
};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Uid, User};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use std::collections::BTreeMap;
use std::ffi::CString;

/// Becomes `user` for good, where this is root.
///
/// # Errors
/// A sentence for the operator.
pub(crate) fn become_user(user: Option<&str>) -> Result<(), String> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    let Some(name) = user else {
        return Err("started as root, the gateway needs `user` in its settings".to_owned());
    };
    let user = User::from_name(name)
        .map_err(|error| format!("user {name}: {error}"))?
        .ok_or_else(|| {
            format!("there is no user {name}; make one, as `adduser --system {name}`")
        })?;
    if user.uid.is_root() {
        return Err("the gateway must not stay root; name another user".to_owned());
    }
    let failed = |error: nix::Error| format!("becoming {name}: {error}");
    let c_name = CString::new(name).map_err(|error| error.to_string())?;
    nix::unistd::initgroups(&c_name, user.gid).map_err(failed)?;
    nix::unistd::setresgid(user.gid, user.gid, user.gid).map_err(failed)?;
    nix::unistd::setresuid(user.uid, user.uid, user.uid).map_err(failed)
}

/// Closes the sandbox around this thread, which must be the only one. `descriptors_max` is what connections need.
/// Returns whether the kernel keeps files away, too.
///
/// # Errors
/// A sentence for the operator; the gateway must not go on then.
pub(crate) fn close(descriptors_max: u64) -> Result<RulesetStatus, String> {
    limits(descriptors_max).map_err(|error| format!("limits of the process: {error}"))?;
    // Sets no_new_privs, too.
    let files = no_files().map_err(|error| format!("Landlock: {error}"))?;
    nix::sys::prctl::set_no_new_privs().map_err(|error| format!("no_new_privs: {error}"))?;
    nix::sys::prctl::set_dumpable(false).map_err(|error| format!("dumpable: {error}"))?;
    let filter = filter().map_err(|error| format!("seccomp: {error}"))?;
    seccompiler::apply_filter(&filter).map_err(|error| format!("seccomp: {error}"))?;
    Ok(files)
}

/// How many descriptors this process may have at most.
///
/// # Errors
/// Where the system does not say.
pub(crate) fn descriptors_max() -> nix::Result<u64> {
    nix::sys::resource::getrlimit(Resource::RLIMIT_NOFILE).map(|(_, hard)| hard)
}

fn limits(descriptors_max: u64) -> nix::Result<()> {
    let (_, hard) = nix::sys::resource::getrlimit(Resource::RLIMIT_NOFILE)?;
    let descriptors = descriptors_max.min(hard);
    setrlimit(Resource::RLIMIT_NOFILE, descriptors, descriptors)?;
    // A dump would hold the key.
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
}

/// No file may be opened and no port be bound or connected to.
fn no_files() -> Result<RulesetStatus, landlock::RulesetError> {
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V5))?
        .create()?;
    Ok(rules.restrict_self()?.ruleset)
}

/// Calls that a running gateway makes whatever their arguments. Everything else fails with EPERM.
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_accept4,
    // Only a Unix socket can be made; for the sockets of clients see the module's text.
    libc::SYS_connect,
    libc::SYS_shutdown,
    libc::SYS_close,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_fcntl,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_futex,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_sched_yield,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    for call in [libc::SYS_epoll_wait, libc::SYS_poll, libc::SYS_time] {
        rules.insert(call, Vec::new());
    }
    // socket(AF_UNIX, ...)
    let unix = equals(0, libc::AF_UNIX as u64)?;
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(vec![unix])?]);
    // Memory, but never memory that can be executed.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let data_only = SeccompCondition::new(
            2,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64),
            0,
        )?;
        rules.insert(call, vec![SeccompRule::new(vec![data_only])?]);
    }
    // Non-blocking mode.
    let mode = equals(1, libc::FIONBIO)?;
    rules.insert(libc::SYS_ioctl, vec![SeccompRule::new(vec![mode])?]);
    // OpenSSL stops the process by a signal to itself at most; to others none can be sent.
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?;
    filter.try_into()
}

fn equals(argument: u8, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

/// What must fail in here, tried: gives a line for each, and whether all did.
pub(crate) fn self_test() -> (Vec<String>, bool) {
    let tries: [(&str, std::io::Result<()>); 6] = [
        (
            "open /etc/passwd",
            std::fs::File::open("/etc/passwd").map(drop),
        ),
        (
            "write a file",
            std::fs::write("/tmp/rohrpost-legacy-self-test", "x"),
        ),
        ("list /", std::fs::read_dir("/").map(drop)),
        ("connect to a host", {
            std::net::TcpStream::connect(("127.0.0.1", 9)).map(drop)
        }),
        (
            "run a program",
            std::process::Command::new("/bin/true").status().map(drop),
        ),
        (
            "start a thread",
            std::thread::Builder::new().spawn(|| ()).map(drop),
        ),
    ];
    let mut all = true;
    let lines = tries.into_iter().map(|(what, outcome)| match outcome {
        // A closed port would answer "connection refused": that is a connection attempt.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            format!("refused: {what}")
        }
        outcome => {
            all = false;
            format!("POSSIBLE: {what} ({outcome:?})")
        }
    });
    (lines.collect(), all)
}
