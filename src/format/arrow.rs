//! Arrow IPC out: the file format (`.arrow`, `.feather`), which readers map and open at any batch, and the stream
//! format (`.arrows`), which a pipe can carry. Units, UCDs and descriptions go along as field metadata.
//! Apache Arrow columnar format, "Serialization and Interprocess Communication (IPC)".

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{ArrowError, DataType};

use crate::error::{Error, Result};
use crate::model::table::{Batch, Schema};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;

type Out<'a> = BufWriter<Box<dyn Write + Send + 'a>>;

/// Writes Arrow IPC.
pub struct Writer<'a> {
    path: PathBuf,
    types: Vec<DataType>,
    ipc: Ipc<'a>,
}

enum Ipc<'a> {
    File(Box<FileWriter<Out<'a>>>),
    Stream(Box<StreamWriter<Out<'a>>>),
}

impl<'a> Writer<'a> {
    /// Starts the file (`is_stream`: the stream).
    ///
    /// # Errors
    /// The output refuses it.
    pub fn new(
        path: &Path,
        schema: &Schema,
        is_stream: bool,
        out: Box<dyn Write + Send + 'a>,
    ) -> Result<Self> {
        let (arrow, out) = (schema.arrow(), BufWriter::with_capacity(BUFFER_BYTES, out));
        let ipc = if is_stream {
            StreamWriter::try_new(out, &arrow).map(|w| Ipc::Stream(Box::new(w)))
        } else {
            FileWriter::try_new(out, &arrow).map(|w| Ipc::File(Box::new(w)))
        };
        let types = schema.columns.iter().map(|c| c.data_type.clone()).collect();
        Ok(Writer { path: path.to_path_buf(), types, ipc: ipc.map_err(|e| write_error(path, e))? })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// The output refuses them, or they are not of the columns the file was begun with: Arrow's own writer would
    /// take them, and the file would be damaged.
    pub fn write(&mut self, batch: &Batch) -> Result<()> {
        if !batch.columns().iter().map(|c| c.data_type()).eq(&self.types) {
            let reason = "the rows are not of the types that the file was begun with";
            return Err(Error::io("write", &self.path, io::Error::other(reason)));
        }
        let written = match &mut self.ipc {
            Ipc::File(w) => w.write(batch),
            Ipc::Stream(w) => w.write(batch),
        };
        written.map_err(|e| write_error(&self.path, e))
    }

    /// Writes the footer or the end of the stream, and flushes.
    ///
    /// # Errors
    /// The output refuses it.
    pub fn finish(self) -> Result<()> {
        let ended = match self.ipc {
            Ipc::File(mut w) => w.finish().and_then(|()| w.flush()),
            Ipc::Stream(mut w) => w.finish().and_then(|()| w.flush()),
        };
        ended.map_err(|e| write_error(&self.path, e))
    }
}

fn write_error(path: &Path, error: ArrowError) -> Error {
    let source = match error {
        ArrowError::IoError(_, e) => e,
        other => io::Error::other(other.to_string()),
    };
    Error::io("write", path, source)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::{Arc, Mutex};

    use arrow_array::{Float64Array, Int64Array, NullArray, TimestampNanosecondArray};
    use arrow_ipc::reader::{FileReader, StreamReader};

    use super::*;
    use crate::model::table::{Column, Type};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn table() -> (Schema, Batch) {
        let schema = Schema::new(vec![
            Column::typed("id", Type::Int),
            Column::typed("ra", Type::Float).with_unit("deg"),
            Column::typed("t", Type::Time),
            Column::typed("nothing", Type::Null),
        ]);
        let batch = Batch::try_new(
            schema.arrow(),
            vec![
                Arc::new(Int64Array::from(vec![Some(i64::MAX), None])),
                Arc::new(Float64Array::from(vec![0.1, -1e300])),
                Arc::new(TimestampNanosecondArray::from(vec![Some(1), None]).with_timezone("UTC")),
                Arc::new(NullArray::new(2)),
            ],
        );
        (schema, batch.unwrap())
    }

    #[test]
    fn both_forms_read_back_as_written() {
        let (schema, batch) = table();
        for is_stream in [false, true] {
            let sink = Sink::default();
            let mut writer = Writer::new("x".as_ref(), &schema, is_stream, Box::new(sink.clone())).unwrap();
            writer.write(&batch).unwrap();
            writer.write(&schema.empty()).unwrap();
            writer.write(&batch.slice(1, 1)).unwrap();
            writer.finish().unwrap();
            let bytes = Cursor::new(sink.0.lock().unwrap().clone());
            let (read_schema, batches): (_, Vec<Batch>) = if is_stream {
                let reader = StreamReader::try_new(bytes, None).unwrap();
                (reader.schema(), reader.map(|b| b.unwrap()).collect())
            } else {
                let reader = FileReader::try_new(bytes, None).unwrap();
                (reader.schema(), reader.map(|b| b.unwrap()).collect())
            };
            assert_eq!(Schema::from_arrow(&read_schema), schema);
            assert_eq!(batches, [batch.clone(), schema.empty(), batch.slice(1, 1)]);
        }
    }

    #[test]
    fn rows_of_other_types_are_refused() {
        let (schema, batch) = table();
        let mut writer = Writer::new("x".as_ref(), &schema, false, Box::new(Sink::default())).unwrap();
        let error = writer.write(&batch.project(&[1, 0, 2, 3]).unwrap()).unwrap_err().to_string();
        assert!(error.contains("not of the types"), "{error}");
    }
}
