//! `starquake demo`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::exit;

/// Options of the demonstration.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Directory to make
    #[arg(default_value = "starquake-demo")]
    pub(crate) directory: PathBuf,
}

/// Runs it.
pub(crate) fn run(options: &Options) -> ExitCode {
    let message =
        format!("the demonstration is not built in yet ({} was not made)", options.directory.display());
    exit::usage(&message, false).into()
}
