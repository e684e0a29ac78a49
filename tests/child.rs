//! Other processes for tests: this binary again, told by an environment variable to run one small job.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use starquake::database::{Database, Options, Output, Session};
use starquake::error::{Result, Source};
use starquake::model::table::{Batch, Schema};
use starquake::progress::Progress;

/// The variable that tells the job.
pub const JOB: &str = "STARQUAKE_TEST_JOB";

/// The job of this process; `None` where it is a test run.
pub fn job() -> Option<Vec<String>> {
    std::env::var(JOB).ok().map(|job| job.split('\n').map(str::to_owned).collect())
}

/// Starts this binary with the one test `test`, which does the job.
pub fn start(test: &str, job: &[&str]) -> Child {
    let exe = std::env::current_exe().expect("this binary");
    Command::new(exe)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(JOB, job.join("\n"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child process")
}

/// Waits for a child that must succeed.
pub fn finish(child: Child) {
    let output = child.wait_with_output().expect("an end");
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// Takes no rows.
struct Nothing;

impl Output for Nothing {
    fn begin(&mut self, _: &Schema) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, _: &Batch) -> Result<()> {
        Ok(())
    }
}

/// Runs a statement on a database and forgets its rows.
pub fn execute(database: &Path, statement: &str, progress: &dyn Progress) -> Result<()> {
    let database = Database::open(database, Options::default())?;
    let source = Source { name: "child.sq".to_owned(), text: statement.to_owned() };
    database.script(&mut Session::default(), &source, (&mut Nothing, progress)).map(|_| ())
}
