use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;

use super::*;
use crate::engine::ops::pair::{Event, MaxSep, Pick};
use crate::engine::ops::window::{Piece, Stretch};
use crate::model::station::ChannelCode;
use crate::model::time::Time;

mod components;
mod fdtcc;
mod oracle;
mod synthetic;

/// Waveforms in memory: one record per entry.
#[derive(Default)]
struct Memory(Vec<(ChannelCode, Piece)>);

impl Memory {
    fn add(&mut self, code: &ChannelCode, start: Time, rate: f64, samples: Vec<f64>) {
        self.0.push((code.clone(), Piece { start, sampling_rate_hz: rate, samples }));
    }
}

fn end(piece: &Piece) -> Time {
    piece.start.plus_seconds(piece.samples.len() as f64 / piece.sampling_rate_hz).expect("in range")
}

impl Waveforms for Memory {
    fn find(&self, network: Option<&str>, station: &str, span: (Time, Time)) -> Result<Vec<Stretch>> {
        let asked = |code: &ChannelCode| code.station == station && network.is_none_or(|n| n == code.network);
        let inside = |p: &Piece| p.start <= span.1 && end(p) > span.0;
        let found = self.0.iter().enumerate().filter(|(_, (code, piece))| asked(code) && inside(piece));
        let stretch = |(row, (code, piece)): (usize, &(ChannelCode, Piece))| Stretch {
            code: code.clone(),
            start: piece.start,
            end: end(piece),
            npts: piece.samples.len() as u64,
            sampling_rate_hz: piece.sampling_rate_hz,
            path: Arc::from(Path::new("memory")),
            row: row as u64,
        };
        Ok(found.map(stretch).collect())
    }

    fn read(&self, stretch: &Stretch, _: (Time, Time)) -> Result<Vec<Piece>> {
        Ok(vec![self.0[stretch.row as usize].1.clone()])
    }

    fn networks(&self, station: &str) -> Result<Vec<String>> {
        Ok(self.0.iter().filter(|e| e.0.station == station).map(|e| e.0.network.clone()).collect())
    }
}

fn phase(name: &str, components: &str, window_s: (f64, f64), lag_s: f64) -> PhaseSpec {
    PhaseSpec {
        phase: Phase::parse(name),
        components: Components::parse(components).expect("components"),
        window_s,
        lag_s,
        filter: Some(Filter::pass(2.0, 8.0)),
        min_cc: 0.0,
    }
}

fn spec(phases: Vec<PhaseSpec>) -> Spec {
    let pairs = PairSpec { max_separation: Some(MaxSep::All), ..PairSpec::default() };
    Spec { pairs, phases, ..Spec::default() }
}

fn text(batch: &Batch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).expect(name).as_string::<i32>();
    column.iter().map(|v| v.unwrap_or("").to_owned()).collect()
}

fn float(batch: &Batch, name: &str) -> Vec<f64> {
    batch.column_by_name(name).expect(name).as_primitive::<Float64Type>().values().to_vec()
}

fn pick(station: &str, phase: &str, time: Time) -> Pick {
    Pick {
        pick_id: String::new(),
        network: None,
        station: Arc::from(station),
        location: None,
        channel: None,
        phase: Phase::parse(phase),
        time,
        weight: 1.0,
        mode: 1,
    }
}
