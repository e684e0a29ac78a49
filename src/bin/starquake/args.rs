//! The arguments. Each subcommand becomes one statement of the language (`statement.rs`).

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use starquake::model::time::Time;

use crate::output::Format;
use crate::style::Streams;
use crate::values::{parse_duration, parse_pair, parse_size, parse_word};

const ABOUT: &str = "An embedded index database with a query language: waveforms, events, the sky";

/// What `-h` and `--help` print: a screen of 80x24.
pub(crate) const OVERVIEW: &str = include_str!("help/overview.txt");

const AFTER_HELP: &str = "\
Exit code: 0 done, 4 no rows with --fail-if-empty, 1 a statement failed, 2 usage or syntax (nothing was run), \
3 some inputs were unreadable, 5 locked or of a newer version, 130 interrupted, 141 the reader of the output has gone.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "starquake", version, about = ABOUT, after_help = AFTER_HELP, override_help = OVERVIEW)]
#[command(disable_help_subcommand = true, max_term_width = 80)]
pub(crate) struct Arguments {
    /// Database directory NAME.sqk
    #[arg(value_name = "DB", value_hint = ValueHint::DirPath)]
    pub(crate) database: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) rows: Rows,
    #[command(flatten)]
    pub(crate) common: Common,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Where rows go. May stand before and behind the command.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Rows {
    /// Gives $NAME a value that LET does not change; what is no expression is a text
    #[arg(short = 'P', long = "param", value_name = "NAME=VALUE")]
    pub(crate) parameters: Vec<String>,
    /// Writes the rows to FILE when all went well (a file of that name is replaced)
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// table, csv, tsv, json, ndjson, markdown, parquet, arrow, arrows [default: by FILE; table on a terminal, csv in
    /// a pipe]
    #[arg(long, value_name = "FORMAT", value_parser = FormatParser, hide_possible_values = true)]
    pub(crate) format: Option<Format>,
    /// Exit code 4 when there are no rows
    #[arg(long)]
    pub(crate) fail_if_empty: bool,
}

impl Rows {
    /// These options with those before the command where these say nothing.
    pub(crate) fn or(mut self, before: Rows) -> Rows {
        self.parameters.splice(0..0, before.parameters);
        self.output = self.output.or(before.output);
        self.format = self.format.or(before.format);
        self.fail_if_empty |= before.fail_if_empty;
        self
    }
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "How to run")]
pub(crate) struct Common {
    /// Threads [default: one for each core]
    #[arg(short = 'j', long, global = true, hide_short_help = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Memory of a statement: 500MB, 4GiB
    #[arg(long, global = true, hide_short_help = true, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) memory: Option<String>,
    /// Refuses statements that write
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) read_only: bool,
    /// Stops a statement that takes longer: 30s, 5min, 1h
    #[arg(long, global = true, hide_short_help = true, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// No counts and no messages, errors only
    #[arg(short, long, global = true, hide_short_help = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Shows each statement before it runs
    #[arg(short, long, global = true, hide_short_help = true)]
    pub(crate) verbose: bool,
    /// No progress bar
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) no_progress: bool,
    /// Colours (auto: NO_COLOR, CLICOLOR_FORCE and TERM=dumb are heeded)
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN"
    )]
    pub(crate) color: ColorChoice,
    /// Exit code 1 instead of 3 when inputs were unreadable
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) strict: bool,
    /// Prints the statement and does not run it
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) print_query: bool,
}

impl Common {
    /// Is there a place for a progress bar, and is it wanted?
    pub(crate) fn has_bar(&self, streams: Streams) -> bool {
        streams.is_stderr_terminal && !streams.is_dumb && !self.no_progress && !self.quiet
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    #[default]
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs statements: TEXT, -f FILE, or - for standard input
    Query(QueryArgs),
    /// Indexes waveform files, events, stations or a catalogue (IMPORT)
    Import(Box<ImportArgs>),
    /// Reads again what has changed (REFRESH)
    Refresh(RefreshArgs),
    /// Refreshes again and again, until Ctrl-C
    Watch(WatchArgs),
    /// Downloads into a source or catalogue (FETCH); not there yet, and refused by name
    Fetch(FetchArgs),
    /// Counts, sizes and freshness (SHOW STATUS)
    Status(RowsOnly),
    /// Checks a query file without running it, or every block of the database
    Check(CheckArgs),
    /// Missing data of channels (GAPS OF ...)
    Gaps(GapsArgs),
    /// How much of a span channels cover (COVERAGE OF ...)
    Coverage(CoverageArgs),
    /// Paths of the waveform files of channels
    Files(FilesArgs),
    /// Waveforms of channels into a miniSEED file, or SAC files (COPY segments TO ...)
    Copy(CopyArgs),
    /// Merges what imports and refreshes have left apart (COMPACT)
    Compact {
        /// Table or source; all when absent
        name: Option<String>,
    },
    /// Makes a small world with known answers and runs every verb on it
    Demo(crate::demo::Options),
    /// Times every verb and operation on data it makes, and prints the rates of this machine
    Bench(crate::bench::Options),
    /// Prints completions for a shell: databases, commands, options, formats
    Completions {
        /// bash, elvish, fish, powershell, zsh
        #[arg(hide_possible_values = true)]
        shell: Shell,
    },
    /// Prints the manual page: starquake man | man -l -
    Man,
    /// Prints a page of help: of the language, of a command, `grammar`, `topics`
    Help {
        /// SELECT, CORRELATE, units, options, ...; `topics` lists them
        #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new(), num_args = 0.., trailing_var_arg = true)]
        topic: Vec<String>,
    },
}

/// A command with no options of its own.
#[derive(Debug, Args)]
pub(crate) struct RowsOnly {
    #[command(flatten)]
    pub(crate) rows: Rows,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// Statements, separated by `;`, or - for standard input
    #[arg(value_name = "TEXT", conflicts_with = "file")]
    pub(crate) text: Option<String>,
    /// Query file, or - for standard input
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) rows: Rows,
}

/// What IMPORT and FETCH read.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ImportKind {
    Waveforms,
    Events,
    Stations,
    Catalog,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// What kind of data
    #[arg(value_enum)]
    pub(crate) kind: ImportKind,
    /// File, directory or quoted glob
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) path: PathBuf,
    /// Name of the source or catalogue
    #[arg(long, value_name = "NAME")]
    pub(crate) into: Option<String>,
    /// Format of the input, where it cannot be told by its content
    #[arg(long, value_name = "NAME")]
    pub(crate) format: Option<String>,
    /// SDS, BUD, FDSN or a pattern: '{network}.{station}/{year}/*.mseed'
    #[arg(long, value_name = "LAYOUT")]
    pub(crate) layout: Option<String>,
    /// Directories that refreshes do not look into: '2019,202?/IU'
    #[arg(long, value_name = "PATTERNS")]
    pub(crate) sealed: Option<String>,
    /// Column that names a row of the catalogue
    #[arg(long, value_name = "COLUMN")]
    pub(crate) key: Option<String>,
    /// Columns of the position
    #[arg(long, value_name = "RA,DEC", value_delimiter = ',', value_parser = parse_word)]
    pub(crate) position: Vec<String>,
    /// Columns of the proper motion
    #[arg(long, value_name = "PMRA,PMDEC", value_delimiter = ',', value_parser = parse_word)]
    pub(crate) motion: Vec<String>,
    /// Frame of the position: icrs, fk5, galactic
    #[arg(long, value_name = "FRAME")]
    pub(crate) frame: Option<String>,
    /// Epoch of the positions: a year or a column
    #[arg(long, value_name = "YEAR|COLUMN")]
    pub(crate) epoch: Option<String>,
    /// Numbers that mean nothing: mag=-999,err=99.9
    #[arg(long, value_name = "COLUMN=VALUE", value_delimiter = ',', value_parser = parse_pair)]
    pub(crate) nulls: Vec<(String, String)>,
    /// Column of the time of an epoch table
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time: Option<String>,
    /// Scale of that time: utc, tdb
    #[arg(long, value_name = "SCALE", requires = "time")]
    pub(crate) scale: Option<String>,
    /// Units of columns: pmra=mas/yr,parallax=mas
    #[arg(long, value_name = "COLUMN=UNIT", value_delimiter = ',', value_parser = parse_pair)]
    pub(crate) units: Vec<(String, String)>,
    /// Columns an epoch table is kept in order of
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = parse_word)]
    pub(crate) sorted_by: Vec<String>,
    /// Only waveform files that the times of this table need
    #[arg(long, value_name = "TABLE", requires = "within")]
    pub(crate) near: Option<String>,
    /// How near: '1 h'
    #[arg(long, value_name = "DURATION", requires = "near")]
    pub(crate) within: Option<String>,
    /// Condition on what file names tell
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) condition: Option<String>,
    /// Adds to what the name holds
    #[arg(long, conflicts_with = "replace")]
    pub(crate) append: bool,
    /// Takes the place of what the name holds
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RefreshArgs {
    /// Source; all when absent
    pub(crate) name: Option<String>,
    /// Lists what would be done (SHOW CHANGES)
    #[arg(long, conflicts_with = "full")]
    pub(crate) dry_run: bool,
    /// Also removes everything under a root that has gone
    #[arg(long)]
    pub(crate) full: bool,
    #[command(flatten)]
    pub(crate) rows: Rows,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Sources; all when absent
    #[arg(value_name = "SOURCE")]
    pub(crate) names: Vec<String>,
    /// Time from one look to the next: 500ms, 1s, 5min
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    pub(crate) every: Duration,
    /// Ends after so many looks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rounds: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// What kind of data
    #[arg(value_enum)]
    pub(crate) kind: ImportKind,
    /// Name of the source or catalogue
    pub(crate) name: String,
    /// Address of the service
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) from: String,
    /// ADQL for the service
    #[arg(long, value_name = "TEXT")]
    pub(crate) query: Option<String>,
    #[command(flatten)]
    pub(crate) channels: Channels,
    #[command(flatten)]
    pub(crate) times: Times,
    /// Downloads at a time
    #[arg(long, value_name = "N")]
    pub(crate) parallel: Option<u32>,
    /// Takes the place of what the name holds
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Query file: is read to its end, nothing is run
    #[arg(value_name = "FILE", required_unless_present_any = ["db", "fingerprint"])]
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Reads every block of the database
    #[arg(long)]
    pub(crate) db: bool,
    /// Prints a content hash of each table
    #[arg(long)]
    pub(crate) fingerprint: bool,
}

/// Channels, as one pattern or in four parts.
#[derive(Debug, Args)]
pub(crate) struct Channels {
    /// NET.STA.LOC.CHA with * and ?; a blank location is --
    #[arg(value_name = "CODES", conflicts_with_all = ["network", "station", "location", "channel"])]
    pub(crate) codes: Option<String>,
    /// Networks: IU,II
    #[arg(long = "net", value_name = "CODES", value_delimiter = ',', alias = "network")]
    pub(crate) network: Vec<String>,
    /// Stations
    #[arg(long = "sta", value_name = "CODES", value_delimiter = ',', alias = "station")]
    pub(crate) station: Vec<String>,
    /// Locations; -- is the blank one
    #[arg(long = "loc", value_name = "CODES", value_delimiter = ',', alias = "location")]
    #[arg(allow_hyphen_values = true)]
    pub(crate) location: Vec<String>,
    /// Channels: BH?,HHZ
    #[arg(long = "cha", value_name = "CODES", value_delimiter = ',', alias = "channel")]
    pub(crate) channel: Vec<String>,
}

/// A span of time.
#[derive(Debug, Args)]
pub(crate) struct Times {
    /// From this time (UTC) on
    #[arg(long, value_name = "TIME", value_parser = parse_time, alias = "starttime")]
    pub(crate) start: Option<Time>,
    /// To before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time, alias = "endtime")]
    pub(crate) end: Option<Time>,
}

/// Channels and times.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    #[command(flatten)]
    pub(crate) channels: Channels,
    #[command(flatten)]
    pub(crate) times: Times,
    /// Lines NET STA LOC CHA START END of a file, or - for standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with_all = ["codes", "network", "station", "location", "channel", "start", "end"])]
    pub(crate) bulk: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct GapsArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Shortest gap shown: '1 s'
    #[arg(long, value_name = "DURATION")]
    pub(crate) longer: Option<String>,
    /// Largest step that is no gap: '0.5 samples'
    #[arg(long, value_name = "DURATION")]
    pub(crate) tolerance: Option<String>,
    /// Largest sum of small steps that is none: '1 samples'
    #[arg(long, value_name = "SAMPLES")]
    pub(crate) drift: Option<String>,
    #[command(flatten)]
    pub(crate) rows: Rows,
}

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// The file that is written, for SAC a directory or a template of names; the ending tells the format
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::AnyPath)]
    pub(crate) output: PathBuf,
    /// mseed or sac, where the name does not tell
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Writes over a file that is there
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CoverageArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Length of a bin: '1 d'
    #[arg(long, value_name = "DURATION")]
    pub(crate) by: Option<String>,
    #[command(flatten)]
    pub(crate) rows: Rows,
}

#[derive(Debug, Args)]
pub(crate) struct FilesArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) rows: Rows,
}

/// Formats by name; completions list them.
#[derive(Clone, Debug)]
struct FormatParser;

impl TypedValueParser for FormatParser {
    type Value = Format;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Format, clap::Error> {
        Format::parse.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Format::names().into_iter().map(PossibleValue::new)))
    }
}

pub(crate) fn parse_time(text: &str) -> Result<Time, String> {
    Time::parse(text).map_err(|e| match e.help {
        Some(help) => format!("{}; {help}", e.reason),
        None => e.reason,
    })
}
