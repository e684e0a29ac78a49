//! The memory of a statement: every operator that keeps rows takes its bytes from one budget, and says which one it
//! is and what to do when they are not there.

use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::Array;

use crate::error::{Error, Result};
use crate::limits;
use crate::model::table::Batch;

/// Bytes that the operators of one statement may hold together.
#[derive(Debug)]
pub struct Budget {
    limit_bytes: usize,
    used_bytes: AtomicUsize,
}

/// Bytes that one operator holds; given back when it is dropped.
#[derive(Debug)]
pub struct Held<'a> {
    budget: &'a Budget,
    operator: &'static str,
    bytes: usize,
}

impl Default for Budget {
    /// The part of this machine's memory that a statement may have unless it is told otherwise.
    fn default() -> Budget {
        Budget::new(default_bytes())
    }
}

impl Budget {
    /// Of so many bytes.
    pub fn new(limit_bytes: usize) -> Budget {
        Budget { limit_bytes, used_bytes: AtomicUsize::new(0) }
    }

    /// The whole budget in bytes.
    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// For an operator, named as its errors shall name it: `GROUP BY`. It holds nothing yet.
    pub fn hold(&self, operator: &'static str) -> Held<'_> {
        Held { budget: self, operator, bytes: 0 }
    }

    /// Takes bytes to the end of the statement.
    ///
    /// # Errors
    /// `Limit` when they are not there.
    pub fn take(&self, operator: &'static str, bytes: usize) -> Result<()> {
        let before = self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.limit_bytes {
            return Ok(());
        }
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        Err(Error::Limit {
            what: format!("the memory of {operator} ({} with what is held already)", shown(before.saturating_add(bytes))),
            limit: shown(self.limit_bytes),
            help: "select fewer rows or columns before this step, or raise the budget: SET memory = '8 GiB', --memory 8GiB"
                .to_owned(),
        })
    }
}

impl Held<'_> {
    /// Holds so many bytes from now on.
    ///
    /// # Errors
    /// `Limit` when they are not there; what was held before stays held.
    pub fn set(&mut self, bytes: usize) -> Result<()> {
        if bytes > self.bytes {
            self.budget.take(self.operator, bytes - self.bytes)?;
        } else {
            self.budget.used_bytes.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Holds so many bytes more.
    ///
    /// # Errors
    /// As [`Held::set`].
    pub fn add(&mut self, bytes: usize) -> Result<()> {
        self.set(self.bytes.saturating_add(bytes))
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.budget.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes of the rows of a batch, whatever larger buffers they lie in.
pub fn batch_bytes(batch: &Batch) -> usize {
    let bytes = |a: &arrow_array::ArrayRef| {
        a.to_data().get_slice_memory_size().unwrap_or_else(|_| a.get_array_memory_size())
    };
    batch.columns().iter().map(bytes).sum()
}

/// `limits::MEMORY_PERCENT` of the memory of the machine.
fn default_bytes() -> usize {
    let info = rustix::system::sysinfo();
    let bytes = u128::from(info.totalram) * u128::from(info.mem_unit.max(1));
    let part = bytes * limits::MEMORY_PERCENT / 100;
    usize::try_from(part).unwrap_or(usize::MAX).max(limits::MEMORY_LEAST_BYTES)
}

/// `1.5 GiB`
pub fn shown(bytes: usize) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.iter().find(|(_, bits)| bytes >> bits > 0) {
        Some((unit, bits)) => format!("{:.1} {unit}", bytes as f64 / (1u64 << bits) as f64),
        None => format!("{bytes} bytes"),
    }
}

/// Bytes of a size as SET and `--memory` write it: a number and one of kB MB GB TB KiB MiB GiB TiB.
///
/// # Errors
/// What is wrong, as a phrase.
pub fn parse_bytes(text: &str) -> Result<usize, String> {
    const UNITS: [(&str, f64); 8] = [
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("TiB", 1_099_511_627_776.0),
    ];
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '_')).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: Option<f64> = number.replace('_', "").parse().ok();
    let scale = UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, scale)| *scale);
    let (Some(number), Some(scale)) = (number, scale) else {
        let names: Vec<&str> = UNITS.iter().map(|(name, _)| *name).collect();
        return Err(format!("a size is a number and one of {}: '500 MB'", names.join(", ")));
    };
    let bytes = number * scale;
    if bytes < limits::MEMORY_LEAST_BYTES as f64 {
        return Err(format!("a statement needs {} at least", shown(limits::MEMORY_LEAST_BYTES)));
    }
    Ok(bytes as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases = [
            ("2 GB", Ok(2_000_000_000)),
            ("1.5GiB", Ok(1_610_612_736)),
            ("64 MiB", Ok(64 << 20)),
            ("1_000 kB", Err(())),
            ("1 kB", Err(())),
            ("2 gb", Err(())),
            ("GB", Err(())),
            ("3", Err(())),
            ("", Err(())),
            ("99999999 TiB", Ok(usize::MAX)),
        ];
        for (text, want) in cases {
            assert_eq!(parse_bytes(text).map_err(|_| ()), want, "{text}");
        }
    }

    #[test]
    fn bytes_come_back() {
        let budget = Budget::new(100);
        let mut held = budget.hold("ORDER BY");
        assert!(held.set(60).is_ok() && budget.take("a view", 40).is_ok());
        assert!(matches!(held.add(1), Err(Error::Limit { .. })));
        assert_eq!(held.bytes(), 60);
        drop(held);
        assert!(budget.take("a view", 60).is_ok() && budget.take("a view", 1).is_err());
        assert!(budget.take("a view", usize::MAX).is_err());
    }
}
