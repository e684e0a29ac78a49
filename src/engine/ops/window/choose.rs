//! One answer where copies overlap and their samples do not lie on the same times: the preferred copy, as far as it
//! goes. (Copies on the same times are compared sample by sample where records are joined.)

use super::assemble::COPY_TIME_S;
use super::{Piece, same_rate};
use crate::model::time::Time;

/// Stretches that overlap by no more samples are no copies: their clock stepped.
const JITTER_SAMPLES: f64 = 5.0;

/// What a stretch covers.
#[derive(Clone, Copy)]
struct Span {
    start: Time,
    length_s: f64,
    interval_s: f64,
}

/// A piece with the number of its stretch.
type Kept = (usize, Piece);

/// The records of several stretches, the preferred stretch first, without those samples of a later one that stand
/// where an earlier one has other times; and whether there were such.
pub(super) fn choose(stretches: Vec<Vec<Piece>>) -> (Vec<Piece>, bool) {
    let spans: Vec<Option<Span>> = stretches.iter().map(|p| span(p)).collect();
    let mut kept: Vec<Kept> = Vec::new();
    let mut differ = false;
    for (at, pieces) in stretches.into_iter().enumerate() {
        let copies: Vec<bool> = spans.iter().take(at).map(|s| are_copies(*s, spans[at])).collect();
        let mut chosen = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let (rest, differs) = without_conflicts(piece, &kept, &copies);
            differ |= differs;
            chosen.extend(rest.into_iter().map(|p| (at, p)));
        }
        kept.extend(chosen);
        kept.sort_by_key(|p| p.1.start);
    }
    (kept.into_iter().map(|k| k.1).collect(), differ)
}

fn is_usable(piece: &Piece) -> bool {
    piece.sampling_rate_hz > 0.0 && piece.sampling_rate_hz.is_finite()
}

fn length_s(piece: &Piece) -> f64 {
    piece.samples.len() as f64 / piece.sampling_rate_hz
}

/// Start of a stretch, its length and sampling interval in seconds.
fn span(pieces: &[Piece]) -> Option<Span> {
    let interval_s = pieces.iter().find(|p| is_usable(p)).map(|p| 1.0 / p.sampling_rate_hz)?;
    let start = pieces.iter().filter(|p| is_usable(p)).map(|p| p.start).min()?;
    let ends = pieces.iter().filter(|p| is_usable(p)).map(|p| p.start.seconds_since(start) + length_s(p));
    Some(Span { start, length_s: ends.fold(0.0, f64::max), interval_s })
}

/// Do two stretches overlap by more than jitter?
fn are_copies(a: Option<Span>, b: Option<Span>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return false };
    let offset_s = b.start.seconds_since(a.start);
    let overlap_s = a.length_s.min(offset_s + b.length_s) - offset_s.max(0.0);
    overlap_s > JITTER_SAMPLES * a.interval_s.max(b.interval_s)
}

/// What is left of a piece beside the kept ones, which are sorted by start, of the stretches that are copies of it.
fn without_conflicts(piece: Piece, kept: &[Kept], copies: &[bool]) -> (Vec<Piece>, bool) {
    if !is_usable(&piece) {
        return (vec![piece], false);
    }
    let of_copies = |k: &&Kept| copies.get(k.0).copied().unwrap_or(false) && is_usable(&k.1);
    let longest_s = kept.iter().filter(of_copies).map(|k| length_s(&k.1)).fold(0.0, f64::max);
    let behind = |k: &Piece| k.start.seconds_since(piece.start) >= length_s(&piece);
    let end = kept.partition_point(|k| !behind(&k.1));
    let near = kept.get(..end).unwrap_or_default().iter().rev();
    let near = near.take_while(|k| piece.start.seconds_since(k.1.start) <= longest_s);
    let conflicts: Vec<&Piece> =
        near.filter(of_copies).map(|k| &k.1).filter(|k| conflict(&piece, k)).collect();
    let differs = !conflicts.is_empty();
    let mut rest = vec![piece];
    for taken in conflicts {
        rest = rest.into_iter().flat_map(|p| outside(p, taken)).collect();
    }
    (rest, differs)
}

/// Do they share time, and not on the same grid of samples?
fn conflict(a: &Piece, b: &Piece) -> bool {
    let offset_s = b.start.seconds_since(a.start);
    let half_s = 0.5 / a.sampling_rate_hz;
    if offset_s >= length_s(a) - half_s || offset_s + length_s(b) <= half_s {
        return false;
    }
    let steps = offset_s * a.sampling_rate_hz;
    !same_rate(a.sampling_rate_hz, b.sampling_rate_hz)
        || (steps - steps.round()).abs() / a.sampling_rate_hz > COPY_TIME_S
}

/// The samples of `piece` before and behind those of `taken`, by the sample that each instant is nearest to.
fn outside(piece: Piece, taken: &Piece) -> Vec<Piece> {
    let rate = piece.sampling_rate_hz;
    let count = piece.samples.len();
    let place = |s: f64| ((s * rate - 1e-6).ceil().max(0.0) as usize).min(count);
    let half_s = 0.5 / taken.sampling_rate_hz;
    let from_s = taken.start.seconds_since(piece.start) - half_s;
    let (first, end) = (place(from_s), place(from_s + length_s(taken)));
    let part = |from: usize, to: usize| {
        let start = piece.start.plus_seconds(from as f64 / rate)?;
        let samples = piece.samples.get(from..to).filter(|s| !s.is_empty())?.to_vec();
        Some(Piece { start, sampling_rate_hz: rate, samples })
    };
    if first >= end {
        return vec![piece];
    }
    [part(0, first), part(end, count)].into_iter().flatten().collect()
}
