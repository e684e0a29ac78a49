//! The published table, oracles and properties.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow_schema::DataType;
use arrow_select::concat::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Band, Spec, output_schema, variability};
use crate::model::table::{Batch, Column, Type};
use crate::model::units::Unit;

/// A folder of the real data, if it is there.
fn real(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("STARQUAKE_DATA");
    if root.is_none() {
        eprintln!("skipped: STARQUAKE_DATA is not set");
    }
    root.map(|root| PathBuf::from(root).join("denster32+TASNI/output/final").join(path))
}

fn read_parquet(path: &PathBuf) -> Batch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let schema = reader.schema().clone();
    let batches: Vec<Batch> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn neowise_band(batch: &Batch, name: &str) -> Band {
    let column = |suffix: &str| batch.column_by_name(&format!("{name}{suffix}")).unwrap().clone();
    Band {
        name: name.to_owned(),
        unit: Some(Unit::imported("mag")),
        value: column("mpro_ep"),
        error: Some(column("sigmpro_ep")),
        when: None,
    }
}

fn neowise(spec: &Spec) -> Option<Batch> {
    let batch = read_parquet(&real("neowise_epochs.parquet")?);
    let bands = [neowise_band(&batch, "w1"), neowise_band(&batch, "w2")];
    let key = batch.column_by_name("designation").unwrap().clone();
    let keys = [(Column::new("designation", key.data_type().clone()), key)];
    let time = Column::typed("mjd", Type::Float);
    Some(variability(&keys, (&time, batch.column_by_name("mjd").unwrap().clone()), &bands, spec).unwrap())
}

fn float(batch: &Batch, name: &str, row: usize) -> Option<f64> {
    let column = batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
    let column = column.as_primitive::<Float64Type>();
    column.is_valid(row).then(|| column.value(row))
}

fn int(batch: &Batch, name: &str, row: usize) -> i64 {
    batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().value(row)
}

fn text<'a>(batch: &'a Batch, name: &str, row: usize) -> &'a str {
    batch.column_by_name(name).unwrap().as_string::<i32>().value(row)
}

fn flag(batch: &Batch, name: &str, row: usize) -> bool {
    batch.column_by_name(name).unwrap().as_boolean().value(row)
}

/// Relative tolerance of a published column of floats.
const PUBLISHED: &[(&str, f64)] = &[
    ("baseline_years", 1e-12),
    ("rms_w1", 2e-7),
    ("rms_w2", 2e-7),
    ("chi2_w1", 2e-5),
    ("chi2_w2", 2e-5),
    ("stetson_j", 2e-4),
    ("trend_w1", 1e-12),
    ("trend_w2", 1e-12),
    ("trend_p_w1", 1e-12),
    ("trend_p_w2", 1e-12),
];

#[test]
fn the_published_table_comes_out() {
    let Some(batch) = neowise(&Spec { compat_tasni: true, ..Spec::default() }) else { return };
    assert_eq!(batch.num_rows(), 100);
    let mut reader = csv::Reader::from_path(real("golden_variability_half.csv").unwrap()).unwrap();
    let header = reader.headers().unwrap().clone();
    let mut rows = 0;
    let mut worst = vec![0.0_f64; PUBLISHED.len()];
    for record in reader.records() {
        let record = record.unwrap();
        let field = |name: &str| record.get(header.iter().position(|h| h == name).unwrap()).unwrap();
        let row = (0..100).find(|&r| text(&batch, "designation", r) == field("designation")).unwrap();
        assert_eq!(int(&batch, "n_epochs", row).to_string(), field("n_epochs"));
        for (&(name, tolerance), worst) in PUBLISHED.iter().zip(&mut worst) {
            let got = float(&batch, name, row);
            assert_eq!(got.is_none(), field(name).is_empty(), "{name} {row}");
            let Some(got) = got else { continue };
            let want: f64 = field(name).parse().unwrap();
            *worst = worst.max(((got - want) / want).abs());
            assert!((got - want).abs() <= tolerance * want.abs(), "{name} of row {row}: {got} {want}");
        }
        for name in ["is_variable", "is_stable"] {
            assert_eq!(flag(&batch, name, row), field(name) == "True", "{name} {row}");
        }
        for name in ["trend_type", "variability_flag"] {
            assert_eq!(text(&batch, name, row), field(name), "{name} {row}");
        }
        assert_eq!(float(&batch, "variability_score", row), field("variability_score").parse().ok());
        rows += 1;
    }
    assert_eq!(rows, 50);
    eprintln!("largest relative differences: {worst:?}");
}
