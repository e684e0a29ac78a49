//! First inputs of every target, made by our own writers.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use starquake::format::event::{EventRow, PickRow, StationRow};
use starquake::format::mseed2::Signal;
use starquake::format::sac::{Trace, write_sac};
use starquake::format::steim::{Version, encode};
use starquake::format::table::{Format, Writer};
use starquake::format::{hypodd, mseed2, mseed3, quakeml, stationxml};
use starquake::model::station::ChannelCode;
use starquake::model::table::Schema;
use starquake::model::time::Time;

use crate::targets::{good_segment, sample_batch};

fn code(location: &str) -> ChannelCode {
    let own = str::to_owned;
    ChannelCode { network: own("XX"), station: own("ABC"), location: own(location), channel: own("HHZ") }
}

fn time() -> Time {
    Time::parse("2016-12-31T23:59:58.123456").expect("a time")
}

fn samples(count: i32) -> Vec<i32> {
    (0..count).map(|i| i.wrapping_mul(i) % 5000 - i).collect()
}

/// Files of both versions, short records, odd rates, mixed.
pub fn mseed() -> Vec<Vec<u8>> {
    let mut all = vec![];
    for (count, rate, length) in
        [(100, 100.0, 512), (300, 0.1, 128), (50, 33.333, 256), (1, 1.0, 512), (700, 20.0, 1024)]
    {
        let signal =
            Signal { code: &code("00"), start: time(), sampling_rate: rate, samples: &samples(count) };
        let (mut two, mut three) = (vec![], vec![]);
        mseed2::write_records(&mut two, &signal, length).expect("records");
        mseed3::write_records(&mut three, &signal, length).expect("records");
        all.push([&two[..], &three].concat());
        all.extend([two, three]);
    }
    all
}

/// Both versions and byte orders, and a text file.
pub fn sac() -> Vec<Vec<u8>> {
    let samples: Vec<f32> = (0..40).map(|i| i as f32 * 0.5).collect();
    let trace = Trace { code: &code("00"), start: time(), delta_s: 0.01, samples: &samples };
    let mut all = vec![];
    for (little_endian, version) in [(true, 6), (false, 6), (true, 7), (false, 7)] {
        let mut out = vec![];
        write_sac(&mut out, &trace, little_endian, version).expect("a trace");
        all.push(out);
    }
    let text = all.first().map(|binary| text_sac(binary)).unwrap_or_default();
    all.push(text.into_bytes());
    all
}

/// ASCII SAC of a little-endian binary file: 14 lines of floats, 8 of integers, 8 of texts, the samples.
fn text_sac(binary: &[u8]) -> String {
    let word = |i: usize| <[u8; 4]>::try_from(&binary[4 * i..4 * i + 4]).expect("four bytes");
    let mut out = String::new();
    for line in 0..14 {
        (0..5).for_each(|i| out.push_str(&format!("{:15.7}", f32::from_le_bytes(word(line * 5 + i)))));
        out.push('\n');
    }
    for line in 14..22 {
        (0..5).for_each(|i| out.push_str(&format!("{:10}", i32::from_le_bytes(word(line * 5 + i)))));
        out.push('\n');
    }
    for line in binary[440..632].chunks(24) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    for line in binary[632..].chunks(20) {
        for value in line.chunks_exact(4) {
            out.push_str(&format!("{:15.7}", f32::from_le_bytes(value.try_into().expect("four bytes"))));
        }
        out.push('\n');
    }
    out
}

/// Both versions; the first three bytes say how to decode.
pub fn steim() -> Vec<Vec<u8>> {
    let mut all = vec![];
    for (flags, version) in [(0, Version::Steim1), (1, Version::Steim2)] {
        let mut payload = vec![];
        let (count, _) = encode(version, &samples(300), None, 7, &mut payload).expect("frames");
        let count = (count as u16).to_le_bytes();
        all.push([&[flags, count[0], count[1]][..], &payload].concat());
    }
    all
}

fn events() -> (Vec<EventRow>, Vec<PickRow>) {
    let event = |i: i64| EventRow {
        event_id: format!("smi:local/{i}"),
        number: i,
        time: Some(Time(time().0 + i * 1_000_000_000)),
        latitude: Some(35.5 + i as f64 / 100.0),
        longitude: Some(-117.25),
        depth_km: Some(5.5),
        magnitude: Some(1.5),
        magnitude_type: Some("ML".to_owned()),
    };
    let pick = |i: i64| PickRow {
        pick_id: format!("p{i}"),
        event_id: format!("smi:local/{}", i / 3),
        network: Some("XX".to_owned()),
        station: Some(format!("S{}", i % 3)),
        location: Some(String::new()),
        channel: Some("HHZ".to_owned()),
        phase: Some(if i % 2 == 0 { "P" } else { "S" }.to_owned()),
        time: Some(Time(time().0 + i * 1_300_000_000)),
        uncertainty_s: Some(0.05),
        weight: Some(1.0),
        mode: Some("manual".to_owned()),
        polarity: None,
    };
    ((0..3).map(event).collect(), (0..9).map(pick).collect())
}

fn stations() -> Vec<StationRow> {
    let station = |i: i32| StationRow {
        network: Some("XX".to_owned()),
        station: format!("S{i}"),
        location: "00".to_owned(),
        channel: "HHZ".to_owned(),
        latitude: Some(35.0 + f64::from(i)),
        longitude: Some(-117.5),
        elevation_m: Some(250.0),
        depth_m: Some(0.0),
        starttime: Some(time()),
        endtime: None,
    };
    (0..4).map(station).collect()
}

/// As we write it, and one event by hand with what we do not write.
pub fn quakeml() -> Vec<Vec<u8>> {
    let (events, picks) = events();
    let mut out = vec![];
    quakeml::write_quakeml(&mut out, &events, &picks).expect("QuakeML");
    vec![out, br#"<?xml version="1.0"?><!-- c --><q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2" xmlns="http://quakeml.org/xmlns/bed/1.2"><eventParameters publicID="a"><event publicID="e"><preferredOriginID>o2</preferredOriginID><origin publicID="o1"><time><value>2020-01-01T00:00:00Z</value></time></origin><origin publicID="o2"><time><value>2020-01-01T00:00:01.5+02:00</value></time><latitude><value>1e1</value></latitude><depth><value>1000</value></depth><arrival><pickID>p</pickID><phase>Pn &amp; &#65;</phase></arrival></origin><pick publicID="p"><time><value>2020-01-01T00:00:02</value><uncertainty>0.1</uncertainty></time><waveformID networkCode="XX" stationCode="A"/><![CDATA[x]]></pick></event></eventParameters></q:quakeml>"#.to_vec()]
}

/// As we write it.
pub fn stationxml() -> Vec<Vec<u8>> {
    let mut out = vec![];
    stationxml::write_stationxml(&mut out, &stations()).expect("StationXML");
    vec![out]
}

/// Phase files as we write them, an event list, a relocation list.
pub fn hypodd_phase() -> Vec<Vec<u8>> {
    let (events, picks) = events();
    let mut out = vec![];
    hypodd::write_phases(&mut out, &events, &picks).expect("phases");
    let list = "20200101  00000123   35.5000  -117.2500      5.500   1.5    0.10    0.20   0.05          1\n"
        .repeat(2);
    let reloc =
        "1 35.5 -117.25 5.5 10.0 20.0 30.0 1.0 2.0 3.0 2020 1 1 0 0 1.230 1.5 10 11 12 13 0.1 0.2 1\n"
            .repeat(2);
    vec![out, list.into_bytes(), reloc.into_bytes()]
}

/// As we write them, and the layout of REAL.
pub fn hypodd_station() -> Vec<Vec<u8>> {
    let mut out = vec![];
    hypodd::write_stations(&mut out, &stations()).expect("stations");
    vec![out, b"-117.5 35.1 XX ABC HHZ 0.25\n-117.6 35.2 XX ABD HHZ 0.30\n".to_vec()]
}

/// Bytes that can be read while a writer owns them.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn written(format: Format, rows: usize) -> Vec<u8> {
    let batch = sample_batch(rows).project(&[0, 1, 2, 3]).expect("columns");
    let schema = Schema::from_arrow(&batch.schema());
    let out = Shared::default();
    let mut writer =
        Writer::new(format, Path::new("seed"), &schema, Box::new(out.clone())).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.finish().expect("an end");
    out.0.lock().expect("one thread").clone()
}

/// As we write it, and traps by hand.
pub fn csv() -> Vec<Vec<u8>> {
    let hand = [
        "a,b,c\n1,2.5,\"x, \"\"y\"\"\"\n,nan,\n",
        "\u{feff}t;u\r\n2020-01-01T00:00:00;0x1p3\r\n1,5;1_000\r\n",
        "a\tb\n1e400\t99999999999999999999\n",
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: float64, unit: deg}\na\n1.5\n",
    ];
    let mut all = vec![written(Format::Csv, 20)];
    all.extend(hand.iter().map(|t| t.as_bytes().to_vec()));
    all
}

/// As we write it.
pub fn parquet() -> Vec<Vec<u8>> {
    vec![written(Format::Parquet, 3), written(Format::Parquet, 400)]
}

/// The query files of the grammar, whole and by statement.
pub fn query() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../grammar/queries");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("queries").map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    let mut all = vec![];
    for path in paths {
        let text = std::fs::read_to_string(path).expect("UTF-8");
        all.extend(text.split_inclusive(';').map(|s| s.as_bytes().to_vec()));
    }
    all
}

/// With and without checksums that are put right.
pub fn segment() -> Vec<Vec<u8>> {
    let mut all = vec![];
    for rows in [0, 3, 200] {
        let bytes = good_segment(rows);
        all.push([&[0][..], &bytes].concat());
        // More often than not: a wrong checksum is found at once.
        (0..3).for_each(|_| all.push([&[1][..], &bytes].concat()));
    }
    all
}
