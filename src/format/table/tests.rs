//! All readers and writers through the front door, on made files and, with STARQUAKE_DATA, on real ones.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

use super::*;
use crate::limits::LINE_BYTES;
use crate::model::table::Type;

/// Where a writer of the tests writes.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn written(format: Format, schema: &Schema, batches: &[Batch]) -> Vec<u8> {
    let sink = Sink::default();
    let mut writer = Writer::new(format, Path::new("out"), schema, Box::new(sink.clone())).unwrap();
    batches.iter().for_each(|b| writer.write(b).unwrap());
    writer.finish().unwrap();
    std::mem::take(&mut *sink.0.lock().unwrap())
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Types, rows as NDJSON, notices; or the error.
fn read(bytes: &[u8]) -> Result<(String, String, Vec<String>), String> {
    let file = file(bytes);
    let mut table = open(file.path()).map_err(|e| e.to_string())?;
    let types: Vec<&str> = table.schema.columns.iter().map(|c| c.kind().name()).collect();
    let batches: Vec<Batch> = table.by_ref().collect::<Result<_>>().map_err(|e| e.to_string())?;
    let rows: usize = batches.iter().map(Batch::num_rows).sum();
    assert_eq!(table.rows, Some(rows as u64));
    let json = String::from_utf8(written(Format::Ndjson, &table.schema, &batches)).unwrap();
    Ok((types.join(" "), json, table.notices()))
}

#[test]
fn csv_cells_and_types() {
    let cases: &[(&str, &str, &str)] = &[
        // the traps
        ("a;b\n1,5;x\n2,5;y\n", "TEXT TEXT", r#"{"a":"1,5","b":"x"}|{"a":"2,5","b":"y"}"#),
        ("a,b\n\"1,5\",1\n", "TEXT INT", r#"{"a":"1,5","b":1}"#),
        ("a\n1_000\n", "TEXT", r#"{"a":"1_000"}"#),
        ("a\n0x1p3\n", "TEXT", r#"{"a":"0x1p3"}"#),
        ("a,b\n1e400,1\n2,3\n", "FLOAT INT", r#"{"a":null,"b":1}|{"a":2.0,"b":3}"#),
        ("a,b\nnan,1\n2.5,3\n", "FLOAT INT", r#"{"a":null,"b":1}|{"a":2.5,"b":3}"#),
        ("a,b\n-inf,1\n2.5,3\n", "FLOAT INT", r#"{"a":null,"b":1}|{"a":2.5,"b":3}"#),
        ("a,b\n,1\n2,\n", "INT INT", r#"{"a":null,"b":1}|{"a":2,"b":null}"#),
        ("a,b\nnull,1\n2,NA\n", "INT INT", r#"{"a":null,"b":1}|{"a":2,"b":null}"#),
        ("net,n\nNA,1\nNA,2\n", "TEXT INT", r#"{"net":"NA","n":1}|{"net":"NA","n":2}"#),
        // exact integers, codes
        (
            "a\n9223372036854775807\n-9223372036854775808\n",
            "INT",
            r#"{"a":9223372036854775807}|{"a":-9223372036854775808}"#,
        ),
        (
            "a,b\n9223372036854775808,1\n2,2\n",
            "TEXT INT",
            r#"{"a":"9223372036854775808","b":1}|{"a":"2","b":2}"#,
        ),
        ("loc,n\n00,1\n10,2\n", "TEXT INT", r#"{"loc":"00","n":1}|{"loc":"10","n":2}"#),
        ("a,b\n1,1\n0.1,2\n", "FLOAT INT", r#"{"a":1.0,"b":1}|{"a":0.1,"b":2}"#),
        // other types
        ("a,b\nTrue,1\nfalse,2\n", "BOOL INT", r#"{"a":true,"b":1}|{"a":false,"b":2}"#),
        ("a,b\ntrue,1\n7,2\n", "TEXT INT", r#"{"a":"true","b":1}|{"a":"7","b":2}"#),
        (
            "t,b\n2024-02-29T10:00:00.5,1\n2024-03-01,2\n9999-01-01,3\n",
            "TIME INT",
            r#"{"t":"2024-02-29T10:00:00.500Z","b":1}|{"t":"2024-03-01T00:00:00Z","b":2}|{"t":null,"b":3}"#,
        ),
        ("a,b\n,x\n,\n", "TEXT TEXT", r#"{"a":null,"b":"x"}|{"a":null,"b":null}"#),
        ("a,b\n 7 , x \n", "INT TEXT", r#"{"a":7,"b":" x "}"#),
        // splitting
        ("\u{feff}a,b\r\n1,2\r\n\r\n3,4\r\n", "INT INT", r#"{"a":1,"b":2}|{"a":3,"b":4}"#),
        ("a\tb\n1\tx,y\n", "INT TEXT", r#"{"a":1,"b":"x,y"}"#),
        ("a|b\n1|2", "INT INT", r#"{"a":1,"b":2}"#),
        ("a,b\n\"x\"\"y\",\"l1\nl2\"\n", "TEXT TEXT", r#"{"a":"x\"y","b":"l1\nl2"}"#),
        ("a,b\nx,\"y\"", "TEXT TEXT", r#"{"a":"x","b":"y"}"#),
        ("a,b\n", "TEXT TEXT", ""),
        ("10.5,-3.25\n11.5,4\n", "FLOAT FLOAT", r#"{"c1":10.5,"c2":-3.25}|{"c1":11.5,"c2":4.0}"#),
        (",a,a\n1,2,3\n", "INT INT INT", r#"{"c1":1,"a":2,"a_2":3}"#),
        ("#ra, dec\n1,2\n", "INT INT", r#"{"ra":1,"dec":2}"#),
        ("# made by\n# hand\n1,2\n", "INT INT", r#"{"c1":1,"c2":2}"#),
        ("# made by hand\na,b\n1,2\n", "INT INT", r#"{"a":1,"b":2}"#),
    ];
    for (text, types, rows) in cases {
        let got = read(text.as_bytes()).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!(
            (got.0.as_str(), got.1.trim_end().replace('\n', "|").as_str()),
            (*types, *rows),
            "{text:?}"
        );
    }
    let latin = read(b"a,b\n\xe9t\xe9,1\n").map(|r| r.1);
    assert_eq!(latin, Ok("{\"a\":\"\\\\xE9t\\\\xE9\",\"b\":1}\n".to_owned()));
}

#[test]
fn csv_refusals_name_the_line() {
    let long = format!("a,b\n1,2\n3,\"{}", "x,\n".repeat(1 << 19));
    let wide = format!("a,b\n1,{}\n", "x".repeat(LINE_BYTES + 1));
    let cases: &[(&str, &str)] = &[
        ("a,b\n1,2\n3\n", "line 3: 1 cells, the header has 2"),
        ("a,b\r\n1,2\r\n\r\n\r\n3\r\n", "line 5: 1 cells, the header has 2"),
        ("a,b\n\"x\ny\",2\n3,4,5\n", "line 4: 3 cells, the header has 2"),
        ("\u{feff}a,b\n1,2\n3\n", "line 3: 1 cells, the header has 2"),
        ("a,b\n1,2\n3,\"x\n", "line 3: a quote that begins here is never closed"),
        ("a,b\n1,2\n3,\"x", "line 3: a quote that begins here is never closed"),
        (&long, "line 3: a record of more than 1048576 bytes"),
        (&wide, "line 2: a record of more than 1048576 bytes"),
        ("# ", "no header row"),
        ("# %ECSV 1.0\n# ---", "no header row"),
        ("", "empty"),
        (" \n\n", "empty"),
        ("<?xml version='1.0'?>", "XML"),
        ("a,b\n\0,1\n", "NUL"),
    ];
    for (text, want) in cases {
        let got = read(text.as_bytes()).err().unwrap_or_default();
        assert!(got.contains(want), "{:?}: {got}", &text[..text.len().min(40)]);
    }
    let directory = tempfile::tempdir().unwrap();
    assert!(open(directory.path()).is_err_and(|e| e.to_string().ends_with("not a regular file")));
    let gzip = read(b"\x1f\x8b\x08\x00").err().unwrap_or_default();
    assert!(gzip.contains("gzip"), "{gzip}");
}

#[test]
fn csv_notices() {
    let cases = [
        ("a,b\n1e400,1\n", "column `a`: 1 infinite values are NULL"),
        ("a,b\n9223372036854775808,1\n", "column `a` is TEXT because it holds integers beyond 2^63-1"),
        ("a,b\n00,1\n", "column `a` is TEXT because of leading zeros"),
        ("1,2\n3,4\n", "the first row is all numbers: there is no header, columns are called c1, c2, .."),
        ("# by hand\n# a,b\n1,2\n", "the last comment line before the rows names the columns"),
        ("t,b\n9999-01-01,1\n", "column `t`: 1 times outside 1677-09-21 .. 2262-04-11 are NULL"),
        ("a,a\n1,2\n", "a second column `a` is called `a_2`"),
        (",a\n1,2\n", "column 1 has no name: it is called `c1`"),
    ];
    for (text, want) in cases {
        assert_eq!(read(text.as_bytes()).map(|r| r.2), Ok(vec![want.to_owned()]), "{text:?}");
    }
}

#[test]
fn zstd_is_read_and_bombs_are_not() {
    let text = b"a,b\n1,2\n";
    let packed = zstd::encode_all(&text[..], 3).unwrap();
    assert_eq!(read(&packed).map(|r| r.1), Ok("{\"a\":1,\"b\":2}\n".to_owned()));
    let mut bomb = b"a\n".to_vec();
    bomb.extend(b"1\n".iter().cycle().take(64 << 20));
    let bomb = zstd::encode_all(&bomb[..], 3).unwrap();
    assert!((bomb.len() as u64) < (64 << 20) / csv::ZSTD_RATIO);
    let error = read(&bomb).err().unwrap_or_default();
    assert!(error.contains("more than 1000 bytes from one compressed byte"), "{error}");
}

/// A batch with every storage type of the language.
fn all_types() -> (Schema, Batch) {
    use arrow_array::*;
    let text = StringArray::from(vec![Some("plain"), Some("a,\"b\"\nc\u{1}\u{e9}"), None]);
    let time = TimestampNanosecondArray::from(vec![Some(1), None, Some(i64::MIN)]).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i8", Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)]))),
        ("i16", Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(i16::MAX)]))),
        ("i32", Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)]))),
        ("i64", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)]))),
        ("u8", Arc::new(UInt8Array::from(vec![Some(0), None, Some(u8::MAX)]))),
        ("u16", Arc::new(UInt16Array::from(vec![Some(0), None, Some(u16::MAX)]))),
        ("u32", Arc::new(UInt32Array::from(vec![Some(0), None, Some(u32::MAX)]))),
        ("f32", Arc::new(Float32Array::from(vec![Some(0.1), None, Some(-1e-30)]))),
        ("f64", Arc::new(Float64Array::from(vec![Some(0.1), None, Some(1e300)]))),
        ("text", Arc::new(text)),
        ("bool", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("time", Arc::new(time)),
        ("duration", Arc::new(DurationNanosecondArray::from(vec![Some(1_500_000_000), None, Some(-1)]))),
    ];
    let fields = columns.iter().map(|(name, array)| {
        let mut column = Column::new(*name, array.data_type().clone());
        if *name == "f64" {
            column = column.with_unit("mas/yr");
            column.ucd = Some("pos.pm;pos.eq.ra".to_owned());
            column.description = Some("a motion".to_owned());
        }
        column
    });
    let schema = Schema::new(fields.collect());
    let arrays = columns.into_iter().map(|c| c.1).collect();
    let batch = Batch::try_new(schema.arrow(), arrays).unwrap();
    (schema, batch)
}

#[test]
fn text_formats_write_every_type() {
    let (schema, batch) = all_types();
    let header = "i8,i16,i32,i64,u8,u16,u32,f32,f64,text,bool,time,duration\n";
    let csv = "-128,-32768,-2147483648,-9223372036854775808,0,0,0,0.1,0.1,plain,true,\
        1970-01-01T00:00:00.000000001Z,1.5\n,,,,,,,,,\"a,\"\"b\"\"\nc\u{1}\u{e9}\",,,\n\
        127,32767,2147483647,9223372036854775807,255,65535,4294967295,-1e-30,1e300,,false,\
        1677-09-21T00:12:43.145224192Z,-0.000000001\n";
    let got = String::from_utf8(written(Format::Csv, &schema, std::slice::from_ref(&batch))).unwrap();
    assert_eq!(got, format!("{header}{csv}"));
    let json = String::from_utf8(written(Format::Json, &schema, &[batch.clone(), batch.clone()])).unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(parsed.as_array().map(Vec::len), Some(6));
    assert_eq!(parsed[4]["text"], "a,\"b\"\nc\u{1}\u{e9}");
    assert_eq!(parsed[2]["i64"], i64::MAX);
    assert_eq!(parsed[3]["f64"], 0.1);
    assert!(parsed[1]["time"].is_null());
    assert_eq!(written(Format::Json, &schema, &[]), b"[]\n");
    assert_eq!(written(Format::Ndjson, &schema, &[]), b"");
    assert_eq!(written(Format::Tsv, &schema, &[]), header.replace(',', "\t").as_bytes());
}

#[test]
fn parquet_comes_back_bit_for_bit() {
    let (schema, batch) = all_types();
    let file = file(&written(Format::Parquet, &schema, &[batch.clone(), batch.clone()]));
    let mut table = open(file.path()).unwrap();
    assert_eq!((table.format, table.rows), (Format::Parquet, Some(6)));
    assert_eq!(table.schema, schema);
    let got: Vec<Batch> = table.by_ref().collect::<Result<_>>().unwrap();
    let got = arrow_select::concat::concat_batches(&batch.schema(), &got).unwrap();
    let want = arrow_select::concat::concat_batches(&batch.schema(), &[batch.clone(), batch]).unwrap();
    assert_eq!(got, want);
    assert_eq!(table.notices(), Vec::<String>::new());
    let some = open_columns(file.path(), Some(&["time".to_owned(), "i64".to_owned()])).unwrap();
    let names: Vec<&str> = some.schema.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["i64", "time"]);
    assert_eq!(some.map(|b| b.unwrap().num_columns()).collect::<Vec<_>>(), [2]);
    assert!(open_columns(file.path(), Some(&["nope".to_owned()])).is_err());
}

/// A Parquet file of arrays of any Arrow type.
fn foreign(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut bytes = Vec::new();
    let properties = ::parquet::file::properties::WriterProperties::builder();
    let properties = properties.set_dictionary_page_size_limit(16 << 20).build();
    let mut writer =
        ::parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn parquet_types_from_elsewhere() {
    use arrow_array::types::*;
    use arrow_array::*;
    let decimal = |values: Vec<i128>, p, s| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(p, s).unwrap())
    };
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)]), None]);
    let dictionary: DictionaryArray<Int32Type> = vec!["x", "y"].into_iter().collect();
    let cases: Vec<(ArrayRef, &str, &str)> = vec![
        (Arc::new(UInt64Array::from(vec![1, i64::MAX as u64])), "INT", "1 9223372036854775807"),
        (Arc::new(UInt64Array::from(vec![1, u64::MAX])), "TEXT", "\"1\" \"18446744073709551615\""),
        (Arc::new(Float16Array::from(vec![half(1.5), half(f32::NAN)])), "FLOAT", "1.5 null"),
        (Arc::new(Float64Array::from(vec![f64::INFINITY, f64::NAN])), "FLOAT", "null null"),
        (Arc::new(Float32Array::from(vec![0.1, f32::NEG_INFINITY])), "FLOAT", "0.1 null"),
        (decimal(vec![123, -5], 10, 2), "FLOAT", "1.23 -0.05"),
        (decimal(vec![123, -5], 18, 0), "INT", "123 -5"),
        (decimal(vec![123, -5], 30, 2), "TEXT", "\"1.23\" \"-0.05\""),
        (Arc::new(Date32Array::from(vec![19_782, i32::MAX])), "TIME", "\"2024-02-29T00:00:00Z\" null"),
        (Arc::new(TimestampSecondArray::from(vec![1, i64::MAX])), "TIME", "\"1970-01-01T00:00:01Z\" null"),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![1, -1]).with_timezone("+02:00")),
            "TIME",
            "\"1970-01-01T00:00:00.000001Z\" \"1969-12-31T23:59:59.999999Z\"",
        ),
        (Arc::new(Time64MicrosecondArray::from(vec![1_500_000, 0])), "DURATION", "1.5 0"),
        (Arc::new(LargeStringArray::from(vec!["x", "y"])), "TEXT", "\"x\" \"y\""),
        (
            Arc::new(StringViewArray::from(vec!["x", "a long text that is not inline"])),
            "TEXT",
            "\"x\" \"a long text that is not inline\"",
        ),
        (Arc::new(dictionary), "TEXT", "\"x\" \"y\""),
        (Arc::new(BinaryArray::from(vec![&b"abc"[..], b"d"])), "TEXT", "\"abc\" \"d\""),
        (Arc::new(BinaryArray::from(vec![&b"abc"[..], b"\xff\x00"])), "TEXT", "\"616263\" \"ff00\""),
        (
            Arc::new(FixedSizeBinaryArray::try_from(vec![b"ab", b"\x00\x01"]).unwrap()),
            "TEXT",
            "\"6162\" \"0001\"",
        ),
        (Arc::new(BooleanArray::from(vec![Some(true), None])), "BOOL", "true null"),
        (Arc::new(NullArray::new(2)), "NULL", "null null"),
        (Arc::new(list), "skipped", ""),
    ];
    for (array, kind, want) in cases {
        let name = array.data_type().to_string();
        let keep: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let file = file(&foreign(vec![("keep", keep), ("x", array)]));
        let mut table = open(file.path()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let batches: Vec<Batch> = table.by_ref().collect::<Result<_>>().unwrap();
        if kind == "skipped" {
            assert_eq!(table.skipped[0].name, "x");
            continue;
        }
        assert_eq!(table.schema.columns[1].kind().name(), kind, "{name}");
        let json = String::from_utf8(written(Format::Json, &table.schema, &batches)).unwrap();
        let rows: Vec<HashMap<String, serde_json::Value>> = match serde_json::from_str(&json) {
            Ok(rows) => rows,
            Err(e) => panic!("{name}: {json}: {e}"),
        };
        let got: Vec<String> = rows.iter().map(|r| r["x"].to_string()).collect();
        assert_eq!(got.join(" "), want, "{name}");
    }
}

fn half(value: f32) -> <arrow_array::types::Float16Type as arrow_array::ArrowPrimitiveType>::Native {
    let one = arrow_array::Float32Array::from(vec![value]);
    let cast = arrow_cast::cast(&one, &DataType::Float16).unwrap();
    cast.as_primitive::<arrow_array::types::Float16Type>().value(0)
}

#[test]
fn a_dictionary_of_long_text_comes_in_small_batches() {
    let long = "x".repeat(1 << 20);
    let values: Vec<&str> = (0..2000).map(|_| long.as_str()).collect();
    let array: ArrayRef = Arc::new(arrow_array::StringViewArray::from(values));
    let file = file(&foreign(vec![("x", array)]));
    assert!(file.as_file().metadata().unwrap().len() < 4 << 20);
    let mut rows = 0;
    for batch in open(file.path()).unwrap() {
        let batch = batch.unwrap();
        rows += batch.num_rows();
        assert!(batch.column(0).as_string::<i32>().value_data().len() <= BATCH_TEXT_BYTES);
    }
    assert_eq!(rows, 2000);
}

/// Rows of a CSV file of truth as maps.
fn truth(root: &Path, name: &str) -> Vec<HashMap<String, String>> {
    let mut reader = ::csv::Reader::from_path(root.join("truth").join(name)).unwrap();
    reader.deserialize().collect::<Result<_, _>>().unwrap()
}

/// Values of a column that are not NULL: least, greatest, and how many are NULL.
#[derive(Default)]
struct Summary {
    nulls: usize,
    least: Option<f64>,
    greatest: Option<f64>,
}

fn summarise(table: Table) -> Result<(usize, Vec<Summary>)> {
    let mut summaries: Vec<Summary> = table.schema.columns.iter().map(|_| Summary::default()).collect();
    let mut rows = 0;
    for batch in table {
        let batch = batch?;
        rows += batch.num_rows();
        for (summary, array) in summaries.iter_mut().zip(batch.columns()) {
            summary.nulls += array.logical_null_count();
            if Type::of(array.data_type()).is_some_and(Type::is_number) {
                let numbers = arrow_cast::cast(array, &DataType::Float64).unwrap();
                for v in numbers.as_primitive::<Float64Type>().iter().flatten() {
                    summary.least = Some(summary.least.map_or(v, |s: f64| s.min(v)));
                    summary.greatest = Some(summary.greatest.map_or(v, |s: f64| s.max(v)));
                }
            }
        }
    }
    Ok((rows, summaries))
}

/// What differs from the truth about one column, in words.
fn column_difference(truth: &HashMap<String, String>, column: &Column, ours: &Summary) -> Option<String> {
    let (dtype, name) = (truth["dtype"].as_str(), &truth["column"]);
    if *name != column.name {
        return Some(format!("name `{}` is `{name}` there", column.name));
    }
    let want = match dtype {
        "double" | "float" | "halffloat" => Type::Float,
        // numpy's spellings, of the ECSV files
        "<f8" | "<f4" => Type::Float,
        "<i8" | "<i4" | "<i2" | "|i1" | "|u1" => Type::Int,
        "bool" | "|b1" => Type::Bool,
        d if d.starts_with("int") || d.starts_with("uint") => Type::Int,
        d if d.starts_with("timestamp") || d.starts_with("date") => Type::Time,
        d if d.starts_with("decimal") => Type::Float,
        "null" => column.kind(),
        _ => Type::Text,
    };
    if want != column.kind() {
        return Some(format!("`{name}`: {} is {dtype} there", column.kind().name()));
    }
    let nulls: usize = truth["n_null"].parse().unwrap();
    let may_be_more = matches!(want, Type::Float | Type::Text);
    if ours.nulls < nulls || (ours.nulls > nulls && !may_be_more) {
        return Some(format!("`{name}`: {} NULLs, {nulls} there", ours.nulls));
    }
    for (ours, there) in [(ours.least, &truth["min"]), (ours.greatest, &truth["max"])] {
        let there = there.parse::<f64>().ok().filter(|v| v.is_finite());
        let ours = if dtype == "<f4" { ours.map(|v| f64::from(v as f32)) } else { ours };
        if want.is_number() && there.is_some() && ours != there {
            return Some(format!("`{name}`: extreme {ours:?}, {there:?} there"));
        }
    }
    None
}

/// Where we differ from the truth on purpose: (end of the file name, what, why).
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("aggregate_test_100.csv", "`c10`", "integers beyond i64 make the column TEXT"),
    ("aggregate_test_100_with_dates.csv", "`c10`", "integers beyond i64 make the column TEXT"),
    ("int96_from_spark.parquet", "3 NULLs", "two of its years (9999 and 290000) are outside TIME"),
    ("dict-page-offset-zero.parquet", "is refused", "the parquet crate cannot read its footer"),
    ("nation.dict-malformed.parquet", "is refused", "its column chunk is shorter than its pages"),
    ("repeated_primitive_no_list.parquet", "every column is nested", "lists have no type here"),
    ("mixed_schema/input_03.csv", "is read", "a header row without rows is an empty table"),
    ("subtypes.ecsv", "TEXT is", "cells that are JSON arrays are TEXT"),
    ("subtypes.ecsv", "`f_string`", "cells that are JSON arrays are TEXT"),
    ("query_coll_vvv_sgra.csv", "name `c1`", "a column without a name gets one"),
    ("query_inst_sinfoni_sgra.csv", "name `c1`", "a column without a name gets one"),
    ("us2000ahv0_phases.csv", "is read", "lines that begin with # are passed over when the first one does"),
];

#[test]
fn real_tables_agree_with_the_truth() {
    let Some(root) = std::env::var_os("STARQUAKE_DATA").map(PathBuf::from) else {
        eprintln!("skipped: STARQUAKE_DATA is not set");
        return;
    };
    let columns = truth(&root, "columns.csv");
    let mut differences = Vec::new();
    let mut compared = (0, 0);
    for want in truth(&root, "tables.csv") {
        if !["pyarrow", "pyarrow.csv", "astropy.ecsv"].contains(&want["reader"].as_str()) {
            continue;
        }
        let file = &want["file"];
        let mut differ = |what: String| {
            let is_known = |d: &&(&str, &str, &str)| file.ends_with(d.0) && what.contains(d.1);
            if !DIFFERENCES.iter().any(|d| is_known(&d)) {
                differences.push(format!("{file}: {what}"));
            }
        };
        let read = open(&root.join(file)).and_then(|t| {
            let (schema, skipped) = (t.schema.clone(), t.skipped.clone());
            summarise(t).map(|s| (schema, skipped, s))
        });
        match (read, want["status"] == "ok") {
            (Err(_), false) => compared.0 += 1,
            (Ok(_), false) => differ(format!("is read, there: {}", want["message"])),
            (Err(e), true) => differ(format!("is refused: {e}")),
            (Ok((schema, skipped, (rows, summaries))), true) => {
                compared.0 += 1;
                if want["nrows"] != rows.to_string() {
                    differ(format!("{rows} rows, there {}", want["nrows"]));
                }
                let here = columns.iter().filter(|c| c["file"] == *file && c["reader"] == want["reader"]);
                let here = here.filter(|c| !skipped.iter().any(|s| s.name == c["column"]));
                let here: Vec<_> = here.collect();
                if want["reader"].starts_with("pyarrow") && here.len() != schema.columns.len() {
                    differ(format!("{} columns, there {}", schema.columns.len(), here.len()));
                }
                for ((truth, column), summary) in here.iter().zip(&schema.columns).zip(&summaries) {
                    compared.1 += 1;
                    column_difference(truth, column, summary).map(&mut differ);
                }
            }
        }
    }
    eprintln!("{} tables, {} columns compared", compared.0, compared.1);
    assert!(compared.0 > 200, "{compared:?}");
    assert!(differences.is_empty(), "{}\n{} differences", differences.join("\n"), differences.len());
}

#[test]
fn astropy_metadata_is_read() {
    let flow = "datatype:\n- {name: ra, unit: deg, datatype: float64, description: 'a, b: ''c'''}\n\
        - {name: \"g mag\", datatype: float32,\n  unit: mag}\nmeta: {x: 1}\n";
    let block = "delimiter: ','\ndatatype:\n-\n  name: id\n  datatype: int64\n  meta:\n    ucd: meta.id;meta.main\n\
        -\n  name: dec\n  unit: deg\n  meta: !!omap\n  - {ucd: pos.eq.dec}\n";
    let meta = |name: &str, unit: &str, ucd: &str, description: &str, datatype: &str| {
        let some = |s: &str| (!s.is_empty()).then(|| s.to_owned());
        ColumnMeta {
            name: name.to_owned(),
            unit: some(unit),
            ucd: some(ucd),
            description: some(description),
            datatype: some(datatype),
        }
    };
    let cases = [
        (flow, [meta("ra", "deg", "", "a, b: 'c'", "float64"), meta("g mag", "mag", "", "", "float32")]),
        (block, [meta("id", "", "meta.id;meta.main", "", "int64"), meta("dec", "deg", "pos.eq.dec", "", "")]),
    ];
    for (text, want) in cases {
        assert_eq!(yaml_columns(text), want);
    }
    let ecsv = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: ra, unit: deg, datatype: float64}\n\
        # - {name: n, datatype: string}\n# schema: astropy-2.0\nra n\n1.5 \"a b\"\n\"\" 7\n";
    let table = open(file(ecsv.as_bytes()).path()).unwrap();
    assert_eq!(table.schema.columns[0].unit.as_ref().map(|u| u.name.as_str()), Some("deg"));
    let got = read(ecsv.as_bytes()).map(|r| (r.0, r.1));
    let rows = "{\"ra\":1.5,\"n\":\"a b\"}\n{\"ra\":null,\"n\":\"7\"}\n";
    assert_eq!(got, Ok(("FLOAT TEXT".to_owned(), rows.to_owned())));
    for text in ["", "datatype:", "datatype:\n- {", "datatype:\n-\n-", "datatype:\n- {name: 'x"] {
        assert!(yaml_columns(text).len() < 2, "{text}");
    }
}

/// A generator of 64-bit numbers (Knuth's constants).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 17
}

/// The file with 1 to 8 changes: a bit, a byte, a run of 0xff, or its end cut off.
fn mutated(bytes: &[u8], state: &mut u64) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random(state) % 8 {
        // half of the changes in the last KiB, where Parquet has its claims
        let length = bytes.len().max(1) as u64;
        let window = if random(state).is_multiple_of(2) { length } else { length.min(1024) };
        let at = (length - 1 - random(state) % window) as usize;
        match random(state) % 16 {
            0 => bytes.truncate(at),
            1 => bytes.iter_mut().skip(at).take(6).for_each(|b| *b = 0xff),
            2..=8 => bytes.iter_mut().skip(at).take(1).for_each(|b| *b ^= 1 << (random(state) % 8)),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|b| *b = random(state) as u8),
        }
    }
    bytes
}

#[test]
fn damaged_files_give_errors() {
    let (schema, batch) = all_types();
    let strings: ArrayRef = Arc::new(arrow_array::StringArray::from(vec!["a", "b", "a", "a"]));
    let list = arrow_array::ListArray::from_iter_primitive::<arrow_array::types::Int32Type, _, _>(vec![
        Some(vec![Some(1)]),
        None,
        Some(vec![]),
        Some(vec![None]),
    ]);
    let mut files = vec![
        written(Format::Parquet, &schema, std::slice::from_ref(&batch)),
        foreign(vec![("s", strings), ("l", Arc::new(list))]),
        written(Format::Csv, &schema, &[batch]),
        b"# %ECSV 1.0\n# ---\n# datatype:\n# - {name: ra, unit: deg}\nra\n1.5\n".to_vec(),
        zstd::encode_all(&b"a,b\n1,\"x\ny\"\n2,z\n"[..], 3).unwrap(),
    ];
    if let Some(root) = std::env::var_os("STARQUAKE_DATA").map(PathBuf::from) {
        let wanted = truth(&root, "tables.csv").into_iter().filter(|t| t["reader"].starts_with("pyarrow"));
        let real = wanted.filter_map(|t| std::fs::read(root.join(&t["file"])).ok());
        files.extend(real.filter(|b| b.len() < 20_000));
    }
    let rounds: u64 = std::env::var("STARQUAKE_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(40);
    let mut state = 1;
    let mut outcomes = (0, 0);
    for bytes in &files {
        for _ in 0..rounds {
            let file = file(&mutated(bytes, &mut state));
            match open(file.path()).and_then(|t| t.collect::<Result<Vec<Batch>>>()) {
                Ok(_) => outcomes.0 += 1,
                Err(_) => outcomes.1 += 1,
            }
        }
    }
    eprintln!("{} files: {} read, {} refused", files.len(), outcomes.0, outcomes.1);
    assert!(outcomes.1 > 0);
}

#[test]
fn an_error_ends_the_table() {
    let (schema, batch) = all_types();
    let mut bytes = written(Format::Parquet, &schema, &[batch]);
    let length = bytes.len();
    // the first pages, not the footer
    bytes.iter_mut().skip(4).take(length / 8).for_each(|b| *b = 0xff);
    let file = file(&bytes);
    let got: Vec<bool> = open(file.path()).unwrap().map(|b| b.is_ok()).collect();
    assert_eq!(got, [false]);
}

proptest::proptest! {
    #[test]
    fn text_comes_back_from_csv(cells in proptest::collection::vec("x[^\\x00]{0,12}", 1..40), tsv in proptest::bool::ANY) {
        let column = Arc::new(arrow_array::StringArray::from(cells.clone()));
        let schema = Schema::new(vec![Column::typed("a", Type::Text), Column::typed("b", Type::Text)]);
        let batch = Batch::try_new(schema.arrow(), vec![column.clone(), column]).unwrap();
        let format = if tsv { Format::Tsv } else { Format::Csv };
        let file = file(&written(format, &schema, std::slice::from_ref(&batch)));
        let got: Vec<Batch> = open(file.path()).unwrap().collect::<Result<_>>().unwrap();
        proptest::prop_assert_eq!(got, vec![batch]);
    }

    #[test]
    fn no_text_is_a_panic(bytes in proptest::collection::vec(proptest::sample::select(b"a1,;\t|\"\n\r#. -:e".to_vec()), 0..200)) {
        if let Ok(table) = open(file(&bytes).path()) {
            table.for_each(drop);
        }
    }
}
