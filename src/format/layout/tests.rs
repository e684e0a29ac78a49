use super::*;

fn shown(layout: &str, path: &str) -> Option<String> {
    let layout = if layout.is_empty() { Layout::any() } else { Layout::parse(layout).unwrap() };
    let named = layout.read(path.as_bytes())?;
    let text = |part: &Option<String>| part.clone().unwrap_or_else(|| "?".to_owned());
    let time = |time: Option<Time>| time.map_or("?".to_owned(), |t| t.to_string());
    let code = [&named.network, &named.station, &named.location, &named.channel].map(text).join(".");
    Some(format!("{code} {} {}", time(named.start), time(named.end)))
}

#[test]
fn names_tell_channel_and_time() {
    let day = "2024-02-29T00:00:00Z 2024-03-01T00:00:00Z";
    let cases: &[(&str, &str, Option<String>)] = &[
        ("", "2024/IU/ANMO/BHZ.D/IU.ANMO.00.BHZ.D.2024.060", Some(format!("IU.ANMO.00.BHZ {day}"))),
        ("SDS", "2024/IU/ANMO/BHZ.D/IU.ANMO..BHZ.D.2024.060", Some(format!("IU.ANMO..BHZ {day}"))),
        // The directory and the name must say the same.
        ("sds", "2024/IU/ANMO/BHN.D/IU.ANMO.00.BHZ.D.2024.060", None),
        ("SDS", "2023/IU/ANMO/BHZ.D/IU.ANMO.00.BHZ.D.2023.366", None),
        ("BUD", "IU/ANMO/ANMO.IU.--.BHZ.2024.060", Some(format!("IU.ANMO..BHZ {day}"))),
        ("", "IU/ANMO/ANMO.IU.00.BHZ.2024.060", Some(format!("IU.ANMO.00.BHZ {day}"))),
        (
            "",
            "waveforms/IU.ANMO.00.BHZ__20240229T100000Z__20240229T110000Z.mseed",
            Some("IU.ANMO.00.BHZ 2024-02-29T10:00:00Z 2024-02-29T11:00:00Z".to_owned()),
        ),
        (
            "FDSN",
            "any/where/IU.ANMO.00.BHZ__20240229T100000Z__20240229T110000Z",
            Some("IU.ANMO.00.BHZ 2024-02-29T10:00:00Z 2024-02-29T11:00:00Z".to_owned()),
        ),
        (
            "{network}.{station}.{location}.{channel}__{start}__{end}.mseed",
            "IU.ANMO..BHZ__20240229T100000Z__20240229T110000Z.mseed",
            Some("IU.ANMO..BHZ 2024-02-29T10:00:00Z 2024-02-29T11:00:00Z".to_owned()),
        ),
        (
            "{sta}/{year}{month}{day}{hour}{minute}{second}.{cha}.*",
            "ANMO/20240229103015.BHZ.SAC",
            Some("?.ANMO.?.BHZ 2024-02-29T10:30:15Z ?".to_owned()),
        ),
        (
            "{sta}_{year}{month}",
            "a/b/ANMO_202402",
            Some("?.ANMO.?.? 2024-02-01T00:00:00Z 2024-03-01T00:00:00Z".to_owned()),
        ),
        (
            "{sta}_{year}",
            "ANMO_2024",
            Some("?.ANMO.?.? 2024-01-01T00:00:00Z 2025-01-01T00:00:00Z".to_owned()),
        ),
        (
            "{sta}.{year}{doy}.{hour}.??",
            "ANMO.2024060.23.Z1",
            Some("?.ANMO.?.? 2024-02-29T23:00:00Z 2024-03-01T00:00:00Z".to_owned()),
        ),
        ("{sta}.{year}{doy}.{hour}", "ANMO.2024060.24", None),
        ("{net}.{sta}.*", "IU.ANMO.whatever", Some("IU.ANMO.?.? ? ?".to_owned())),
        ("{net}.{sta}.*", "IU.ANMO", None),
        ("", "README", None),
    ];
    for (layout, path, want) in cases {
        assert_eq!(shown(layout, path), *want, "{layout} on {path}");
    }
}

#[test]
fn patterns_that_are_none_are_explained() {
    for (pattern, want) in [
        ("SEISCOMP", "`SEISCOMP` is neither a layout nor a pattern with fields"),
        ("{statoin}", "unknown field `{statoin}`"),
        ("{net", "the field `{net` of the pattern is not closed"),
        ("net}", "`}` without `{` in the pattern"),
    ] {
        assert_eq!(Layout::parse(pattern).map_err(|e| e.reason), Err(want.to_owned()));
    }
}

#[test]
fn patterns_of_many_stars_end() {
    let layout = Layout::parse(&format!("{}{{net}}x", "*".repeat(40))).unwrap();
    assert_eq!(layout.read("a".repeat(4000).as_bytes()), None);
}

#[test]
fn bytes_that_are_no_text_are_unknown() {
    assert_eq!(Layout::any().read(b"\xff\xfe/IU/ANMO"), None);
}
