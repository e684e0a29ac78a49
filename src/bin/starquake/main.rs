//! The command line of Starquake. Rows go to standard output, everything else to standard error.

mod args;
mod bench;
mod bulk;
mod check;
mod command;
mod demo;
mod exit;
mod help;
mod man;
mod output;
mod pager;
mod place;
mod progress;
mod prompt;
mod render;
mod run;
mod script;
mod shells;
mod signal;
mod statement;
mod style;
mod values;
mod watch;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use starquake::database::{Database, Options};
use starquake::error::{Error, Source};
use starquake::lang::parse;
use starquake::lang::syntax::{Statement, StatementKind};

use crate::args::{Arguments, CheckArgs, Command, Common, QueryArgs, Rows};
use crate::output::{Stdout, Target};
use crate::run::{Manner, Runner, has_rows};
use crate::style::Streams;

fn main() -> ExitCode {
    let arguments = Arguments::parse_from(std::env::args_os().map(told_from_options));
    let streams = Streams::new(arguments.common.color);
    // The prompt draws on standard output, which is for data where it is no terminal.
    let is_prompt =
        std::io::stdin().is_terminal() && streams.is_stdout_terminal && !arguments.common.print_query;
    if let Some(threads) = arguments.common.threads {
        // Fails when a pool is there already, and none is.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build_global();
    }
    let code = match &arguments.command {
        Some(Command::Demo(options)) => return demo::run(options, &arguments.common, streams),
        Some(Command::Bench(options)) => return bench::run(options, &arguments.common, streams),
        Some(Command::Completions { shell }) => print(&shells::completions(*shell)),
        Some(Command::Man) => print(man::page().as_bytes()),
        Some(Command::Help { topic }) => {
            let topic = topic.join(" ");
            match help::topic((!topic.is_empty()).then_some(topic.as_str())) {
                Ok(text) => print(text.as_bytes()),
                Err(message) => exit::usage(&message, streams.stderr_color),
            }
        }
        Some(Command::Check(check)) => run_check(check, &arguments, streams),
        Some(Command::Watch(watch)) => watch::run(watch, &arguments, streams),
        Some(Command::Query(query)) => run_query(query, &arguments, streams),
        Some(command) => run_command(command, &arguments, streams),
        None if is_prompt => run_prompt(&arguments, streams),
        None => {
            let rows = arguments.rows.clone();
            run_source(script::from_file(Path::new("-")), rows, &arguments, streams)
        }
    };
    ExitCode::from(code)
}

/// A query may begin with a comment: a blank before it tells it from an option.
fn told_from_options(argument: OsString) -> OsString {
    let after = argument.to_str().and_then(|text| text.strip_prefix("--")).unwrap_or("");
    let is_comment = !after.is_empty() && !after.starts_with(|c: char| c.is_ascii_alphanumeric());
    if is_comment { OsString::from(format!(" --{after}")) } else { argument }
}

/// Text to standard output.
fn print(text: &[u8]) -> u8 {
    match Stdout.write_all(text).and_then(|()| Stdout.flush()) {
        Ok(()) => exit::DONE,
        Err(_) if output::is_reader_gone() => exit::READER_GONE,
        Err(e) => {
            exit::usage(&format!("cannot write to standard output: {e}"), false);
            exit::FAILED
        }
    }
}

/// Rows before and behind the command.
fn rows_of(command: &Command, arguments: &Arguments) -> Rows {
    let before = arguments.rows.clone();
    match command {
        Command::Status(a) => a.rows.clone().or(before),
        Command::Refresh(a) => a.rows.clone().or(before),
        Command::Gaps(a) => a.rows.clone().or(before),
        Command::Coverage(a) => a.rows.clone().or(before),
        Command::Files(a) => a.rows.clone().or(before),
        _ => before,
    }
}

fn run_query(query: &QueryArgs, arguments: &Arguments, streams: Streams) -> u8 {
    let rows = query.rows.clone().or(arguments.rows.clone());
    let source = match (&query.text, &query.file) {
        (Some(text), _) if text != "-" => Ok(script::from_argument(text)),
        (_, Some(file)) => script::from_file(file),
        (None, None) if std::io::stdin().is_terminal() => {
            return exit::usage(
                "which query? Write its text, -f FILE, or - for standard input",
                streams.stderr_color,
            );
        }
        _ => script::from_file(Path::new("-")),
    };
    run_source(source, rows, arguments, streams)
}

fn run_command(command: &Command, arguments: &Arguments, streams: Streams) -> u8 {
    match statement::of(command) {
        Ok(Some(text)) => {
            let source = Source { name: "<command line>".to_owned(), text };
            run_source(Ok(source), rows_of(command, arguments), arguments, streams)
        }
        Ok(None) => exit::DONE,
        Err(message) => exit::usage(&message, streams.stderr_color),
    }
}

/// Parses the whole text, then runs it.
fn run_source(source: Result<Source, Error>, rows: Rows, arguments: &Arguments, streams: Streams) -> u8 {
    let parsed = source.and_then(|source| Ok((parse::script(&source.name, &source.text)?, source)));
    let (statements, source) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            exit::tell(&error, None, None, streams.stderr_color);
            return exit::USAGE;
        }
    };
    if arguments.common.print_query {
        return print(format!("{}\n", source.text.trim_end()).as_bytes());
    }
    match run_parsed(&source, &statements, rows, arguments, streams) {
        Ok(code) => code,
        Err(message) => exit::usage(&message, streams.stderr_color),
    }
}

/// The error is a mistake in usage.
fn run_parsed(
    source: &Source,
    statements: &[Statement],
    rows: Rows,
    arguments: &Arguments,
    streams: Streams,
) -> Result<u8, String> {
    let common = &arguments.common;
    let target = Target::new(rows.output.clone(), rows.format, streams)?;
    let tables = statements.iter().filter(|s| has_rows(s)).count();
    if tables > 1 && target.holds_one_table() {
        return Err(format!(
            "one file holds one table, these statements give {tables}: write each with COPY (...) TO 'file'"
        ));
    }
    let may_have_rows = tables > 0 || statements.iter().any(|s| matches!(s.kind, StatementKind::Include(_)));
    if target.path.is_some() && !may_have_rows {
        return Err("nothing here gives rows to write with -o".to_owned());
    }
    let creates = matches!(arguments.command, Some(Command::Import(_))) && !common.read_only;
    let is_new = creates && !place::find(arguments.database.as_deref(), creates)?.exists();
    let database = match open(arguments, creates)? {
        Ok(database) => database,
        Err(code) => return Ok(code),
    };
    let manner = Manner {
        is_quiet: common.quiet,
        is_verbose: common.verbose,
        has_bar: common.has_bar(streams),
        has_timer: true,
        timeout: common.timeout,
        is_prompt: false,
    };
    let mut runner = Runner::new(&database, target, manner);
    signal::install(database.cancel(), false);
    if let Err(code) = prepare(&mut runner, &rows, common) {
        return Ok(code);
    }
    let code = runner.script(source, statements);
    let tally = runner.tally;
    if code != exit::DONE && is_new {
        database.remove_if_empty();
    }
    Ok(match code {
        exit::DONE if tally.unreadable > 0 && common.strict => exit::FAILED,
        exit::DONE if tally.unreadable > 0 => exit::UNREADABLE,
        exit::DONE if tally.rows == 0 && rows.fail_if_empty => exit::EMPTY,
        code => code,
    })
}

/// Opens the database: an exit code when that fails, a sentence when it is not clear which one.
fn open(arguments: &Arguments, creates: bool) -> Result<Result<Database, u8>, String> {
    let path = place::find(arguments.database.as_deref(), creates)?;
    if !creates && !path.exists() {
        let path = path.display().to_string();
        return Err(format!("there is no database {path}\n  help: {}", place::instead(&path)));
    }
    let options = Options {
        is_read_only: arguments.common.read_only,
        threads: arguments.common.threads.map(usize::from),
        ..Options::default()
    };
    let opened = if creates { Database::create(&path, options) } else { Database::open(&path, options) };
    Ok(opened.map_err(|error| {
        exit::tell(&error, None, None, Streams::new(arguments.common.color).stderr_color);
        exit::code_of(&error)
    }))
}

/// Parameters and settings of the command line; a mistake in them is one of usage.
fn prepare(runner: &mut Runner<'_>, rows: &Rows, common: &Common) -> Result<(), u8> {
    let color = runner.target.streams.stderr_color;
    for parameter in &rows.parameters {
        if !parameter.contains('=') {
            return Err(exit::usage(&format!("-P {parameter}: write NAME=VALUE"), color));
        }
        runner.pin(parameter).map_err(|error| {
            exit::tell(&error, None, None, color);
            exit::USAGE
        })?;
    }
    let memory = common.memory.as_ref().map_or(Ok(()), |size| runner.set_memory(size));
    memory.map_err(|error| {
        exit::tell(&error, None, None, color);
        exit::USAGE
    })
}

/// The prompt.
fn run_prompt(arguments: &Arguments, streams: Streams) -> u8 {
    let common = &arguments.common;
    let opened = Target::new(arguments.rows.output.clone(), arguments.rows.format, streams)
        .and_then(|target| Ok((target, open(arguments, false)?)));
    let (mut target, database) = match opened {
        Ok((target, Ok(database))) => (target, database),
        Ok((_, Err(code))) => return code,
        Err(message) => return exit::usage(&message, streams.stderr_color),
    };
    let manner = Manner {
        is_quiet: common.quiet,
        is_verbose: common.verbose,
        has_bar: common.has_bar(streams),
        has_timer: true,
        timeout: common.timeout,
        is_prompt: true,
    };
    target.has_pager = streams.is_stdout_terminal && !streams.is_dumb && pager::is_wanted();
    let mut runner = Runner::new(&database, target, manner);
    signal::install(database.cancel(), true);
    match prepare(&mut runner, &arguments.rows, common) {
        Ok(()) => prompt::run(runner),
        Err(code) => code,
    }
}

/// `check FILE`, `check --db`, `check --fingerprint`.
fn run_check(check: &CheckArgs, arguments: &Arguments, streams: Streams) -> u8 {
    let mut code = exit::DONE;
    if let Some(file) = &check.file {
        let place = place::find(arguments.database.as_deref(), false);
        if let (Err(message), Some(_)) = (&place, &arguments.database) {
            return exit::usage(message, streams.stderr_color);
        }
        code = check::query_file(file, place, &arguments.rows, streams);
        if code != exit::DONE {
            return code;
        }
    }
    if check.db || check.fingerprint {
        code = match open(arguments, false) {
            Err(message) => exit::usage(&message, streams.stderr_color),
            Ok(Err(code)) => code,
            Ok(Ok(database)) => check::database(&database, check, streams),
        };
    }
    code
}
