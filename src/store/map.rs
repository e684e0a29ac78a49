//! Maps of files we own, and Arrow buffers and arrays over them. The only unsafe code of the store; everything it
//! hands out is safe whatever bytes the file holds \[I23\].

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::types::ByteArrayType;
use arrow_array::{GenericByteArray, OffsetSizeTrait};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use memmap2::Mmap;

/// Rows whose offsets and text are checked together.
pub(super) const CHECKED_ROWS: usize = 65_536;

/// A whole file in memory, unmapped when the last buffer over it is gone.
#[derive(Debug)]
pub(super) struct Region {
    mmap: Mmap,
}

impl Region {
    /// Maps a published file. Such a file is never written or truncated \[I3\].
    pub(super) fn map(file: &File) -> io::Result<Arc<Region>> {
        // SAFETY: the map is sound as long as nobody changes the file under it. Published files are immutable [I3],
        // and only files of our own directory come here. Another process that breaks [I3] is outside what any
        // program that maps files can defend against; docs/disk-format.md says so at [I23].
        let mmap = unsafe { Mmap::map(file)? };
        Ok(Arc::new(Region { mmap }))
    }

    /// The whole file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.mmap
    }

    /// An Arrow buffer over a part of the file that keeps the map alive; `None` outside the file.
    pub(super) fn buffer(self: &Arc<Self>, range: Range<usize>) -> Option<Buffer> {
        let bytes = self.mmap.get(range)?;
        if bytes.is_empty() {
            return Some(Buffer::from_vec(Vec::<u64>::new()));
        }
        let start = NonNull::from(bytes).cast::<u8>();
        // SAFETY: `start` is valid for `bytes.len()` bytes while the map lives; `owner` is an Arc of the map.
        Some(unsafe { Buffer::from_custom_allocation(start, bytes.len(), Arc::clone(self) as _) })
    }
}

/// A column of texts or byte strings: offsets and values, checked by 65,536 rows when first used.
#[derive(Debug)]
pub(super) struct ByteColumn {
    offsets: Buffer,
    values: Buffer,
    rows: usize,
    is_text: bool,
    checked: Vec<AtomicBool>,
}

impl ByteColumn {
    /// `offsets` holds `rows + 1` numbers of type `O`, aligned for it; `None` otherwise.
    pub(super) fn new<O: OffsetSizeTrait>(
        buffers: (Buffer, Buffer),
        rows: usize,
        is_text: bool,
    ) -> Option<Self> {
        let (offsets, values) = buffers;
        let want = rows.checked_add(1)?.checked_mul(size_of::<O>())?;
        if offsets.len() != want || offsets.as_ptr().align_offset(align_of::<O>()) != 0 {
            return None;
        }
        let checked = (0..rows.div_ceil(CHECKED_ROWS)).map(|_| AtomicBool::new(false)).collect();
        Some(ByteColumn { offsets, values, rows, is_text, checked })
    }

    /// Bytes of the offsets buffer that belong to these rows, for block checks before [`Self::array`].
    pub(super) fn offset_bytes<O: OffsetSizeTrait>(&self, rows: &Range<usize>) -> Range<usize> {
        let rows = self.whole_chunks(rows);
        rows.start * size_of::<O>()..(rows.end + 1) * size_of::<O>()
    }

    fn whole_chunks(&self, rows: &Range<usize>) -> Range<usize> {
        let start = rows.start / CHECKED_ROWS * CHECKED_ROWS;
        start..rows.end.next_multiple_of(CHECKED_ROWS).min(self.rows)
    }

    /// The rows as an array. `verify` is asked, before they are read, for the values' bytes (relative to the values
    /// buffer); the bytes of [`Self::offset_bytes`] have been verified before.
    ///
    /// # Errors
    /// What `verify` says, or `damage` with a reason when offsets or text break \[I21\] or \[I22\].
    pub(super) fn array<T: ByteArrayType, E>(
        &self,
        rows: Range<usize>,
        nulls: Option<NullBuffer>,
        verify: impl Fn(Range<usize>) -> Result<(), E>,
        damage: impl Fn(&'static str) -> E,
    ) -> Result<GenericByteArray<T>, E> {
        let is_ours = rows.start <= rows.end
            && rows.end <= self.rows
            && self.offsets.len() == (self.rows + 1) * size_of::<T::Offset>()
            && (self.is_text || !is_text_type::<T>())
            && nulls.as_ref().is_none_or(|n| n.len() == rows.len());
        if !is_ours {
            return Err(damage("rows are asked for that the column does not have"));
        }
        if rows.is_empty() {
            return Ok(GenericByteArray::new_null(0));
        }
        let chunks = self.whole_chunks(&rows);
        for start in chunks.step_by(CHECKED_ROWS) {
            let flag = &self.checked[start / CHECKED_ROWS];
            if !flag.load(Ordering::Acquire) {
                self.check::<T::Offset, E>(start..(start + CHECKED_ROWS).min(self.rows), &verify, &damage)?;
                flag.store(true, Ordering::Release);
            }
        }
        let offsets = ScalarBuffer::new(self.offsets.clone(), rows.start, rows.len() + 1);
        // SAFETY: `check` has seen that these offsets are at least 0, never fall and end within `values`, and for
        // text that the bytes between them are UTF-8 with every offset on a character boundary; the file does not
        // change [I3]. The null buffer has the right length.
        Ok(unsafe {
            GenericByteArray::new_unchecked(OffsetBuffer::new_unchecked(offsets), self.values.clone(), nulls)
        })
    }

    fn check<O: OffsetSizeTrait, E>(
        &self,
        rows: Range<usize>,
        verify: impl Fn(Range<usize>) -> Result<(), E>,
        damage: impl Fn(&'static str) -> E,
    ) -> Result<(), E> {
        let offsets = &self.offsets.typed_data::<O>()[rows.start..=rows.end];
        let (first, last) = (offsets[0], offsets[rows.len()]);
        if !offsets.is_sorted() {
            return Err(damage("offsets fall [I21]"));
        }
        if first < O::zero() || last.as_usize() > self.values.len() {
            return Err(damage("an offset points outside the values [I21]"));
        }
        let range = first.as_usize()..last.as_usize();
        verify(range.clone())?;
        if self.is_text {
            let text =
                std::str::from_utf8(&self.values[range]).map_err(|_| damage("a text is not UTF-8 [I22]"))?;
            if !offsets.iter().all(|o| text.is_char_boundary(o.as_usize() - first.as_usize())) {
                return Err(damage("a text begins within a character [I22]"));
            }
        }
        Ok(())
    }
}

fn is_text_type<T: ByteArrayType>() -> bool {
    matches!(T::DATA_TYPE, arrow_schema::DataType::Utf8 | arrow_schema::DataType::LargeUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::types::{BinaryType, Utf8Type};
    use arrow_array::{Array, StringArray};

    fn texts(offsets: Vec<i32>, values: &str) -> Result<StringArray, &'static str> {
        let rows = offsets.len() - 1;
        let buffers = (Buffer::from_vec(offsets), Buffer::from(values.as_bytes()));
        let column = ByteColumn::new::<i32>(buffers, rows, true).unwrap();
        column.array::<Utf8Type, _>(0..rows, None, |_| Ok(()), |reason| reason)
    }

    #[test]
    fn offsets_and_text_are_checked() {
        assert_eq!(texts(vec![0, 1, 3], "aé").map(|a| a.value(1).to_owned()), Ok("é".to_owned()));
        assert_eq!(texts(vec![0], "").map(|a| a.len()), Ok(0));
        let cases = [
            (vec![0, 5], "abc", "an offset points outside the values [I21]"),
            (vec![-1, 2], "abc", "an offset points outside the values [I21]"),
            (vec![0, 2, 1], "abc", "offsets fall [I21]"),
            (vec![0, i32::MAX, 1], "abc", "offsets fall [I21]"),
            (vec![0, 1, 2], "é", "a text begins within a character [I22]"),
        ];
        for (offsets, values, want) in cases {
            assert_eq!(texts(offsets, values).map(|_| ()), Err(want));
        }
        let bytes = (Buffer::from_vec(vec![0, 1]), Buffer::from(&[0xff_u8][..]));
        let column = ByteColumn::new::<i32>(bytes, 1, true).unwrap();
        let got = column.array::<Utf8Type, _>(0..1, None, |_| Ok(()), |reason| reason);
        assert_eq!(got.map(|_| ()), Err("a text is not UTF-8 [I22]"));
    }

    #[test]
    fn refuses_what_does_not_belong() {
        let buffers = || (Buffer::from_vec(vec![0_i32, 1]), Buffer::from(&[0xff_u8][..]));
        assert!(ByteColumn::new::<i32>(buffers(), 2, true).is_none());
        assert!(ByteColumn::new::<i64>(buffers(), 1, true).is_none());
        let column = ByteColumn::new::<i32>(buffers(), 1, false).unwrap();
        let text = column.array::<Utf8Type, _>(0..1, None, |_| Ok(()), |reason| reason);
        assert!(text.is_err(), "bytes that were not checked as text are not text");
        let bytes = column.array::<BinaryType, _>(0..1, None, |_| Ok(()), |reason| reason);
        assert_eq!(bytes.map(|a| a.value(0).to_vec()), Ok(vec![0xff]));
        let beyond = column.array::<BinaryType, _>(0..2, None, |_| Ok(()), |reason| reason);
        assert!(beyond.is_err());
    }
}
