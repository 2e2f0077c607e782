//! A file layer for SQLite that writes down what the database does to its disk, in the same log as
//! the segments, and fails what it is told to fail. It stands in front of SQLite's own Unix layer
//! and touches only files below the recorded directory; everything else passes by. Test code only.

use platform::files::recording::{FaultKind, Operation, OperationLog};
use rusqlite::ffi;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Mutex, Once, OnceLock};

/// The directory whose databases are recorded, and where.
static RECORDED: Mutex<Option<(PathBuf, OperationLog)>> = Mutex::new(None);
/// SQLite's own layer, as an address because raw pointers are not `Sync`.
static ORIGINAL: OnceLock<usize> = OnceLock::new();

/// From now on databases opened below `dir` write into `log`. Their syncs do not reach the real
/// disk: the log decides what is durable.
///
/// # Panics
/// Where SQLite refuses the layer.
pub fn record(dir: &Path, log: OperationLog) {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(register);
    *RECORDED.lock().unwrap_or_else(|e| e.into_inner()) = Some((dir.to_owned(), log));
}

fn register() {
    // SAFETY: a null name asks for the default layer, which lives as long as the process.
    let original = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
    assert!(!original.is_null(), "SQLite has a default file layer");
    let _ = ORIGINAL.set(original as usize);
    // SAFETY: `original` was just checked and is never changed after SQLite set it up.
    let mut layer = unsafe { ptr::read(original) };
    layer.pNext = ptr::null_mut();
    layer.zName = c"recorded".as_ptr();
    layer.szOsFile += c_int::try_from(size_of::<RecordedFile>()).expect("a small struct");
    layer.xOpen = Some(open);
    layer.xDelete = Some(delete);
    // SAFETY: the layer is leaked, so SQLite may keep the pointer; all its functions are those of
    // the original, which use nothing of the layer they are called with, or ours below.
    let outcome = unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(layer)), 1) };
    assert_eq!(outcome, ffi::SQLITE_OK, "SQLite takes the file layer");
}

fn original() -> *mut ffi::sqlite3_vfs {
    *ORIGINAL.get().expect("registered before any call") as *mut ffi::sqlite3_vfs
}

/// SQLite allocates `szOsFile` bytes for a file: this, and behind it the original layer's own.
#[repr(C, align(8))]
struct RecordedFile {
    base: ffi::sqlite3_file,
    about: *mut About,
}

struct About {
    path: PathBuf,
    log: OperationLog,
    /// SQLite's Unix layer syncs the directory with the first sync of a new journal or WAL.
    name_unsynced: bool,
}

/// The original layer's file behind ours.
///
/// # Safety
/// `file` was opened by `open` below, or is memory of `szOsFile` bytes given to it.
unsafe fn inner(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: `szOsFile` was enlarged by exactly this much.
    unsafe { file.cast::<RecordedFile>().add(1).cast() }
}

/// # Safety
/// `file` was opened by `open` below and not closed; SQLite uses one file on one thread at a time.
unsafe fn about<'a>(file: *mut ffi::sqlite3_file) -> &'a mut About {
    // SAFETY: `open` put a leaked box there.
    unsafe { &mut *(*file.cast::<RecordedFile>()).about }
}

unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    // SAFETY: SQLite gives names as C strings.
    let name = unsafe { CStr::from_ptr(name) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

fn recorded(path: &Path) -> Option<OperationLog> {
    let target = RECORDED.lock().unwrap_or_else(|e| e.into_inner());
    let (dir, log) = target.as_ref()?;
    path.starts_with(dir).then(|| log.clone())
}

unsafe extern "C" fn open(
    _layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let real = original();
    // SAFETY: `real` is the original layer; the arguments are SQLite's own, passed on unchanged.
    // The file behind ours has the size the original asked for.
    unsafe {
        let xopen = (*real).xOpen.expect("every layer opens files");
        let path = path_of(name);
        let Some((path, log)) = path.and_then(|path| recorded(&path).map(|log| (path, log))) else {
            return xopen(real, name, file, flags, out_flags);
        };
        let is_new = !path.exists();
        let outcome = xopen(real, name, inner(file), flags, out_flags);
        if outcome != ffi::SQLITE_OK {
            (*file).pMethods = ptr::null();
            return outcome;
        }
        if is_new {
            log.push(Operation::Create(path.clone()));
        }
        let journal = flags & (ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL) != 0;
        let about = Box::new(About {
            path,
            log,
            name_unsynced: is_new && journal,
        });
        let ours = file.cast::<RecordedFile>();
        (*ours).about = Box::into_raw(about);
        (*ours).base.pMethods = &raw const METHODS.0;
        outcome
    }
}

unsafe extern "C" fn delete(
    _layer: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_dir: c_int,
) -> c_int {
    let real = original();
    // SAFETY: as in `open`.
    unsafe {
        let xdelete = (*real).xDelete.expect("every layer removes files");
        let outcome = xdelete(real, name, sync_dir);
        if outcome == ffi::SQLITE_OK
            && let Some(path) = path_of(name)
            && let Some(log) = recorded(&path)
        {
            log.push(Operation::Unlink(path.clone()));
            if let (true, Some(dir)) = (sync_dir != 0, path.parent()) {
                log.push(Operation::SyncDir(dir.to_owned()));
            }
        }
        outcome
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once; the box was leaked by `open`.
    unsafe {
        let outcome = call_close(inner(file));
        drop(Box::from_raw((*file.cast::<RecordedFile>()).about));
        outcome
    }
}

unsafe fn call_close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: the original layer set `pMethods` when it opened the file.
    unsafe { (*(*file).pMethods).xClose.expect("a layer closes")(file) }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    size: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite gives `size` readable bytes.
    unsafe {
        let about = about(file);
        if about.log.admit(FaultKind::Write).is_err() {
            return ffi::SQLITE_IOERR_WRITE;
        }
        let real = inner(file);
        let xwrite = (*(*real).pMethods).xWrite.expect("a layer writes");
        let outcome = xwrite(real, bytes, size, offset);
        if outcome == ffi::SQLITE_OK {
            let size = usize::try_from(size).unwrap_or(0);
            let data = std::slice::from_raw_parts(bytes.cast::<u8>(), size);
            let offset = u64::try_from(offset).unwrap_or(0);
            about
                .log
                .push(Operation::Write(about.path.clone(), offset, data.into()));
        }
        outcome
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: ffi::sqlite3_int64) -> c_int {
    // SAFETY: as in `write`.
    unsafe {
        let real = inner(file);
        let outcome = (*(*real).pMethods).xTruncate.expect("a layer cuts")(real, size);
        if outcome == ffi::SQLITE_OK {
            let about = about(file);
            let size = u64::try_from(size).unwrap_or(0);
            about.log.push(Operation::SetLen(about.path.clone(), size));
        }
        outcome
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: as in `write`.
    let about = unsafe { about(file) };
    if about.log.admit(FaultKind::Sync).is_err() {
        about.log.push(Operation::SyncFailed(about.path.clone()));
        return ffi::SQLITE_IOERR_FSYNC;
    }
    about.log.push(Operation::Sync(about.path.clone()));
    if let (true, Some(dir)) = (about.name_unsynced, about.path.parent()) {
        about.log.push(Operation::SyncDir(dir.to_owned()));
        about.name_unsynced = false;
    }
    ffi::SQLITE_OK
}

/// Functions that only pass on to the original layer.
macro_rules! pass_on {
    ($($name:ident = $method:ident ( $($argument:ident : $type:ty),* ) -> $result:ty;)*) => {
        $(unsafe extern "C" fn $name(
            file: *mut ffi::sqlite3_file,
            $($argument: $type),*
        ) -> $result {
            // SAFETY: the original layer's file lies behind ours and knows its own methods; the
            // arguments are SQLite's own.
            unsafe {
                let real = inner(file);
                (*(*real).pMethods).$method.expect("the original layer has it")(real, $($argument),*)
            }
        })*
    };
}

pass_on! {
    read = xRead(into: *mut c_void, size: c_int, offset: ffi::sqlite3_int64) -> c_int;
    file_size = xFileSize(size: *mut ffi::sqlite3_int64) -> c_int;
    lock = xLock(level: c_int) -> c_int;
    unlock = xUnlock(level: c_int) -> c_int;
    check_reserved_lock = xCheckReservedLock(out: *mut c_int) -> c_int;
    file_control = xFileControl(operation: c_int, argument: *mut c_void) -> c_int;
    sector_size = xSectorSize() -> c_int;
    device_characteristics = xDeviceCharacteristics() -> c_int;
    shm_map = xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int;
    shm_lock = xShmLock(offset: c_int, n: c_int, flags: c_int) -> c_int;
    shm_barrier = xShmBarrier() -> ();
    shm_unmap = xShmUnmap(remove: c_int) -> c_int;
}

struct Methods(ffi::sqlite3_io_methods);

// SAFETY: a table of functions that is never changed.
unsafe impl Sync for Methods {}

/// Version 2 has no memory-mapped reads, which a recorded file does not need.
static METHODS: Methods = Methods(ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
});
