//! WHERE and NEAR of IMPORT WAVEFORMS against names, and layouts: which files are never opened.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{Db, shown};
use crate::tree::{mseed, old, put};

/// Two networks, three stations, two channels, three days, in SDS; one file whose name tells nothing; one that cannot
/// be read at all, so that opening it is seen.
fn plant(root: &Path) {
    for (network, station) in [("XX", "AAA"), ("XX", "BBB"), ("YY", "AAA")] {
        for channel in ["HHZ", "LHZ"] {
            for day in 1..=3 {
                let id = format!("{network}.{station}..{channel}");
                let bytes = mseed(&id, &format!("2024-01-0{day}T00:00:00"), 1.0, 300);
                let name = format!("2024/{network}/{station}/{channel}.D/{id}.D.2024.00{day}");
                put(&root.join(name), &bytes, old(day));
            }
        }
    }
    put(&root.join("odd.mseed"), &mseed("ZZ.ODD.00.HHZ", "2024-01-02T00:00:00", 1.0, 100), old(9));
    let bad = &mseed("XX.BAD..HHZ", "2024-01-01T00:00:00", 1.0, 100)[..100];
    put(&root.join("2024/XX/BAD/HHZ.D/XX.BAD..HHZ.D.2024.001"), bad, old(9));
}

fn files(db: &mut Db) -> BTreeSet<String> {
    let name =
        |path: &String| path.rsplit('/').next().unwrap_or(path).replace(".D.2024.00", "/").replace("..", ".");
    db.rows("SELECT path FROM files").iter().map(|row| name(&row[0])).collect()
}

/// Every planted name that a filter keeps, by `NET.STA.CHA/day`.
fn planted(keeps: &dyn Fn(&str, &str, &str, u32) -> bool) -> BTreeSet<String> {
    let mut names = BTreeSet::from(["odd.mseed".to_owned()]);
    for (network, station, channel, day) in [("XX", "AAA"), ("XX", "BBB"), ("YY", "AAA"), ("XX", "BAD")]
        .iter()
        .flat_map(|(n, s)| ["HHZ", "LHZ"].map(|c| (*n, *s, c)))
        .flat_map(|(n, s, c)| (1..=3).map(move |d| (n, s, c, d)))
    {
        let exists = station != "BAD" || (channel == "HHZ" && day == 1);
        if exists && keeps(network, station, channel, day) {
            names.insert(format!("{network}.{station}.{channel}/{day}"));
        }
    }
    names
}

#[test]
fn a_name_that_says_no_is_never_opened() {
    type Keeps = dyn Fn(&str, &str, &str, u32) -> bool;
    let two = "NEAR (SELECT 2024-01-01T23:30:00 AS time, 'XX' AS network, 'AAA' AS station
        UNION ALL SELECT 2024-01-03T12:00:00, 'YY', 'AAA') WITHIN 1 h";
    let no_network = "NEAR (SELECT 2024-01-02T12:00:00 AS time, 'AAA' AS station) WITHIN 1 min";
    let anywhere = "NEAR (SELECT 2024-01-02T12:00:00 AS time) WITHIN 1 min";
    let cases: &[(&str, &Keeps)] = &[
        ("", &|_, _, _, _| true),
        ("WHERE station = 'AAA'", &|_, s, _, _| s == "AAA"),
        ("LAYOUT SDS WHERE sta = 'AAA' AND net <> 'YY'", &|n, s, _, _| s == "AAA" && n != "YY"),
        ("WHERE code MATCHES 'XX.*.*.H*'", &|n, _, c, _| n == "XX" && c == "HHZ"),
        ("WHERE span OVERLAPS '2024-002'", &|_, _, _, d| d == 2),
        ("WHERE starttime >= 2024-01-02", &|_, _, _, d| d >= 2),
        ("WHERE NOT (station IN ('AAA', 'BAD'))", &|_, s, _, _| s == "BBB"),
        // Both say no only where the station is another one and the day too.
        ("WHERE station = 'BBB' OR span OVERLAPS '2024-003'", &|_, s, _, d| s == "BBB" || d == 3),
        (two, &|n, s, _, d| s == "AAA" && if n == "XX" { d <= 2 } else { d == 3 }),
        (no_network, &|_, s, _, d| s == "AAA" && d == 2),
        (anywhere, &|_, _, _, d| d == 2),
        ("WHERE cha = 'HHZ' NEAR (SELECT 2024-01-02T12:00:00 AS time) WITHIN 1 min", &|_, _, c, d| {
            c == "HHZ" && d == 2
        }),
        // A pattern of the user's; what it does not name is kept.
        ("LAYOUT '{net}.{sta}.{loc}.{cha}.D.{year}.{doy}' WHERE sta = 'BBB'", &|_, s, _, _| s == "BBB"),
        ("LAYOUT 'nothing_{sta}' WHERE sta = 'BBB'", &|_, _, _, _| true),
    ];
    for (options, keeps) in cases {
        let mut db = Db::new();
        let root = db.dir.path().join("arc");
        plant(&root);
        let message = db.run(&format!("IMPORT WAVEFORMS '{}' INTO arc {options}", root.display()));
        let want = planted(keeps);
        assert_eq!(files(&mut db), want, "{options}");
        let opened = format!("{} files opened", want.len());
        assert!(
            message[0].message.as_ref().unwrap().contains(&opened),
            "{options}: {:?}",
            message[0].message
        );
        // The selection stays with the source.
        let before = db.rows("SHOW CHANGES arc");
        assert!(before.is_empty(), "{options}: {before:?}");
        let late = root.join("2024/XX/AAA/HHZ.D/XX.AAA..HHZ.D.2024.009");
        put(&late, &mseed("XX.AAA..HHZ", "2024-01-09T00:00:00", 1.0, 10), old(1));
        db.run("REFRESH arc");
        let is_in = files(&mut db).contains("XX.AAA.HHZ/9");
        assert_eq!(is_in, keeps("XX", "AAA", "HHZ", 9), "{options}");
    }
}

#[test]
fn a_selection_is_told_and_can_be_changed() {
    let mut db = Db::new();
    let root = db.dir.path().join("arc");
    plant(&root);
    let import = format!("IMPORT WAVEFORMS '{}' INTO arc", root.display());
    db.run(&format!("{import} LAYOUT SDS WHERE station = 'BBB'"));
    let options = db.value("SELECT options FROM sources");
    assert!(options.contains("layout SDS") && options.contains("WHERE station = 'BBB'"), "{options}");
    // Wider: the others come in, nothing is read twice.
    let wider = db.run(&import).remove(0).message.unwrap();
    assert!(wider.contains("13 files opened") && wider.contains("7 unchanged"), "{wider}");
    // Narrower again: what is known stays.
    let narrow = db.run(&format!("{import} WHERE station = 'BBB'")).remove(0).message.unwrap();
    assert!(narrow.contains("0 files opened, 20 unchanged"), "{narrow}");
    assert_eq!(files(&mut db), planted(&|_, _, _, _| true));
    let notices = db.run(&format!("{import} LAYOUT BUD")).remove(0).notices;
    assert!(notices.iter().any(|n| n.contains("LAYOUT BUD: 20 files not named so")), "{notices:?}");
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let mut db = Db::new();
    let root = db.dir.path().join("arc");
    plant(&root);
    for (options, message, help) in [
        ("WHERE sampling_rate > 50", "no column `sampling_rate`", "paths tell"),
        ("WHERE station = $x", "$x has no value", "LET"),
        ("NEAR arc WITHIN 1 h", "`arc`", ""),
        ("NEAR events WITHIN 10 km", "WITHIN", ""),
        ("NEAR stations WITHIN 1 h", "NEAR takes a table with a column `time`", "NEAR picks WITHIN 1 h"),
        ("LAYOUT seiscomp", "`seiscomp` is neither a layout nor a pattern", "SDS, BUD, FDSN"),
        ("LAYOUT '{sta}.{foo}'", "unknown field `{foo}`", "fields: network"),
    ] {
        let error = shown(&db.error(&format!("IMPORT WAVEFORMS '{}' INTO arc {options}", root.display())));
        assert!(error.contains(message) && error.contains(help), "{options}\n{error}");
        assert_eq!(db.value("SELECT count(*) FROM files"), "0", "{options}");
    }
}
