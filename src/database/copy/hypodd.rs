//! COPY ... FORMAT hypodd.

use std::io::Write;

use arrow_array::Array;
use arrow_array::cast::AsArray;

use crate::engine::bind::Context;
use crate::engine::exec;
use crate::engine::expr::{floats, integers};
use crate::engine::plan::Node;
use crate::error::{Error, Result};
use crate::format::hypodd::{DtccLink, write_dtcc};
use crate::model::table::Batch;
use crate::model::time::Time;

/// dt.cc from the rows of CORRELATE, whatever else the query selected.
pub(super) fn write(node: &Node, mut out: Box<dyn Write + Send>, context: &Context<'_>) -> Result<u64> {
    let batch = exec::collect_one(node, context)?;
    let links = links(&batch, context)?;
    let count = write_dtcc(&mut out, &links)?;
    out.flush().map_err(|e| Error::io("write", "dt.cc", e))?;
    if count.left_out > 0 {
        context.notices.footer(format!(
            "{} links left out: P and Pn of one station, the earlier is kept",
            count.left_out
        ));
    }
    context.notices.footer(format!("{} pairs", count.pairs));
    Ok(count.lines as u64)
}

fn links(batch: &Batch, context: &Context<'_>) -> Result<Vec<DtccLink>> {
    let column = |name: &str| {
        batch.column_by_name(name).ok_or_else(|| {
            Error::refused(
                format!("FORMAT hypodd needs the rows of CORRELATE: there is no column `{name}`"),
                "COPY CORRELATE events ... TO 'dt.cc' FORMAT hypodd",
            )
        })
    };
    let text = |name: &str| -> Result<Vec<Option<String>>> {
        let texts = column(name)?.as_string_opt::<i32>().ok_or_else(|| {
            Error::refused(
                format!("column `{name}` is no text: these are not rows of CORRELATE"),
                "COPY CORRELATE events ... TO 'dt.cc' FORMAT hypodd",
            )
        })?;
        Ok(texts.iter().map(|v| v.map(str::to_owned)).collect())
    };
    let (event1, event2) = (text("event1")?, text("event2")?);
    let (network, station, phase) = (text("network")?, text("station")?, text("phase")?);
    let (dt, weight) = (floats(column("dt")?)?, floats(column("weight")?)?);
    let events = Events::new(context)?;
    let mut links = vec![];
    for row in (0..batch.num_rows()).filter(|&i| dt.is_valid(i)) {
        let find = |id: &Option<String>| events.find(id.as_deref().unwrap_or(""));
        let ((number1, origin1), (number2, origin2)) = (find(&event1[row])?, find(&event2[row])?);
        links.push(DtccLink {
            event1: number1,
            event2: number2,
            network: network[row].clone().unwrap_or_default(),
            station: station[row].clone().unwrap_or_default(),
            phase: phase[row].clone().unwrap_or_default(),
            dt_s: dt.value(row),
            weight: weight.value(row),
            origin1,
            origin2,
            arrival1: Time(0),
        });
    }
    Ok(links)
}

/// Number and origin of every event.
struct Events(std::collections::HashMap<String, (i64, Time)>);

impl Events {
    /// The source's numbers where they are unique over all sources, else 1..n in table order.
    fn new(context: &Context<'_>) -> Result<Events> {
        let batch = crate::engine::ops::verbs::built_in("events", context)?;
        let column = |name: &str| {
            batch.column_by_name(name).cloned().ok_or_else(|| Error::refused("events have no numbers", ""))
        };
        let (ids, numbers, times) =
            (column("event_id")?, integers(&column("number")?)?, integers(&column("time")?)?);
        let ids = ids.as_string::<i32>();
        let mut seen = std::collections::HashSet::new();
        let is_unique = (0..batch.num_rows()).all(|i| numbers.is_valid(i) && seen.insert(numbers.value(i)));
        let number = |i: usize| if is_unique { numbers.value(i) } else { i as i64 + 1 };
        let timed = (0..batch.num_rows()).filter(|&i| times.is_valid(i));
        Ok(Events(timed.map(|i| (ids.value(i).to_owned(), (number(i), Time(times.value(i))))).collect()))
    }

    fn find(&self, id: &str) -> Result<(i64, Time)> {
        self.0.get(id).copied().ok_or_else(|| {
            Error::refused(
                format!("event `{id}` is not in the table of events"),
                "IMPORT EVENTS brings it in",
            )
        })
    }
}
