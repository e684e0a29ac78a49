use super::*;
use crate::limits::{XML_DEPTH, XML_TEXT_BYTES};
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;

fn read_text(text: &str) -> EventSet {
    read(Path::new("x.xml"), &mut text.as_bytes()).expect("memory can be read")
}

fn reasons(set: &EventSet) -> Vec<(Option<u64>, &str)> {
    set.problems.iter().map(|p| (p.offset, p.reason.as_str())).collect()
}

fn document(events: &str) -> String {
    format!("<quakeml><eventParameters>{events}</eventParameters></quakeml>")
}

const EVENT: &str = "<event publicID='e1'><preferredOriginID> o2 </preferredOriginID>
  <preferredMagnitudeID>m2</preferredMagnitudeID>
  <pick publicID='p1'><time><value>2024-02-29T10:00:00.1234567894Z</value><uncertainty>0.02</uncertainty></time>
    <waveformID networkCode='XX' stationCode='A&amp;B' channelCode='HHZ'/><phaseHint>P</phaseHint>
    <evaluationMode>manual</evaluationMode><polarity>positive</polarity></pick>
  <pick publicID='p2'><time><value>2024-02-29T10:00:02Z</value><lowerUncertainty>0.1</lowerUncertainty>
    <upperUncertainty>0.3</upperUncertainty></time><waveformID stationCode='A'/><phaseHint>S</phaseHint></pick>
  <origin publicID='o1'><time><value>2024-02-29T00:00:00Z</value></time></origin>
  <origin publicID='o2'><time><value>2024-02-29T12:00:00+02:00</value></time><latitude><value>1.5</value></latitude>
    <longitude><value>190</value></longitude><depth><value>10450</value></depth>
    <arrival><pickID>p1</pickID><phase>Pg</phase><timeWeight>0.5</timeWeight></arrival>
    <arrival><pickID>gone</pickID><phase>S</phase></arrival></origin>
  <magnitude publicID='m1'><mag><value>1</value></mag></magnitude>
  <magnitude publicID='m2'><mag><value>2.5</value></mag><type>Mw</type></magnitude>
  <focalMechanism><waveformID stationCode='Q'/></focalMechanism></event>";

#[test]
fn preferred_parts_are_joined() {
    let set = read_text(&document(EVENT));
    let e = &set.events[0];
    assert_eq!(e.time.map(|t| t.to_string()), Some("2024-02-29T10:00:00Z".into()));
    let place = (e.latitude, e.longitude, e.depth_km, e.magnitude, e.magnitude_type.as_deref());
    assert_eq!(place, (Some(1.5), Some(-170.0), Some(10.45), Some(2.5), Some("Mw")));
    let (p, s) = (&set.picks[0], &set.picks[1]);
    assert_eq!(p.time.map(|t| t.to_string()), Some("2024-02-29T10:00:00.123456789Z".into()));
    let codes = [&p.network, &p.station, &p.location, &p.channel].map(|c| c.as_deref());
    assert_eq!(codes, [Some("XX"), Some("A&B"), Some(""), Some("HHZ")]);
    assert_eq!((p.phase.as_deref(), p.weight, p.uncertainty_s), (Some("Pg"), Some(0.5), Some(0.02)));
    assert_eq!((p.mode.as_deref(), p.polarity.as_deref()), (Some("manual"), Some("positive")));
    assert_eq!((s.phase.as_deref(), s.weight, s.uncertainty_s), (Some("S"), Some(1.0), Some(0.3)));
    assert_eq!((s.network.as_deref(), s.location.as_deref()), (None, None));
    assert_eq!(reasons(&set).len(), 1, "one arrival without pick");
}

#[test]
fn parts_may_be_missing_and_prefixes_may_be_any() {
    let cases = [
        ("<event/>", 1, 0, 0),
        ("<event publicID='a'/><event publicID='a'/>", 1, 0, 1),
        ("<event><origin><latitude><value>95</value></latitude></origin></event>", 1, 0, 1),
        ("<event><origin><time><value>soon</value></time></origin></event>", 1, 0, 1),
        ("<event><origin><depth><value>1,5</value></depth></origin></event>", 1, 0, 1),
        ("<event><pick/><pick/></event>", 1, 2, 0),
        ("<event><pick publicID='p'/><pick publicID='p'/></event>", 1, 1, 1),
        ("<event><preferredOriginID>none</preferredOriginID><origin/></event>", 1, 0, 0),
        ("", 0, 0, 0),
    ];
    for (body, events, picks, problems) in cases {
        let set = read_text(&document(body));
        assert_eq!(
            (set.events.len(), set.picks.len(), set.problems.len()),
            (events, picks, problems),
            "{body}"
        );
    }
    let prefixed = "<a:quakeml xmlns:a='http://quakeml.org/xmlns/quakeml/1.2' xmlns:b='http://quakeml.org/xmlns/bed/1.2'
        xmlns:x='urn:other'><b:eventParameters><x:event/><b:event publicID='e'><x:origin/></b:event></b:eventParameters></a:quakeml>";
    let set = read_text(prefixed);
    assert_eq!((set.events.len(), set.problems.len()), (1, 0), "strangers are walked over");
}

#[test]
fn hostile_files_are_refused_with_a_reason() {
    let bomb = "<!DOCTYPE z [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>";
    let deep = format!("{}{}", "<a>".repeat(XML_DEPTH + 10), "</a>".repeat(XML_DEPTH + 10));
    let text = "x".repeat(XML_TEXT_BYTES + 20_000);
    let cases = [
        (format!("{bomb}{}", document("<event>&b;</event>")), 0, "declares entities"),
        (
            format!("<!DOCTYPE q SYSTEM 'http://127.0.0.1:9/x.dtd'>{}", document("<event>&a;</event>")),
            0,
            "`&a;`",
        ),
        (document(&format!("<event publicID='a'/><event>{deep}</event>")), 1, "nested deeper than 256"),
        (document(&format!("<event publicID='a'/><event><!--{text}--></event>")), 1, "longer than 10 MiB"),
        (
            document(&format!("<event publicID='a'/><event><pick publicID='{text}'/></event>")),
            1,
            "longer than 10 MiB",
        ),
        (document("<event publicID='a'/><event></origin></event>"), 1, "expected `</event>`"),
        ("<VOTABLE/>".to_owned(), 0, "the root element is `VOTABLE`"),
        ("<quakeml xmlns='urn:x'><event/></quakeml>".to_owned(), 0, "of another namespace"),
        (String::new(), 0, "no element"),
        ("#EventID|Time|Latitude\n1|2|3\n".to_owned(), 0, "text outside the root element"),
        (format!("{}\0\0\0", document("<event/>")), 1, "text outside the root element"),
    ];
    for (text, events, want) in cases {
        let set = read_text(&text);
        let start: String = text.chars().take(60).collect();
        assert_eq!((set.events.len(), set.problems.len()), (events, 1), "{start}: {:?}", reasons(&set));
        assert!(set.problems[0].reason.contains(want), "{start}: {}", set.problems[0].reason);
    }
}

#[test]
fn latin_1_is_read_where_it_is_declared() {
    let text = |encoding: &str| {
        let mut bytes =
            format!("<?xml version='1.0' encoding='{encoding}'?><quakeml><eventParameters>").into_bytes();
        bytes.extend(b"<event publicID='Z\xfcrich'></event><event publicID='b'></origin>");
        bytes
    };
    let set = read(Path::new("x"), &mut text("ISO-8859-1").as_slice()).expect("read");
    assert_eq!(set.events.iter().map(|e| e.event_id.as_str()).collect::<Vec<_>>(), ["Z\u{fc}rich"]);
    let fault = text("ISO-8859-1").windows(3).position(|w| w == b"</o").map(|p| p as u64);
    assert_eq!(set.problems[0].offset, fault, "offsets count bytes of the file");
    let set = read(Path::new("x"), &mut text("UTF-8").as_slice()).expect("read");
    assert_eq!((set.events.len(), set.problems.len()), (0, 1), "{:?}", reasons(&set));
}

#[test]
fn a_cut_file_keeps_its_complete_events() {
    let text = document(&format!("{EVENT}<event publicID='e2'><pick publicID='q'/></event>"));
    let ends: Vec<usize> = text.match_indices("</event>").map(|m| m.0 + 8).collect();
    for cut in 0..text.len() {
        let set = read_text(&text[..cut]);
        assert_eq!(set.events.len(), ends.iter().filter(|e| **e <= cut).count(), "cut at {cut}");
        assert!(!set.problems.is_empty(), "cut at {cut}");
        assert!(set.problems.iter().all(|p| p.offset.is_some_and(|o| o <= cut as u64)), "cut at {cut}");
    }
}

#[test]
fn content_is_recognised() {
    let cases: &[(&[u8], bool)] = &[
        (b"<?xml version='1.0'?>\n<!-- <a> -->\n<q:quakeml xmlns:q=''>", true),
        (b"\xef\xbb\xbf<quakeml>", true),
        (b"<FDSNStationXML>", false),
        (b"<quakeml", false),
        (b"#EventID|Time", false),
        (b"", false),
    ];
    for (head, want) in cases {
        assert_eq!(sniff(head), *want, "{}", String::from_utf8_lossy(head));
    }
}

fn events_strategy() -> impl Strategy<Value = (Vec<EventRow>, Vec<PickRow>)> {
    let number = |a: f64, b: f64| proptest::option::of(a..b);
    let event = (
        "[a-z][a-z<&' ]{0,8}",
        any::<i64>(),
        number(-90.0, 90.0),
        number(-180.0, 180.0),
        0..700_000_i32,
        number(-2.0, 9.0),
    );
    let pick =
        (any::<i64>(), proptest::option::of("[A-Z]{1,5}"), "[A-Z0-9]{1,5}", "(Pg|S|pP)", number(-1.0, 1.0));
    let one = (event, proptest::collection::vec(pick, 0..4));
    proptest::collection::vec(one, 0..5).prop_map(|rows| {
        let (mut events, mut picks) = (Vec::new(), Vec::new());
        for (i, ((id, ns, lat, lon, depth_m, mag), own)) in rows.into_iter().enumerate() {
            let event_id = format!("{id}{i}x");
            for (k, (ns, network, station, phase, weight)) in own.into_iter().enumerate() {
                picks.push(PickRow {
                    pick_id: format!("{event_id}/{k}"),
                    event_id: event_id.clone(),
                    network,
                    station: Some(station),
                    location: Some(String::new()),
                    channel: Some("HHZ".into()),
                    phase: Some(phase),
                    time: Some(Time(ns)),
                    uncertainty_s: weight.map(f64::abs),
                    weight: weight.or(Some(1.0)),
                    mode: Some("manual".into()),
                    polarity: None,
                });
            }
            events.push(EventRow {
                event_id,
                number: 0,
                time: Some(Time(ns)),
                latitude: lat,
                longitude: lon,
                depth_km: Some(f64::from(depth_m) / 1000.0),
                magnitude: mag,
                magnitude_type: mag.map(|_| "Mw".into()),
            });
        }
        (events, picks)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read((events, picks) in events_strategy()) {
        let mut bytes = Vec::new();
        write_quakeml(&mut bytes, &events, &picks).expect("write");
        let got = read(Path::new("x"), &mut bytes.as_slice()).expect("read");
        let want = EventSet::finish(events, picks, Problems::new(Path::new("x")));
        prop_assert_eq!(got, want);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..2000) {
        let mut text = document(EVENT).into_bytes();
        let at = at.min(text.len());
        text.splice(at..(at + bytes.len() / 2).min(text.len()), bytes.iter().copied());
        read(Path::new("x"), &mut text.as_slice()).expect("memory");
        read(Path::new("x"), &mut bytes.as_slice()).expect("memory");
    }
}

fn xml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("folder").flatten() {
        let path = entry.path();
        match path.extension().and_then(|e| e.to_str()) {
            _ if path.is_dir() => xml_files(&path, found),
            Some("xml" | "staxml" | "vot" | "qml") => found.push(path),
            _ => {}
        }
    }
}

#[test]
fn real_files_agree_with_the_truth() {
    let Ok(root) = std::env::var("STARQUAKE_DATA") else {
        eprintln!("skipped: STARQUAKE_DATA is not set");
        return;
    };
    let truth = fs::read_to_string(Path::new(&root).join("truth/events.csv")).expect("truth");
    let mut n_picks = 0;
    for wanted in truth.lines().skip(1) {
        let w: Vec<&str> = wanted.split(',').collect();
        let path = Path::new(&root).join(w[0]);
        let bytes = fs::read(&path).expect("file");
        assert!(sniff(&bytes[..512]), "{wanted}");
        let set = read(&path, &mut bytes.as_slice()).expect("read");
        let e = set.events.iter().find(|e| e.event_id == w[2]).expect("the event");
        assert_eq!(e.time.map(|t| t.0), w[9].parse().ok(), "{wanted}");
        let got = [e.latitude, e.longitude, e.depth_km.map(|km| km * 1000.0), e.magnitude];
        assert_eq!(got, [w[10], w[11], w[12], w[13]].map(|v| v.parse().ok()), "{wanted}");
        assert_eq!(e.magnitude_type.as_deref(), Some(w[14]));
        let picks = set.picks.iter().filter(|p| p.event_id == w[2]).count();
        assert_eq!(picks.to_string(), w[5], "{wanted}");
        assert_eq!(reasons(&set), [], "{wanted}");
        n_picks += picks;
    }
    assert_eq!(n_picks, 117);
    let mut files = Vec::new();
    xml_files(Path::new(&root), &mut files);
    assert!(files.len() > 50);
    for path in files {
        let bytes = fs::read(&path).expect("file");
        let events = read(&path, &mut bytes.as_slice()).expect("read");
        let stations = crate::format::stationxml::read(&path, &mut bytes.as_slice()).expect("read");
        assert!(events.events.is_empty() != events.problems.is_empty(), "{}", path.display());
        assert!(stations.stations.is_empty() != stations.problems.is_empty(), "{}", path.display());
    }
}
