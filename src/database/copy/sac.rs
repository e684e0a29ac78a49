//! COPY ... FORMAT sac: one file a contiguous piece, by a template of names.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::{NEW_FILE_MODE, Target, Written};
use crate::engine::analyze::counted;
use crate::engine::bind::Context;
use crate::engine::ops::pieces::{Step, pieces};
use crate::engine::ops::selected::selected;
use crate::engine::plan::Node;
use crate::error::{Error, Result};
use crate::format::sac::{self, About, DEP_WORDS, Trace};
use crate::model::station::ChannelCode;
use crate::model::time::Time;

use super::sites::Sites;

/// Names in a directory.
const NAMES: &str = "{network}.{station}.{location}.{channel}.{starttime}.SAC";
/// What stands in braces.
const PLACES: [&str; 8] = ["network", "station", "location", "channel", "code", "starttime", "year", "day"];
/// Reasons that are told.
const REASONS: usize = 3;

/// Is it a directory or a template, which existing files do not concern before their names are known?
pub(super) fn is_template(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.ends_with('/') || text.contains('{') || path.is_dir()
}

/// The template of a target; without braces and no directory it is the name of the only piece.
fn template(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| Error::refused("the name is no UTF-8", "choose another"))?;
    if text.ends_with('/') || path.is_dir() {
        return Ok(format!("{}/{NAMES}", text.trim_end_matches('/')));
    }
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}').unwrap_or((behind, ""));
        if !PLACES.contains(&name) {
            return Err(Error::refused(
                format!("`{{{name}}}` stands for nothing in the name of a SAC file"),
                format!("{{{}}}", PLACES.join("}, {")),
            ));
        }
        rest = after;
    }
    Ok(text.to_owned())
}

/// The name of a piece. Codes of no letters and digits cannot lead out of the directory.
fn name(template: &str, code: &ChannelCode, whole: &str, start: Time) -> String {
    let safe = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
    };
    let civil = start.civil();
    let (year, day) = (format!("{:04}", civil.year()), format!("{:03}", civil.day_of_year()));
    let clock = format!(
        "{year}.{day}.{:02}.{:02}.{:02}.{:06}",
        civil.hour(),
        civil.minute(),
        civil.second(),
        civil.subsec_nanosecond() / 1000
    );
    let whole = whole.split('.').map(safe).collect::<Vec<_>>().join(".");
    let values = [
        safe(&code.network),
        safe(&code.station),
        safe(&code.location),
        safe(&code.channel),
        whole,
        clock,
        year,
        day,
    ];
    PLACES
        .iter()
        .zip(values)
        .fold(template.to_owned(), |text, (place, value)| text.replace(&format!("{{{place}}}"), &value))
}

pub(super) fn write(node: &Node, target: &Target, context: &Context<'_>) -> Result<Written> {
    let template = template(&target.path)?;
    let archive = context.tables.archive()?;
    let wanted = selected(node, archive, context)?;
    let sites = Sites::new(context)?;
    let mut files = Files {
        is_single: !template.contains('{'),
        template,
        replace: target.replace,
        names: HashSet::new(),
        done: vec![],
        inexact: 0,
    };
    let mut failed = vec![];
    for of_channel in wanted.chunk_by(|a, b| a.rank == b.rank) {
        let Some(first) = of_channel.first() else { continue };
        let Some(part) = archive.parts.get(first.part as usize) else { continue };
        let channel = part.channel_of(first.row as usize);
        let code = part.channels.get(channel).map_or(ChannelCode::default(), |c| c.0.clone());
        let whole = part.code_text(channel);
        let mut open: Option<Open> = None;
        let mut give = |step: Step<'_>| -> Result<()> {
            match step {
                Step::Begin(start, rate_hz) => {
                    let floats = sites.find(&code, start);
                    open = Some(files.open((&code, &whole), start, (rate_hz, floats))?);
                }
                Step::Samples(samples) => {
                    if let Some(open) = &mut open {
                        open.push(samples)?;
                    }
                }
                Step::End => {
                    if let Some(open) = open.take() {
                        files.inexact += open.inexact;
                        files.done.push(open.finish(&code)?);
                    }
                }
            }
            Ok(())
        };
        failed.extend(pieces(archive, of_channel, context, &mut give)?);
    }
    for reason in failed.iter().take(REASONS) {
        context.notices.warn(reason.clone());
    }
    if !failed.is_empty() {
        let stretches = counted(failed.len() as u64, "stretch").replace("stretchs", "stretches");
        context
            .notices
            .warn(format!("unreachable: {stretches} in files that cannot be read (REFRESH looks again)"));
    }
    if files.inexact > 0 {
        let samples = counted(files.inexact, "sample");
        context.notices.warn(format!("{samples} rounded: SAC holds 24 bits"));
    }
    let count = files.done.len() as u64;
    for (temporary, path) in files.done {
        temporary.persist(&path).map_err(|e| Error::io("rename", &path, e.error))?;
    }
    Ok(Written { what: counted(count, "SAC file"), unreadable: failed.len() as u64 })
}

/// The files of one COPY; they get their names when all are whole.
struct Files {
    template: String,
    /// One piece, one file.
    is_single: bool,
    replace: bool,
    names: HashSet<PathBuf>,
    done: Vec<(TempPath, PathBuf)>,
    inexact: u64,
}

impl Files {
    fn open(
        &mut self,
        channel: (&ChannelCode, &str),
        start: Time,
        what: (f64, Vec<(usize, f64)>),
    ) -> Result<Open> {
        if self.is_single && !self.names.is_empty() {
            return Err(Error::refused(
                "the rows hold several contiguous pieces, and a SAC file holds one",
                format!("name a directory (TO 'dir/'), or a template: '{NAMES}'"),
            ));
        }
        let path = PathBuf::from(name(&self.template, channel.0, channel.1, start));
        if !self.names.insert(path.clone()) {
            return Err(Error::refused(
                format!("two pieces would be named {}", path.display()),
                "put {starttime} and {code} into the name",
            ));
        }
        if std::fs::symlink_metadata(&path).is_ok() && !self.replace {
            return Err(Error::refused(
                format!("{} is already there", path.display()),
                "add REPLACE to write over it",
            ));
        }
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !self.is_single {
            std::fs::create_dir_all(directory).map_err(|e| Error::io("create", directory, e))?;
        }
        let temporary = tempfile::Builder::new()
            .prefix(".starquake-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(NEW_FILE_MODE))
            .tempfile_in(directory)
            .map_err(|e| Error::io("create", &path, e))?;
        let (file, temporary) = temporary.into_parts();
        let (rate_hz, floats) = what;
        let delta_s = 1.0 / rate_hz;
        let mut out = BufWriter::with_capacity(1 << 18, file);
        out.write_all(&[0; sac::HEADER_BYTES as usize]).map_err(|e| Error::io("write", &path, e))?;
        Ok(Open { out, temporary, path, start, delta_s, floats, count: 0, sum: 0.0, range: None, inexact: 0 })
    }
}

/// A file that is being written.
struct Open {
    out: BufWriter<File>,
    temporary: TempPath,
    path: PathBuf,
    start: Time,
    delta_s: f64,
    /// Of the header: where the station is.
    floats: Vec<(usize, f64)>,
    count: usize,
    sum: f64,
    range: Option<(f32, f32)>,
    inexact: u64,
}

impl Open {
    fn push(&mut self, samples: &[f64]) -> Result<()> {
        for &sample in samples {
            let value = sample as f32;
            self.inexact += u64::from(f64::from(value) != sample && !sample.is_nan());
            self.range = Some(self.range.map_or((value, value), |r| (r.0.min(value), r.1.max(value))));
            self.sum += sample;
            self.out.write_all(&value.to_le_bytes()).map_err(|e| Error::io("write", &self.path, e))?;
        }
        self.count += samples.len();
        Ok(())
    }

    /// Header, and the footer of doubles where the interval is no decimal that a float holds.
    fn finish(mut self, code: &ChannelCode) -> Result<(TempPath, PathBuf)> {
        let shortest: f64 = format!("{}", self.delta_s as f32).parse().unwrap_or(f64::NAN);
        let is_exact = (shortest / self.delta_s - 1.0).abs() < 1e-12;
        if let Some((least, most)) = self.range {
            let mean = self.sum / self.count.max(1) as f64;
            let values = [f64::from(least), f64::from(most), mean];
            self.floats.extend(DEP_WORDS.into_iter().zip(values));
        }
        let about = About { npts: self.count, version: if is_exact { 6 } else { 7 }, floats: &self.floats };
        let trace = Trace { code, start: self.start, delta_s: self.delta_s, samples: &[] };
        let header =
            sac::header(&trace, &about, true).map_err(|reason| Error::data(&self.path, None, reason))?;
        let footer = if is_exact { vec![] } else { sac::footer(&trace, &about, true) };
        let written = self.out.write_all(&footer).and_then(|()| self.out.seek(SeekFrom::Start(0)));
        written.and_then(|_| self.out.write_all(&header)).map_err(|e| Error::io("write", &self.path, e))?;
        let file = self.out.into_inner().map_err(|e| Error::io("write", &self.path, e.into_error()))?;
        file.sync_all().map_err(|e| Error::io("fsync", &self.path, e))?;
        Ok((self.temporary, self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_the_piece() {
        let code = ChannelCode::new("IU", "ANMO", "", "B/Z");
        let start = Time::parse("2024-02-29T10:00:00.0195").expect("a time");
        let cases = [
            (NAMES, "IU.ANMO..B_Z.2024.060.10.00.00.019500.SAC"),
            ("{code}/{year}/{day}.sac", "IU.ANMO..B_Z/2024/060.sac"),
            ("plain.sac", "plain.sac"),
        ];
        for (template, want) in cases {
            assert_eq!(name(template, &code, "IU.ANMO..B/Z", start), want);
        }
        let wrong = template(Path::new("{sta}.sac")).map_err(|e| e.to_string());
        assert!(wrong.is_err_and(|e| e.contains("`{sta}` stands for nothing")));
        assert!(name("{code}", &ChannelCode::default(), "../../x", start).starts_with("...._"), "no way out");
    }
}
