//! From the arguments of a subcommand to the text of one statement.

use std::path::Path;

use starquake::lang::lex::RESERVED;
use starquake::model::time::Time;

use crate::args::{
    Channels, Command, CopyArgs, CoverageArgs, FetchArgs, FilesArgs, GapsArgs, ImportArgs, ImportKind,
    RefreshArgs, Selection, Times,
};
use crate::bulk::{self, Group};

/// Channel patterns that `--net A,B --sta C,D ...` may multiply to.
const PATTERNS: usize = 10_000;
/// Conditions that stand in a row with OR.
const ALTERNATIVES: usize = 500;
/// The pattern of every channel.
const ANY_CHANNEL: &str = "*.*.*.*";

/// The statement of a subcommand; `None` for those that are no statement. The error is a mistake in usage.
pub(crate) fn of(command: &Command) -> Result<Option<String>, String> {
    Ok(Some(match command {
        Command::Import(args) => import(args)?,
        Command::Refresh(args) => refresh(args),
        Command::Status(_) => "SHOW STATUS".to_owned(),
        Command::Fetch(args) => fetch(args)?,
        Command::Gaps(args) => gaps(args)?,
        Command::Coverage(args) => coverage(args)?,
        Command::Files(args) => files(args)?,
        Command::Copy(args) => copy(args)?,
        Command::Compact { name } => words("COMPACT", name.as_deref().map(name_of)),
        _ => return Ok(None),
    }))
}

/// A text literal.
pub(crate) fn text_of(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name: bare where it can be, else in double quotes.
pub(crate) fn name_of(name: &str) -> String {
    let mut chars = name.chars();
    let is_bare = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !RESERVED.contains(&name.to_ascii_uppercase().as_str());
    if is_bare { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn words(first: &str, rest: Option<String>) -> String {
    rest.map_or(first.to_owned(), |rest| format!("{first} {rest}"))
}

fn path_of(path: &Path) -> Result<String, String> {
    let text = path.to_str().ok_or_else(|| {
        format!(
            "the path {} is no UTF-8 and cannot stand in a statement: import its parent directory",
            path.display()
        )
    })?;
    Ok(text_of(text))
}

fn names(list: &[String]) -> String {
    list.iter().map(|name| name_of(name)).collect::<Vec<_>>().join(", ")
}

fn kind(kind: ImportKind) -> &'static str {
    match kind {
        ImportKind::Waveforms => "WAVEFORMS",
        ImportKind::Events => "EVENTS",
        ImportKind::Stations => "STATIONS",
        ImportKind::Catalog => "CATALOG",
    }
}

fn import(args: &ImportArgs) -> Result<String, String> {
    let mut out = format!("IMPORT {} {}", kind(args.kind), path_of(&args.path)?);
    let mut option = |word: &str, value: Option<String>| {
        if let Some(value) = value {
            out.push_str(&format!(" {word} {value}"));
        }
    };
    let one = |name: &Option<String>| name.as_deref().map(name_of);
    option("INTO", one(&args.into));
    option("FORMAT", one(&args.format));
    option("LAYOUT", args.layout.as_deref().map(|l| if name_of(l) == l { l.to_owned() } else { text_of(l) }));
    option("SEALED", args.sealed.as_deref().map(text_of));
    option("KEY", one(&args.key));
    option("POSITION", two_columns("--position", &args.position)?);
    option("MOTION", two_columns("--motion", &args.motion)?);
    option("FRAME", one(&args.frame));
    let is_year = |epoch: &str| epoch.parse::<f64>().is_ok();
    option("EPOCH", args.epoch.as_deref().map(|e| if is_year(e) { e.to_owned() } else { name_of(e) }));
    option("NULLS", pairs(&args.nulls));
    option("TIME", one(&args.time));
    option("SCALE", one(&args.scale));
    option("UNITS", pairs(&args.units));
    option("SORTED BY", (!args.sorted_by.is_empty()).then(|| names(&args.sorted_by)));
    option("NEAR", one(&args.near));
    option("WITHIN", args.within.clone());
    option("WHERE", args.condition.clone());
    out.push_str(if args.append { " APPEND" } else { "" });
    out.push_str(if args.replace { " REPLACE" } else { "" });
    Ok(out)
}

fn two_columns(option: &str, columns: &[String]) -> Result<Option<String>, String> {
    match columns {
        [] => Ok(None),
        [_, _] => Ok(Some(format!("({})", names(columns)))),
        _ => Err(format!("{option} takes two columns: {option} ra,dec")),
    }
}

fn pairs(list: &[(String, String)]) -> Option<String> {
    let list: Vec<String> = list.iter().map(|(name, value)| format!("{} {value}", name_of(name))).collect();
    (!list.is_empty()).then(|| format!("({})", list.join(", ")))
}

fn refresh(args: &RefreshArgs) -> String {
    let verb = match (args.dry_run, args.full) {
        (true, _) => "SHOW CHANGES",
        (_, true) => "REFRESH FULL",
        _ => "REFRESH",
    };
    words(verb, args.name.as_deref().map(name_of))
}

fn fetch(args: &FetchArgs) -> Result<String, String> {
    let mut out = format!("FETCH {} {} FROM {}", kind(args.kind), name_of(&args.name), text_of(&args.from));
    let mut option = |word: &str, value: Option<String>| {
        if let Some(value) = value {
            out.push_str(&format!(" {word} {value}"));
        }
    };
    option("QUERY", args.query.as_deref().map(text_of));
    let is_any = codes(&args.channels)? == ANY_CHANNEL;
    option("CODES", if is_any { None } else { Some(text_of(&codes(&args.channels)?)) });
    option("PARALLEL", args.parallel.map(|n| n.to_string()));
    out.push_str(&during(args.times.start, args.times.end)?);
    out.push_str(if args.replace { " REPLACE" } else { "" });
    Ok(out)
}

fn gaps(args: &GapsArgs) -> Result<String, String> {
    let mut options = String::new();
    for (word, value) in [("LONGER", &args.longer), ("TOLERANCE", &args.tolerance), ("DRIFT", &args.drift)] {
        options.push_str(&value.as_ref().map_or(String::new(), |v| format!(" {word} {v}")));
    }
    verb("GAPS", &args.selection, &options)
}

fn coverage(args: &CoverageArgs) -> Result<String, String> {
    let by = args.by.as_ref().map_or(String::new(), |by| format!(" BY {by}"));
    verb("COVERAGE", &args.selection, &by)
}

/// `GAPS OF 'codes' DURING a .. b options`, one behind the other for the spans of a request in bulk.
fn verb(name: &str, selection: &Selection, options: &str) -> Result<String, String> {
    let parts: Result<Vec<String>, String> = groups(selection)?
        .iter()
        .map(|g| Ok(format!("{name} OF {}{}{options}", text_of(&g.codes), during(g.start, g.end)?)))
        .collect();
    Ok(parts?.join(" UNION ALL "))
}

/// What is asked for: one group, or those of `--bulk`.
fn groups(selection: &Selection) -> Result<Vec<Group>, String> {
    match &selection.bulk {
        Some(path) => bulk::read(path),
        None => {
            let Times { start, end } = selection.times;
            Ok(vec![Group { codes: codes(&selection.channels)?, start, end }])
        }
    }
}

fn during(start: Option<Time>, end: Option<Time>) -> Result<String, String> {
    match (start, end) {
        (Some(start), Some(end)) => Ok(format!(" DURING {start} .. {end}")),
        (None, None) => Ok(String::new()),
        (Some(_), None) => Err("--start needs --end: missing data are told for a whole span".to_owned()),
        (None, Some(_)) => Err("--end needs --start: missing data are told for a whole span".to_owned()),
    }
}

fn files(args: &FilesArgs) -> Result<String, String> {
    let conditions: Vec<String> = groups(&args.selection)?.iter().map(condition).collect();
    Ok(format!("SELECT DISTINCT path FROM segments WHERE {}", any_of(&conditions)))
}

/// Each span of a request is a query of its own, so that its segments are cut to it.
fn copy(args: &CopyArgs) -> Result<String, String> {
    let select = |g: &Group| format!("SELECT * FROM segments WHERE {}", condition(g));
    let parts: Vec<String> = groups(&args.selection)?.iter().map(select).collect();
    let mut out = format!("COPY ({}) TO {}", parts.join(" UNION ALL "), path_of(&args.output)?);
    if let Some(format) = &args.format {
        out.push_str(&format!(" FORMAT {}", name_of(format)));
    }
    out.push_str(if args.replace { " REPLACE" } else { "" });
    Ok(out)
}

fn condition(group: &Group) -> String {
    let time = match (group.start, group.end) {
        (Some(start), Some(end)) => format!(" AND span OVERLAPS {start} .. {end}"),
        (Some(start), None) => format!(" AND endtime > {start}"),
        (None, Some(end)) => format!(" AND starttime < {end}"),
        (None, None) => String::new(),
    };
    format!("code MATCHES {}{time}", text_of(&group.codes))
}

/// Conditions with OR between them, in brackets where there are so many that the parser would refuse the row of them.
fn any_of(conditions: &[String]) -> String {
    if let [only] = conditions {
        return only.clone();
    }
    let mut level: Vec<String> = conditions.iter().map(|c| format!("({c})")).collect();
    while level.len() > ALTERNATIVES {
        level = level.chunks(ALTERNATIVES).map(|part| format!("({})", part.join(" OR "))).collect();
    }
    level.join(" OR ")
}

/// The pattern of all combinations of the four parts.
fn codes(channels: &Channels) -> Result<String, String> {
    if let Some(codes) = &channels.codes {
        return Ok(codes.clone());
    }
    let parts = [&channels.network, &channels.station, &channels.location, &channels.channel];
    let count = parts.iter().map(|p| p.len().max(1)).fold(1_usize, usize::saturating_mul);
    if count > PATTERNS {
        return Err(format!(
            "these lists make {count} patterns, the limit is {PATTERNS}: ask for fewer at a time"
        ));
    }
    let any = vec!["*".to_owned()];
    let mut patterns = vec![String::new()];
    for (i, part) in parts.into_iter().enumerate() {
        let dot = if i == 0 { "" } else { "." };
        let part = if part.is_empty() { &any } else { part };
        patterns =
            patterns.iter().flat_map(|head| part.iter().map(move |p| format!("{head}{dot}{p}"))).collect();
    }
    Ok(patterns.join(","))
}

#[cfg(test)]
mod tests {
    use starquake::lang::parse;

    use super::*;

    #[test]
    fn many_alternatives_parse() {
        for count in [1, 2, 500, 501, 3_000] {
            let conditions: Vec<String> = (0..count)
                .map(|i| format!("code MATCHES 'N.S{i}.*.*' AND span OVERLAPS 2024-01-01 .. 2024-01-02"))
                .collect();
            let text = format!("SELECT path FROM segments WHERE {}", any_of(&conditions));
            assert!(parse::statement("bulk", &text).is_ok(), "{count}");
            let verbs = vec!["GAPS OF 'N.S.*.*' DURING 2024-01-01 .. 2024-01-02"; count].join(" UNION ALL ");
            assert!(parse::statement("bulk", &verbs).is_ok(), "{count}");
        }
    }
}
