//! The house: every room stands on a floor, imports only point down, `unsafe` is fenced, files stay short. A file
//! names a room with `crate::room`, alone or in a group, in code or in a comment; all of it counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Rooms by floor, from the ground up.
const FLOORS: &[&[&str]] = &[
    &["error", "limits", "progress"],
    &["model", "signal", "geometry", "stats"],
    &["format", "lang"],
    &["store"],
    &["index"],
    &["engine", "ingest"],
    &["database"],
];
/// Lines of a file before its tests.
const FILE_LINES: usize = 500;
/// The one file that may be unsafe.
const UNSAFE: &str = "store/map.rs";

/// Path below `src` and text of every source file.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut pending = vec![root.clone()];
    let mut files = BTreeMap::new();
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let below = path.strip_prefix(&root).expect("below src").display().to_string();
                files.insert(below, fs::read_to_string(&path).expect("UTF-8"));
            }
        }
    }
    assert!(files.len() > 100, "{} files", files.len());
    files
}

/// The first part of a path below `src`: `engine` of `engine/ops/sort.rs` and of `engine.rs`.
fn room_of(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(text: &str) -> &str {
    let text = text.trim_start();
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

/// What follows each `prefix` in a text: one name, or the first names in the braces of a group.
fn named_after<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices(prefix).filter(|(at, _)| !text[..*at].ends_with(is_word)) {
        let rest = text[at + prefix.len()..].trim_start();
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut member = 0;
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    names.insert(word(&group[member..i]));
                    member = i + 1;
                }
                _ => {}
            }
            if c == '}' && depth == 0 && member == i + 1 {
                break;
            }
        }
    }
    names.remove("");
    names
}

/// What is wrong with the imports of one file.
fn import_faults(path: &str, text: &str) -> Vec<String> {
    let room = room_of(path);
    let mut faults = vec![];
    if text.contains(&["super", "super"].join("::")) {
        faults.push(format!("{path}: two steps up; write crate::..."));
    }
    let Some(floor) = floor_of(room) else {
        faults.push(format!("{path}: the room `{room}` stands on no floor"));
        return faults;
    };
    let mut named = named_after(text, "crate::");
    if path == format!("{room}.rs") || path == format!("{room}/mod.rs") {
        // `super` is the crate here.
        named.extend(named_after(text, "super::").into_iter().filter(|name| floor_of(name).is_some()));
    }
    for other in named.into_iter().filter(|other| *other != room) {
        match floor_of(other) {
            None => faults.push(format!("{path} names `{other}`, which stands on no floor")),
            Some(below) if below < floor => {}
            Some(_) => faults.push(format!("{path} on floor {floor} names `{other}`, which is not below it")),
        }
    }
    faults
}

fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn imports_only_point_down() {
    let sources = sources();
    let mut faults = vec![];
    for (path, text) in sources.iter().filter(|(path, _)| *path != "lib.rs") {
        if path.starts_with("bin/") {
            // A crate of its own: the compiler holds it to the public names, unless it takes files of the library in.
            faults.extend(text.contains("#[path").then(|| format!("{path} takes a file of the library in")));
        } else {
            faults.extend(import_faults(path, text));
        }
    }
    // A room has a file of its own; what lib.rs only re-exports stands nowhere.
    let rooms = sources["lib.rs"].lines().filter(|l| l.ends_with(';'));
    for line in rooms.filter_map(|l| l.strip_prefix("pub mod ")) {
        let room = word(line);
        faults.extend(floor_of(room).is_none().then(|| format!("the room `{room}` stands on no floor")));
    }
    none(faults);
}

#[test]
fn the_rule_sees_what_it_must() {
    let cases = [
        ("store/a.rs", "use crate::error::Error;", 0),
        ("store/a.rs", "use crate::engine::exec;", 1),
        ("engine/a.rs", "use crate::{\n    ingest::{walk, build},\n    model,\n};", 1),
        ("engine/a.rs", "use crate::{error, {limits}, index::archive::{self, Part}, database};", 1),
        ("ingest/a.rs", "fn f() { crate::engine::exec::rows() }", 1),
        ("signal/a.rs", "use crate::stats;", 1),
        ("lang/mod.rs", "use super::format;", 1),
        ("lang/a/b.rs", "use super::format;", 0),
        ("attic/a.rs", "", 1),
        ("store/a.rs", "use crate::attic::Box;", 1),
        ("store/a.rs", "pub(crate) fn my_crate::engine() {}", 0),
    ];
    for (path, text, faults) in cases {
        assert_eq!(
            import_faults(path, text).len(),
            faults,
            "{path}: {text}: {:?}",
            import_faults(path, text)
        );
    }
}

#[test]
fn only_one_file_is_unsafe() {
    let mut faults = vec![];
    for (path, text) in sources() {
        let has = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or("");
            code.split(|c| !is_word(c)).any(|w| w == "unsafe" || w == "unsafe_code")
        });
        faults.extend((has != (path == UNSAFE)).then(|| format!("{path}: unsafe belongs in {UNSAFE} alone")));
    }
    none(faults);
}

#[test]
fn files_are_short() {
    let is_test = |path: &str| path.split('/').any(|part| part == "tests" || part.ends_with("tests.rs"));
    let mut faults = vec![];
    for (path, text) in sources().into_iter().filter(|(path, _)| !is_test(path)) {
        let lines: Vec<&str> = text.lines().collect();
        // A module of tests stands at the end; `#[cfg(test)]` on a single item does not end the count.
        let tests = lines
            .windows(2)
            .position(|w| w[0] == "#[cfg(test)]" && w[1].ends_with('{') && w[1].contains("mod "));
        let count = tests.unwrap_or(lines.len());
        faults.extend(
            (count > FILE_LINES).then(|| format!("{path} has {count} lines, {FILE_LINES} are enough")),
        );
    }
    none(faults);
}
