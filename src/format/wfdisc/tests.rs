use std::path::Path;

use super::*;
use crate::format::waveform::{read, read_samples as read_part, scan as scan_file};

/// A line of a wfdisc.
fn line(datatype: &str, place: (&str, &str, u64), npts: u32) -> String {
    let (dir, file, offset) = place;
    format!(
        "{:<6} {:<8} {:>17} {:>8} {:>8} {:>8} {:>17} {:>8} {:>11} {:>16} {:>16} {:<6} {:1} {datatype:<2} {:1} {dir:<64} {file:<32} {offset:>10} {:>8} {:<17}\n",
        "STA1",
        "HHZ",
        "1296474900.01250",
        1,
        1,
        2_011_031,
        "1296474959.98800",
        npts,
        "80.0",
        "1.0",
        "1.0",
        "3ESPC",
        "-",
        "-",
        0,
        "2011/01/31"
    )
}

/// The same as the NNSA writes it.
fn nnsa(line: &str) -> String {
    let text = line.trim_end();
    format!("{:<287}\n", format!("{} {}", &text[..52], &text[52..]))
}

fn world(lines: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.wfdisc"), lines).unwrap();
    dir
}

#[test]
fn every_type_of_fixed_width_is_read() {
    let cases: [(&str, Vec<u8>); 9] = [
        ("s2", [-2_i16, 5, 7].iter().flat_map(|v| v.to_be_bytes()).collect()),
        ("i2", [-2_i16, 5, 7].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("s3", vec![0xff, 0xff, 0xfe, 0, 0, 5, 0, 0, 7]),
        ("s4", [-2_i32, 5, 7].iter().flat_map(|v| v.to_be_bytes()).collect()),
        ("i4", [-2_i32, 5, 7].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("t4", [-2_f32, 5.0, 7.0].iter().flat_map(|v| v.to_be_bytes()).collect()),
        ("f4", [-2_f32, 5.0, 7.0].iter().flat_map(|v| v.to_le_bytes()).collect()),
        ("t8", [-2_f64, 5.0, 7.0].iter().flat_map(|v| v.to_be_bytes()).collect()),
        ("f8", [-2_f64, 5.0, 7.0].iter().flat_map(|v| v.to_le_bytes()).collect()),
    ];
    for (datatype, bytes) in cases {
        for (dir, is_packed, is_nnsa) in [("./", false, false), ("sub", false, true), ("", true, false)] {
            let text = line(datatype, (dir, "x.w", 11), 3);
            let world = world(&if is_nnsa { nnsa(&text) } else { text });
            let wfdisc = world.path().join("a.wfdisc");
            std::fs::create_dir_all(world.path().join(dir)).unwrap();
            let data = [&[9; 11][..], &bytes].concat();
            if is_packed {
                let file = File::create(world.path().join("x.w.gz")).unwrap();
                let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
                io::Write::write_all(&mut packer, &data).unwrap();
                packer.finish().unwrap();
            } else {
                std::fs::write(world.path().join(dir).join("x.w"), &data).unwrap();
            }
            let scan = scan_file(&wfdisc).unwrap();
            assert_eq!((scan.state, scan.format, scan.records.len()), (State::Ok, "css3.0", 1), "{datatype}");
            assert_eq!(scan.streams[0].code, ChannelCode::new("", "STA1", "", "HHZ"));
            let record = &scan.records[0];
            assert_eq!((record.start, record.npts), (Time(1_296_474_900_012_500_000), 3));
            let piece = &read(&wfdisc, &scan.records).unwrap()[0];
            assert_eq!((&*piece.samples, piece.integrity_ok), (&[-2.0, 5.0, 7.0][..], true), "{datatype}");
            let part = read_part(&wfdisc, record, 1, 9).unwrap();
            assert_eq!((&*part.samples, part.start.0), (&[5.0, 7.0][..], record.start.0 + 12_500_000));
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let cases = [
        ("s4", "gone.w", "gone.w"),
        ("e1", "x.w", "the data type e1 of a wfdisc is not read"),
        ("c0", "x.w", "the data type c0 of a wfdisc is not read"),
        ("s4", "directory", "not a regular file"),
    ];
    for (datatype, name, want) in cases {
        let world = world(&line(datatype, ("", name, 0), 4));
        std::fs::write(world.path().join("x.w"), [0; 16]).unwrap();
        std::fs::create_dir(world.path().join("directory")).unwrap();
        let wfdisc = world.path().join("a.wfdisc");
        let scan = scan_file(&wfdisc).unwrap();
        assert_eq!((scan.state, scan.records[0].npts), (State::Ok, 4), "{name}: the segment stays");
        let error = read(&wfdisc, &scan.records).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
    let world = world(&line("s4", ("", "x.w", 8), 4));
    std::fs::write(world.path().join("x.w"), [0; 16]).unwrap();
    let scan = scan_file(&world.path().join("a.wfdisc")).unwrap();
    assert_eq!((scan.records[0].npts, scan.flags), (2, flags::WFDISC | flags::LYING_COUNT));
}

#[test]
fn lines_are_known_by_their_content() {
    let good = line("s4", ("", "x.w", 0), 4);
    assert_eq!(good.len(), 284);
    let with = |from: &str, to: &str| good.replacen(from, to, 1);
    let others = [
        with("1296474900.01250", "-9999999999.9990"),
        with("1296474900.01250", "1296474900 01250"),
        with("80.0", "-1.0"),
        with("80.0", " nan"),
        with("    4 ", "   -4 "),
        good[..280].to_owned(),
        String::new(),
    ];
    for text in others {
        let world = world(&text);
        assert_eq!(scan_file(&world.path().join("a.wfdisc")).unwrap().state, State::Other, "{text}");
    }
    let world = world(&[&good, "no line\n", &good.replace('\n', "\r\n"), "\n", &good].concat());
    let scan = scan_file(&world.path().join("a.wfdisc")).unwrap();
    let told = (scan.state, scan.records.len(), scan.bytes_skipped, scan.bad_offset);
    assert_eq!(told, (State::Partly, 3, 8, Some(284)));
    let offsets: Vec<u64> = scan.records.iter().map(|r| r.offset).collect();
    assert_eq!(offsets, [0, 292, 578]);
    assert!(Path::new("/a/b").join("/c") == Path::new("/c"), "absolute directories stand alone");
}
