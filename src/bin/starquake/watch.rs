//! `watch`: REFRESH of what has changed, again and again. The writer's lock is held only while something is brought
//! in; looking for changes takes none.

use std::collections::HashMap;
use std::io::Write;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow_array::cast::AsArray;
use starquake::database::{Database, Outcome, Output, Session};
use starquake::error::{Error, Result, Source};
use starquake::lang::parse;
use starquake::model::table::{Batch, Schema};
use starquake::model::time::Time;
use starquake::progress::Silent;

use crate::args::{Arguments, WatchArgs};
use crate::output::{Stdout, is_reader_gone};
use crate::run::NoRows;
use crate::statement::name_of;
use crate::style::{Streams, one_line};
use crate::{exit, open, signal};

/// Longest time without a commit that tells that all is as it was.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// How often Ctrl-C is looked for between two rounds.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// A file that was modified within this time is read again later.
const UNSURE: Duration = Duration::from_secs(2);

/// Looks again and again. The exit code.
pub(crate) fn run(watch: &WatchArgs, arguments: &Arguments, streams: Streams) -> u8 {
    if arguments.common.print_query {
        let text = match watch.names.as_slice() {
            [] => "REFRESH".to_owned(),
            names => names.iter().map(|n| refresh_of(n)).collect::<Vec<_>>().join(";\n"),
        };
        return crate::print(format!("{text}\n").as_bytes());
    }
    let database = match open(arguments, false) {
        Ok(Ok(database)) => database,
        Ok(Err(code)) => return code,
        Err(message) => return exit::usage(&message, streams.stderr_color),
    };
    signal::install(database.cancel(), false);
    let mut watcher = Watcher {
        database: &database,
        session: Session::default(),
        is_quiet: arguments.common.quiet,
        color: streams.stderr_color,
        sources: HashMap::new(),
    };
    match watcher.rounds(watch) {
        Ok(code) if code == exit::UNREADABLE && arguments.common.strict => exit::FAILED,
        Ok(code) => code,
        Err(error) => {
            exit::tell(&error, None, None, streams.stderr_color);
            exit::code_of(&error)
        }
    }
}

fn refresh_of(name: &str) -> String {
    format!("REFRESH {}", name_of(name))
}

/// What is known of a source from the rounds before.
#[derive(Default)]
struct State {
    /// What was told last that went wrong.
    error: Option<(String, u8)>,
    unreadable: u64,
    /// When it was refreshed last.
    refreshed: Option<Instant>,
}

struct Watcher<'a> {
    database: &'a Database,
    session: Session,
    is_quiet: bool,
    color: bool,
    sources: HashMap<String, State>,
}

impl Watcher<'_> {
    /// Ends after the last round, or by an error that another round does not mend.
    fn rounds(&mut self, watch: &WatchArgs) -> Result<u8> {
        let mut round = 0;
        loop {
            let start = Instant::now();
            let names = if watch.names.is_empty() { self.names()? } else { watch.names.clone() };
            if names.is_empty() && round == 0 {
                exit::say("note: there is no source of waveforms yet");
            }
            self.sources.retain(|name, _| names.contains(name));
            for name in &names {
                let looked = self.look(name);
                self.tell(name, looked)?;
            }
            round += 1;
            if watch.rounds.is_some_and(|rounds| round >= rounds) {
                return Ok(self.code());
            }
            while start.elapsed() < watch.every {
                self.database.cancel().check()?;
                sleep(ASK_EVERY.min(watch.every.saturating_sub(start.elapsed())));
            }
            self.database.cancel().check()?;
        }
    }

    fn code(&self) -> u8 {
        match self.sources.values().find_map(|s| s.error.as_ref()) {
            Some((_, code)) => *code,
            None if self.sources.values().any(|s| s.unreadable > 0) => exit::UNREADABLE,
            None => exit::DONE,
        }
    }

    fn statement(&mut self, text: String, output: &mut dyn Output) -> Result<Outcome> {
        let statement = parse::statement("<watch>", &text)?;
        let source = Source { name: "<watch>".to_owned(), text };
        self.database.run(&mut self.session, &statement, &source, (output, &Silent))
    }

    /// All sources of waveforms.
    fn names(&mut self) -> Result<Vec<String>> {
        let mut names = Names::default();
        self.statement(
            "SELECT name FROM sources WHERE kind = 'waveforms' ORDER BY name".to_owned(),
            &mut names,
        )?;
        Ok(names.0)
    }

    /// One round of one source: what was done, if something was to be done.
    fn look(&mut self, name: &str) -> Result<Option<Outcome>> {
        let mut changes = Changes::default();
        self.statement(format!("SHOW CHANGES {}", name_of(name)), &mut changes)?;
        let state = self.sources.entry(name.to_owned()).or_default();
        let is_told = state.refreshed.is_some_and(|at| at.elapsed() < TOLD_EVERY);
        if !changes.is_due && is_told {
            return Ok(None);
        }
        let outcome = self.statement(refresh_of(name), &mut NoRows)?;
        let state = self.sources.entry(name.to_owned()).or_default();
        state.refreshed = Some(Instant::now());
        state.unreadable = outcome.unreadable;
        Ok(changes.is_news.then_some(outcome))
    }

    /// A line for what was done; an error once, until it is another one. Errors that stay: Ctrl-C, a reader that has
    /// gone, a name that is none.
    fn tell(&mut self, name: &str, looked: Result<Option<Outcome>>) -> Result<()> {
        let state = self.sources.entry(name.to_owned()).or_default();
        match looked {
            Ok(outcome) => {
                let was_wrong = state.error.take().is_some();
                if self.is_quiet {
                    return Ok(());
                }
                if was_wrong {
                    write_line(&format!("`{name}`: all right again"))?;
                }
                let message = outcome.and_then(|o| o.message);
                message.map_or(Ok(()), |m| write_line(&m))
            }
            Err(error @ (Error::Interrupted | Error::Version { .. } | Error::Damaged { .. })) => Err(error),
            Err(error @ Error::Query(_)) if state.refreshed.is_none() && !is_of_root(&error) => Err(error),
            Err(error) => {
                let text = error.to_string();
                let is_new = state.error.as_ref().is_none_or(|(old, _)| *old != text);
                state.error = Some((text, exit::code_of(&error)));
                if is_new {
                    exit::tell(&error, None, None, self.color);
                }
                Ok(())
            }
        }
    }
}

/// Does an error speak of the root of a source, which may come back?
fn is_of_root(error: &Error) -> bool {
    error.to_string().contains("the root of ")
}

/// `12:00:01 text` on standard output.
fn write_line(text: &str) -> Result<()> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Time(i64::try_from(since_1970.as_secs()).unwrap_or(0).saturating_mul(1_000_000_000));
    let written = writeln!(Stdout, "{now} {}", one_line(text)).and_then(|()| Stdout.flush());
    match written {
        Err(_) if is_reader_gone() => Err(Error::Interrupted),
        other => other.map_err(|e| Error::io("write to", "standard output", e)),
    }
}

/// The first column of an answer.
#[derive(Default)]
struct Names(Vec<String>);

impl Output for Names {
    fn begin(&mut self, _: &Schema) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<()> {
        self.0.extend(batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
        Ok(())
    }
}

/// What of SHOW CHANGES a round needs.
#[derive(Default)]
struct Changes {
    /// Something is to be done now. A file that is only too young to be sure of waits until it no longer is.
    is_due: bool,
    /// Something is there that was not told before.
    is_news: bool,
}

impl Output for Changes {
    fn begin(&mut self, _: &Schema) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<()> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let settled = Time(i64::try_from(since_1970.saturating_sub(UNSURE).as_nanos()).unwrap_or(i64::MAX));
        let (kinds, times) = (batch.column(1).as_string::<i32>(), batch.column(4).as_string::<i32>());
        for (kind, time) in kinds.iter().zip(times) {
            let is_news = kind != Some("again");
            let is_young = time.and_then(|t| Time::parse(t).ok()).is_some_and(|t| t > settled);
            self.is_news |= is_news;
            self.is_due |= is_news || !is_young;
        }
        Ok(())
    }
}
