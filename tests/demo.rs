//! `starquake demo`, run as a program.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

fn starquake(arguments: &[&str], dir: &Path) -> io::Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starquake"));
    command.args(arguments).current_dir(dir).output()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the demo printed, and the directory that it made, once for all tests: below `target`, where the next run
/// replaces it.
fn made() -> &'static (PathBuf, Output) {
    static MADE: OnceLock<(PathBuf, Output)> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo");
        std::fs::create_dir_all(&dir).expect("a directory");
        let output = starquake(&["demo", "world"], &dir).expect("it starts");
        (dir, output)
    })
}

/// The directory of the demo.
pub fn world() -> &'static Path {
    static WORLD: OnceLock<PathBuf> = OnceLock::new();
    WORLD.get_or_init(|| made().0.join("world"))
}

/// Everything planted is found; the query file that is left there runs again, and reads no file twice.
#[test]
fn the_demonstration_finds_what_it_planted() {
    let (dir, made) = made();
    let (out, err) = (text(&made.stdout), text(&made.stderr));
    assert!(made.status.success(), "{out}\n{err}");
    let found = [
        "✓ archive: 2 of 2 damaged files named, 1 of 1 gap found",
        "✓ differential times:",
        "✓ partners within 3 arcsec: 70,000 of 70,000 found, 0 wrong",
        "✓ sources without partner: 30,000 of 30,000 found, 0 wrong",
        "✓ fading sources: 50 of 50 found, 0 wrong",
        "✓ scattering sources: 30 of 30 found, 0 wrong",
    ];
    for line in found {
        assert!(out.contains(line), "`{line}` is missing in:\n{out}\n{err}");
    }
    let dt_cc = std::fs::read(dir.join("world/out/dt.cc")).expect("dt.cc");

    let again = starquake(&["world/demo.sqk", "query", "-f", "world/demo.sq"], dir).expect("it starts");
    let err = text(&again.stderr);
    assert!(again.status.success(), "{err}");
    assert!(err.contains("0 files opened, 73 unchanged"), "{err}");
    assert_eq!(std::fs::read(dir.join("world/out/dt.cc")).expect("dt.cc"), dt_cc);
}

/// A directory that is no demonstration is left as it is.
#[test]
fn nothing_of_others_is_replaced() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("mine.txt"), "mine").expect("a file");
    let refused = starquake(&["demo", "."], dir.path()).expect("it starts");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("no demonstration"), "{}", text(&refused.stderr));
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 1);
}
