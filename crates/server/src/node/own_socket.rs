//! A Unix socket that only the node's own user can open, from its first moment on. Called for the API's socket and the
//! control socket, by the node that holds the data directory's lock.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tokio::net::UnixListener;

/// Binds the socket `name` in `data_dir`; replaces one that a crash left behind. It is made in the folder of temporary
/// files, which nobody else may enter, because a socket has the rights of the umask until it is given others.
///
/// # Errors
/// Where it cannot be bound or moved.
pub(crate) fn bind(data_dir: &Path, name: &str) -> io::Result<UnixListener> {
    let made = data_dir.join("tmp").join(name);
    if let Err(error) = std::fs::remove_file(&made)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let listener = UnixListener::bind(&made)?;
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&made, data_dir.join(name))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_our_own_and_replaces_what_was_left() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        let other = folder.path().join("other");
        std::fs::write(&other, "x").unwrap();
        std::os::unix::fs::symlink(&other, folder.path().join("api.sock")).unwrap();
        for _ in 0..2 {
            let _listener = bind(folder.path(), "api.sock").unwrap();
            let path = folder.path().join("api.sock");
            let facts = std::fs::symlink_metadata(&path).unwrap();
            assert_eq!(facts.permissions().mode() & 0o777, 0o600);
            std::os::unix::net::UnixStream::connect(&path).unwrap();
        }
        assert_eq!(std::fs::read_to_string(other).unwrap(), "x");
    }
}
