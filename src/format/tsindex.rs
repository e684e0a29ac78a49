//! The tsindex of mseedindex: one SQLite table of the stretches of miniSEED files that hold one channel each, and one
//! of the extent of every channel. The columns are those that mseedindex 3 makes and ObsPy's client reads
//! (<https://github.com/EarthScope/mseedindex/wiki/Database-Schema>, SQLite schema 1.1).

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Statement, params};

use crate::error::{Error, Result};
use crate::format::wfdisc::epoch;
use crate::model::station::ChannelCode;
use crate::model::time::Time;

const CREATE: &str = "
CREATE TABLE tsindex (network TEXT, station TEXT, location TEXT, channel TEXT, quality TEXT, version INTEGER,
    starttime TEXT, endtime TEXT, samplerate REAL, filename TEXT, byteoffset INTEGER, bytes INTEGER, hash TEXT,
    timeindex TEXT, timespans TEXT, timerates TEXT, format TEXT, filemodtime TEXT, updated TEXT, scanned TEXT)";
const INSERT: &str =
    "INSERT INTO tsindex VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,NULL,?13,?14,?15,NULL,?16,?16,?17)";
const FINISH: &str = "
CREATE INDEX tsindex_nslcse_idx ON tsindex (network, station, location, channel, starttime, endtime);
CREATE INDEX tsindex_filename_idx ON tsindex (filename);
CREATE INDEX tsindex_updated_idx ON tsindex (updated);
CREATE TABLE tsindex_summary (network TEXT, station TEXT, location TEXT, channel TEXT, earliest TEXT, latest TEXT,
    updt TEXT);
INSERT INTO tsindex_summary SELECT network, station, location, channel, min(starttime), max(endtime), max(scanned)
    FROM tsindex GROUP BY network, station, location, channel;
COMMIT";
const SELECT: &str =
    "SELECT network, station, location, channel, quality, version, samplerate, filename, byteoffset, bytes,
    timeindex, timespans, timerates, filemodtime, starttime, endtime FROM tsindex ORDER BY filename, byteoffset";
/// Rows that are written with one statement.
const BATCH_ROWS: usize = 1024;
/// The quality indicators of miniSEED 2.
const QUALITIES: &[u8] = b"DRQM";

/// A stretch of a file that holds records of one channel and version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Whose records.
    pub code: ChannelCode,
    /// Quality letter of miniSEED 2, else 0.
    pub quality: u8,
    /// Publication version; 0 = not known.
    pub version: u8,
    /// First and last sample.
    pub extent: (Time, Time),
    /// Samples per second of the first record.
    pub sampling_rate: f64,
    /// The file, as written in the index.
    pub filename: String,
    /// Where the stretch begins.
    pub byte_offset: u64,
    /// Its length.
    pub bytes: u64,
    /// Times and where in the file the record starts that holds them first.
    pub time_index: Vec<(Time, u64)>,
    /// The records stand in order of time, so that the time index tells where to stop too.
    pub is_ordered: bool,
    /// First and last sample, and samples per second, of everything without a gap.
    pub spans: Vec<(Time, Time, f64)>,
    /// When the file was changed last, whole seconds since 1970.
    pub modified_s: Option<i64>,
}

fn writing(path: &Path) -> impl Fn(rusqlite::Error) -> Error + '_ {
    move |e| Error::io("write", path, std::io::Error::other(e))
}

/// Writes a new index.
pub struct Writer {
    connection: Connection,
    path: PathBuf,
    scanned: String,
    pending: Vec<Section>,
    sections: u64,
}

impl Writer {
    /// Into an empty file. Errors: I/O.
    pub fn new(path: &Path, now: Time) -> Result<Writer> {
        let connection = Connection::open(path).map_err(writing(path))?;
        // the file is renamed to its name when it is whole: there is nothing to roll back
        for pragma in ["journal_mode", "synchronous"] {
            connection.pragma_update(None, pragma, "OFF").map_err(writing(path))?;
        }
        connection
            .execute_batch("BEGIN")
            .and_then(|()| connection.execute_batch(CREATE))
            .map_err(writing(path))?;
        Ok(Writer {
            connection,
            path: path.to_path_buf(),
            scanned: seconds_text(now),
            pending: vec![],
            sections: 0,
        })
    }

    /// Adds a row. Errors: I/O.
    pub fn add(&mut self, section: Section) -> Result<()> {
        self.pending.push(section);
        if self.pending.len() >= BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let mut statement = self.connection.prepare(INSERT).map_err(writing(&self.path))?;
        for section in self.pending.drain(..) {
            insert(&mut statement, &section, &self.scanned).map_err(writing(&self.path))?;
            self.sections += 1;
        }
        Ok(())
    }

    /// Adds the indexes and the summary; how many rows there are. Errors: I/O.
    pub fn finish(mut self) -> Result<u64> {
        self.flush()?;
        self.connection.execute_batch(FINISH).map_err(writing(&self.path))?;
        self.connection.close().map_err(|(_, e)| writing(&self.path)(e))?;
        Ok(self.sections)
    }
}

fn insert(statement: &mut Statement<'_>, section: &Section, scanned: &str) -> rusqlite::Result<usize> {
    let code = &section.code;
    let quality = (section.quality != 0).then(|| char::from(section.quality).to_string());
    let version = (section.version != 0).then_some(section.version);
    let spans: Vec<String> =
        section.spans.iter().map(|s| format!("[{}:{}]", epoch_text(s.0), epoch_text(s.1))).collect();
    let is_mixed = section.spans.iter().any(|s| (s.2 / section.sampling_rate - 1.0).abs() >= 1e-4);
    let rates: Vec<String> = section.spans.iter().map(|s| s.2.to_string()).collect();
    statement.execute(params![
        code.network,
        code.station,
        code.location,
        code.channel,
        quality,
        version,
        micros_text(section.extent.0),
        micros_text(section.extent.1),
        section.sampling_rate,
        section.filename,
        section.byte_offset as i64,
        section.bytes as i64,
        time_index_text(section),
        spans.join(","),
        is_mixed.then(|| rates.join(",")),
        seconds_text(Time(section.modified_s.unwrap_or(0).saturating_mul(1_000_000_000))),
        scanned,
    ])
}

/// `1514764800.019500=>0,1514768400.019500=>4096,latest=>1`; keys are rounded down, so that no record is passed over.
fn time_index_text(section: &Section) -> String {
    let mut text = String::new();
    for (time, offset) in &section.time_index {
        text.push_str(&format!("{}=>{offset},", epoch_text(Time(time.0 - time.0.rem_euclid(1000)))));
    }
    text.push_str(if section.is_ordered { "latest=>1" } else { "latest=>0" });
    text
}

/// To the nearest microsecond.
fn micros(time: Time) -> i64 {
    time.0.saturating_add(500).div_euclid(1000)
}

fn epoch_text(time: Time) -> String {
    let micros = micros(time);
    let sign = if micros < 0 { "-" } else { "" };
    let (whole, part) = (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
    format!("{sign}{whole}.{part:06}")
}

fn micros_text(time: Time) -> String {
    let micros = micros(time);
    let civil = Time(micros.saturating_mul(1000)).civil();
    format!("{}.{:06}", civil.strftime("%Y-%m-%dT%H:%M:%S"), micros.rem_euclid(1_000_000))
}

fn seconds_text(time: Time) -> String {
    time.civil().strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// An index that is there.
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

impl Reader {
    /// Opens an SQLite file that has a table `tsindex`. Errors: I/O; it has none.
    pub fn open(path: &Path) -> Result<Reader> {
        std::fs::File::open(path).map_err(|e| Error::io("open", path, e))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let wrong = |e| Error::data(path, None, format!("it is no tsindex: {e}"));
        let connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
        connection.prepare(SELECT).map(drop).map_err(wrong)?;
        Ok(Reader { connection, path: path.to_path_buf() })
    }

    /// The first and the last name of a file, in byte order; `None` if there is no row.
    pub fn filenames(&self) -> Result<Option<(String, String)>> {
        let names =
            self.connection.query_row("SELECT min(filename), max(filename) FROM tsindex", [], |row| {
                Ok(row.get::<_, Option<String>>(0)?.zip(row.get::<_, Option<String>>(1)?))
            });
        names.map_err(|e| self.damaged(&e))
    }

    /// Number of rows.
    pub fn rows(&self) -> Result<u64> {
        let count = self.connection.query_row("SELECT count(*) FROM tsindex", [], |row| row.get::<_, i64>(0));
        count.map(|n| n as u64).map_err(|e| self.damaged(&e))
    }

    fn damaged(&self, error: &rusqlite::Error) -> Error {
        Error::data(&self.path, None, format!("the tsindex does not read: {error}"))
    }

    /// Hands over every row, by name of the file and place in it; rows whose numbers make no sense are counted and
    /// left out. Errors: those of `take`; a damaged file.
    pub fn each(&self, mut take: impl FnMut(Section) -> Result<()>) -> Result<u64> {
        let mut statement = self.connection.prepare(SELECT).map_err(|e| self.damaged(&e))?;
        let mut rows = statement.query([]).map_err(|e| self.damaged(&e))?;
        let mut odd = 0;
        while let Some(row) = rows.next().map_err(|e| self.damaged(&e))? {
            match section(row) {
                Some(section) => take(section)?,
                None => odd += 1,
            }
        }
        Ok(odd)
    }
}

fn section(row: &rusqlite::Row<'_>) -> Option<Section> {
    let text = |column: usize| row.get::<_, Option<String>>(column).ok().flatten();
    let code = ChannelCode { network: text(0)?, station: text(1)?, location: text(2)?, channel: text(3)? };
    let quality = text(4).and_then(|q| q.bytes().next()).filter(|q| QUALITIES.contains(q));
    let version = row.get::<_, Option<i64>>(5).ok().flatten().and_then(|v| u8::try_from(v).ok());
    let sampling_rate = row.get::<_, f64>(6).ok().filter(|r| r.is_finite() && *r >= 0.0)?;
    let unsigned = |column: usize| u64::try_from(row.get::<_, i64>(column).ok()?).ok();
    let (time_index, is_ordered) = text(10).map_or((vec![], false), |t| time_index(&t));
    let mut section = Section {
        code,
        quality: quality.unwrap_or(0),
        version: version.unwrap_or(0),
        extent: (Time::parse(&text(14)?).ok()?, Time::parse(&text(15)?).ok()?),
        sampling_rate,
        filename: text(7)?,
        byte_offset: unsigned(8)?,
        bytes: unsigned(9)?,
        time_index,
        is_ordered,
        spans: vec![],
        modified_s: text(13).and_then(|t| Time::parse(&t).ok()).map(|t| t.0.div_euclid(1_000_000_000)),
    };
    let rates: Vec<f64> =
        text(12).unwrap_or_default().split(',').filter_map(|r| r.trim().parse().ok()).collect();
    let spans = text(11).unwrap_or_default();
    for (number, span) in spans.split(',').filter(|s| !s.trim().is_empty()).enumerate() {
        let (from, to) = span.trim().strip_prefix('[')?.strip_suffix(']')?.split_once(':')?;
        let rate = rates.get(number).copied().unwrap_or(sampling_rate);
        let span = (epoch(from)?, epoch(to)?, rate);
        section.spans.push(Some(span).filter(|s| s.0 <= s.1 && rate > 0.0 && rate.is_finite())?);
    }
    section.byte_offset.checked_add(section.bytes)?;
    Some(section)
}

/// The keys that read, and whether the records stand in order.
fn time_index(text: &str) -> (Vec<(Time, u64)>, bool) {
    let mut entries = vec![];
    let mut is_ordered = false;
    for (key, value) in text.split(',').filter_map(|entry| entry.split_once("=>")) {
        let (key, value) = (key.trim().trim_matches('"'), value.trim().trim_matches('"'));
        if key == "latest" {
            is_ordered = value == "1";
        } else if let (Some(time), Ok(offset)) = (epoch(key), value.parse()) {
            entries.push((time, offset));
        }
    }
    let rises = entries.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1);
    if rises { (entries, is_ordered) } else { (vec![], false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let at = |s: i64| Time(s * 1_000_000_000 + 19_500_000);
        let plain = Section {
            code: ChannelCode::new("IU", "ANMO", "", "BHZ"),
            quality: b'M',
            version: 4,
            extent: (at(1000), at(9000)),
            sampling_rate: 40.0,
            filename: "/data/b.mseed".to_owned(),
            byte_offset: 512,
            bytes: 5120,
            time_index: vec![(at(1000), 512), (at(4600), 2048)],
            is_ordered: true,
            spans: vec![(at(1000), at(5000), 40.0), (at(6000), at(9000), 40.0)],
            modified_s: Some(1_600_000_000),
        };
        let mixed = Section {
            quality: 0,
            version: 0,
            filename: "/data/a.mseed".to_owned(),
            extent: (at(-50), at(0)),
            spans: vec![(at(-50), at(-40), 40.0), (at(-20), at(0), 20.0)],
            time_index: vec![(at(-50), 512)],
            is_ordered: false,
            ..plain.clone()
        };
        let mut writer = Writer::new(file.path(), Time(0)).unwrap();
        [&plain, &mixed].into_iter().for_each(|s| writer.add(s.clone()).unwrap());
        assert_eq!(writer.finish().unwrap(), 2);
        let reader = Reader::open(file.path()).unwrap();
        let names = ("/data/a.mseed".to_owned(), "/data/b.mseed".to_owned());
        assert_eq!(reader.filenames().unwrap(), Some(names));
        let mut found = vec![];
        let odd = reader.each(|s| {
            found.push(s);
            Ok(())
        });
        assert_eq!((odd.unwrap(), found), (0, vec![mixed, plain]));
    }

    #[test]
    fn another_file_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let empty = Reader::open(file.path()).map(drop).unwrap_err().to_string();
        assert!(empty.contains("no such table"), "{empty}");
        std::fs::write(file.path(), [7; 4096]).unwrap();
        let other = Reader::open(file.path()).map(drop).unwrap_err().to_string();
        assert!(other.contains("it is no tsindex"), "{other}");
    }

    #[test]
    fn odd_rows_are_left_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let writer = Writer::new(file.path(), Time(0)).unwrap();
        writer.finish().unwrap();
        let good = "'N','S','','C',NULL,NULL,'2018-01-01T00:00:00','2018-01-01T00:00:01',1.0,'f',0,10,NULL,NULL,'[1.0:2.0]',NULL,NULL,NULL,NULL,NULL";
        let rows = [
            good.to_owned(),
            good.replace("'N'", "NULL"),
            good.replace(",0,10,", ",-1,10,"),
            good.replace("[1.0:2.0]", "[2.0:1.0]"),
            good.replace("[1.0:2.0]", "1.0-2.0"),
            good.replace(",1.0,", ",'x',"),
        ];
        let connection = Connection::open(file.path()).unwrap();
        for row in &rows {
            connection.execute(&format!("INSERT INTO tsindex VALUES ({row})"), []).unwrap();
        }
        let reader = Reader::open(file.path()).unwrap();
        let mut count = 0;
        let odd = reader.each(|_| {
            count += 1;
            Ok(())
        });
        assert_eq!((odd.unwrap(), count), (5, 1));
    }
}
