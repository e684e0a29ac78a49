//! Every bound of the program, in one place, with its unit in its name.

/// Deepest nesting of a query: brackets, NOT, signs, CASE, EXPLAIN and INCLUDE all count.
pub const QUERY_DEPTH: usize = 64;
/// Files that one script may include, each time counted.
pub const INCLUDES: usize = 1000;
/// Mistakes of a script that `check` tells one by one.
pub const ERRORS_TOLD: usize = 100;
/// Longest query text in bytes.
pub const QUERY_BYTES: usize = 16 << 20;
/// Most members of an IN list.
pub const IN_LIST_MEMBERS: usize = 1_000_000;

/// Rows of a batch that flows between operators.
pub const BATCH_ROWS: usize = 65_536;
/// Rows that a join or match may produce before it is refused.
pub const JOIN_ROWS: usize = 1 << 31;

/// Bytes of a checksummed block of a segment file.
pub const BLOCK_BYTES: usize = 64 << 10;
/// Bytes of the header page of a segment file.
pub const HEADER_BYTES: usize = 4096;
/// Largest `snapshot` file in bytes.
pub const SNAPSHOT_BYTES: u64 = 1 << 30;
/// Largest `manifest.redb` in bytes: it is read whole.
pub const MANIFEST_BYTES: u64 = 1 << 30;
/// redb page cache in bytes (its default of 1 GiB is far too much for a manifest).
pub const MANIFEST_CACHE_BYTES: usize = 8 << 20;

/// Bytes read from a waveform file at a time.
pub const READ_BLOCK_BYTES: usize = 256 << 10;
/// Waveform files whose rows are committed together.
pub const REFRESH_BATCH_FILES: usize = 4096;
/// Memory of the rows of waveform files that are committed together, in bytes: beyond it they are committed earlier.
pub const REFRESH_BATCH_BYTES: usize = 8 << 20;
/// A file modified this close to the scan is re-read next time, in ns.
pub const UNSURE_MTIME_NS: i64 = 2_000_000_000;
/// Records that are skipped over in search of the next header before a file is given up, in bytes.
pub const RESYNC_BYTES: u64 = 64 << 20;
/// Most samples of one decoded window.
pub const WINDOW_SAMPLES: usize = 50_000_000;
/// Parts of about one size before the writing statement merges them.
pub const DELTAS: usize = 8;
/// Most files of a part that is merged: their new numbers take 4 bytes each in memory.
pub const PART_FILES: usize = 4 << 20;
/// Most segments of a part that is merged: its sparse index takes 0.4 bytes each in memory until it is written.
pub const PART_SEGMENTS: usize = 32 << 20;

/// Deepest nesting of an XML file.
pub const XML_DEPTH: usize = 256;
/// Longest text or attribute in an XML file, in bytes.
pub const XML_TEXT_BYTES: usize = 10 << 20;
/// Longest line of a text file (CSV, hypoDD), in bytes.
pub const LINE_BYTES: usize = 1 << 20;
/// Most columns of a table.
pub const COLUMNS: usize = 10_000;
/// Allocation that is made on the word of a file before the claim is checked, in bytes.
pub const TRUSTED_ALLOCATION_BYTES: usize = 1 << 20;

/// Rows a terminal shows of a result.
pub const ROWS_SHOWN: usize = 40;
/// Part of the machine's memory that a statement may have unless it is told otherwise, in percent.
pub const MEMORY_PERCENT: u128 = 60;
/// Smallest memory budget of a statement, in bytes.
pub const MEMORY_LEAST_BYTES: usize = 16 << 20;
/// Rows of the table `refusals`; what is beyond is counted in the footer.
pub const REFUSALS: usize = 4_000_000;
