//! What a run leaves behind on the host: nothing, however often there is one.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use testing::{Guest, kernel, patiently};

use crate::MINIMAL;

/// A user that nothing else runs as, so that all that is this user's is of
/// these runs.
const USER: u32 = 54_321;

/// How many runs if `KILN_RUNS` does not say.
const RUNS: usize = 25;

/// Where any user may make files.
const PUBLIC: [&str; 5] = ["/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock"];

#[test]
fn many_runs_leave_nothing_behind() {
    if !testing::in_lab() {
        // It takes root to be another user.
        return;
    }
    let runs = std::env::var("KILN_RUNS").map_or(RUNS, |runs| runs.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let folder = folder.path();
    patiently(|| {
        // What is there while one runs is seen.
        let mut running = command(folder, "cat").stdin_pipe().spawn();
        running.write("up\n").wait_for("up");
        let process = PathBuf::from(format!("/proc/{}", running.pid()));
        assert_eq!(leftovers(folder), [process]);
        running.close_stdin();
        assert_eq!(running.wait().status, 0);
    });
    for run in 0..runs {
        // One at a time: each has the same chance to hang in the lab.
        patiently(|| {
            let outcome = command(folder, "true").run();
            assert_eq!(leftovers(folder), Vec::<PathBuf>::new(), "run {run}: {outcome}");
            assert!(outcome.status == 0 && outcome.stderr.is_empty(), "run {run}: {outcome}");
        });
    }
}

/// Kiln with a command, as the user.
fn command(folder: &Path, name: &str) -> Guest {
    let guest = Guest::running(&kernel(MINIMAL), &[name]).user(USER).directory(folder);
    // One that hangs has to be as tidy.
    let guest = guest.arg("--timeout").arg("2m");
    let folder = folder.to_str().unwrap();
    ["HOME", "TMPDIR", "XDG_RUNTIME_DIR"].iter().fold(guest, |guest, name| guest.env(name, folder))
}

/// The user's processes, as folders of /proc, and files. Sockets and locks are
/// either a file or end with the process that has them.
fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let mut public: Vec<_> = PUBLIC.iter().map(Path::new).collect();
    public.push(Path::new("/proc"));
    let mine = public.into_iter().flat_map(entries).filter(|entry| {
        // Of other tests, some are gone by now.
        entry.metadata().is_ok_and(|metadata| metadata.uid() == USER)
    });
    entries(folder).chain(mine).map(|entry| entry.path()).collect()
}
