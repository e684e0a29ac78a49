//! The published table, oracles and properties.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, StringArray};
use arrow_schema::DataType;
use arrow_select::concat::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Band, Pairs, Sample, Spec, output_schema, pair_within, variability};
use crate::engine::session::Cancel;
use crate::model::table::{Batch, Column, Type};
use crate::model::units::Unit;
use crate::stats::{PAIR_STATS, STATS};

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
    Some(
        variability(
            &keys,
            (&time, batch.column_by_name("mjd").unwrap().clone()),
            &bands,
            spec,
            &Cancel::default(),
        )
        .unwrap(),
    )
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

/// Epochs as plain rows: key, time in days, value and error of two bands, of which only the first has a WHEN.
#[derive(Clone, Debug, Default)]
struct Epochs {
    key: Vec<Option<i64>>,
    time: Vec<Option<f64>>,
    value: [Vec<Option<f64>>; 2],
    error: [Vec<Option<f64>>; 2],
    when: Vec<Option<bool>>,
}

type Epoch = (Option<i64>, Option<f64>, [Option<f64>; 2], [Option<f64>; 2], Option<bool>);

impl Epochs {
    fn of(rows: &[Epoch]) -> Self {
        let mut epochs = Epochs::default();
        for &(key, time, value, error, when) in rows {
            epochs.key.push(key);
            epochs.time.push(time);
            epochs.when.push(when);
            for band in 0..2 {
                epochs.value[band].push(value[band]);
                epochs.error[band].push(error[band]);
            }
        }
        epochs
    }

    fn band(&self, name: &str, index: usize) -> Band {
        Band {
            name: name.to_owned(),
            unit: Some(Unit::imported("mag")),
            value: Arc::new(Float64Array::from(self.value[index].clone())),
            error: Some(Arc::new(Float64Array::from(self.error[index].clone()))),
            when: (index == 0).then(|| BooleanArray::from(self.when.clone())),
        }
    }

    fn keys(&self) -> Vec<(Column, ArrayRef)> {
        let text: StringArray = self.key.iter().map(|k| k.map(|k| format!("s{}", k / 2))).collect();
        let small: Int64Array = self.key.iter().map(|k| k.map(|k| k % 2)).collect();
        vec![
            (Column::new("name", DataType::Utf8), Arc::new(text)),
            (Column::new("part", DataType::Int64), Arc::new(small)),
        ]
    }

    fn run(&self, spec: &Spec) -> Batch {
        let time: ArrayRef = Arc::new(Float64Array::from(self.time.clone()));
        let bands = [self.band("g", 0), self.band("r", 1)];
        variability(
            &self.keys(),
            (&Column::typed("mjd", Type::Float), time),
            &bands,
            spec,
            &Cancel::default(),
        )
        .unwrap()
    }
}

/// Numbers in [0, n).
fn random(seed: &mut u64, n: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % n
}

fn random_rows(seed: u64, n: usize, times: u64) -> Vec<Epoch> {
    let mut seed = seed;
    let mut roll = |n: u64| random(&mut seed, n);
    let mut rows = Vec::new();
    for _ in 0..n {
        let key = (roll(12) > 0).then(|| roll(9) as i64);
        let time = (roll(15) > 0).then(|| 50_000.0 + roll(times) as f64 / 16.0);
        let mut number = |nulls: u64| match roll(12) {
            x if x < nulls => None,
            3 => Some(f64::NAN),
            4 => Some(0.0),
            _ => Some(1.0 + roll(1000) as f64 / 256.0),
        };
        let value = [number(1), number(2)];
        let error = [number(2), number(1)];
        rows.push((
            key,
            time,
            value,
            error,
            [Some(true), Some(true), Some(true), Some(false), None][roll(5) as usize],
        ));
    }
    rows
}

/// The same by the plainest means: filter, stable sort, one statistic at a time.
fn check_against_oracle(rows: &[Epoch], spec: &Spec) {
    let batch = Epochs::of(rows).run(spec);
    let mut keys: Vec<Option<i64>> = rows.iter().map(|r| r.0).collect();
    // s0, s1, ... s4 ascend as text and as numbers; NULL last
    keys.sort_by_key(|k| k.map_or(i64::MAX, |k| k));
    keys.dedup();
    assert_eq!(batch.num_rows(), keys.len());
    for (row, key) in keys.iter().enumerate() {
        let mut source: Vec<&Epoch> = rows.iter().filter(|r| r.0 == *key).collect();
        assert_eq!(int(&batch, "n", row), source.len() as i64);
        let untimed = source.iter().filter(|r| r.1.is_none()).count();
        source.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap());
        let first = source.get(untimed).and_then(|r| r.1);
        assert_eq!(float(&batch, "t_first", row), first);
        assert_eq!(float(&batch, "t_last", row), source.last().and_then(|r| r.1));
        let mut samples = Vec::new();
        for (band, name) in ["g", "r"].into_iter().enumerate() {
            let own: Vec<&&Epoch> = source.iter().filter(|r| band == 1 || r.4 == Some(true)).collect();
            let value = |r: &Epoch| r.2[band].filter(|v| v.is_finite());
            let error = |r: &Epoch| r.3[band].filter(|e| e.is_finite());
            let valid = |r: &Epoch| r.1.is_some() && value(r).is_some() && error(r).is_some_and(|e| e > 0.0);
            let good: Vec<&&&Epoch> = own.iter().filter(|r| valid(r)).collect();
            let limits = own.iter().filter(|r| value(r).is_some() && error(r).is_none()).count();
            let skipped = own.len() - good.len() - limits;
            let counts = ["n", "limits", "skipped"].map(|c| int(&batch, &format!("{name}_{c}"), row));
            assert_eq!(counts, [good.len(), limits, skipped].map(|c| c as i64), "{key:?} {name}");
            let pick =
                |f: &dyn Fn(&Epoch) -> Option<f64>| good.iter().filter_map(|r| f(r)).collect::<Vec<f64>>();
            let days = pick(&|r| r.1.map(|t| t - first.unwrap()));
            let sample = Sample::new(&days, &pick(&value), Some(&pick(&error)));
            for stat in STATS {
                let want = stat.of(&sample).filter(|_| good.len() >= spec.min_epochs);
                assert_eq!(
                    float(&batch, &format!("{name}_{}", stat.name), row),
                    want,
                    "{name} {}",
                    stat.name
                );
            }
            let places: Vec<usize> =
                (0..source.len()).filter(|&i| good.iter().any(|r| std::ptr::eq(***r, source[i]))).collect();
            samples.push((sample, places));
        }
        let [(g, g_places), (r, r_places)] = &samples[..] else { panic!() };
        let mut links = Vec::new();
        match spec.pair_within_days {
            Some(days) => pair_within(g.times_days(), r.times_days(), days, &mut links),
            None => {
                for (i, place) in g_places.iter().enumerate() {
                    let j = r_places.iter().position(|p| p == place);
                    links.extend(j.map(|j| (i as u32, j as u32)));
                }
            }
        }
        assert_eq!(int(&batch, "g_r_n", row), links.len() as i64);
        let pairs = Pairs { first: g, second: r, links: &links };
        for stat in PAIR_STATS {
            let want = stat.of(&pairs).filter(|_| links.len() >= spec.min_epochs);
            assert_eq!(float(&batch, &format!("g_r_{}", stat.name), row), want, "{}", stat.name);
        }
    }
}

#[test]
fn every_number_agrees_with_the_plain_way() {
    for seed in 0..6 {
        for (n, times) in [(1, 10), (30, 1000), (400, 100_000), (400, 40)] {
            let mut rows = random_rows(seed, n, times);
            for pair_within_days in [None, Some(1.5)] {
                for min_epochs in [0, 7] {
                    let spec = Spec { min_epochs, pair_within_days, ..Spec::default() };
                    check_against_oracle(&rows, &spec);
                }
            }
            rows.sort_by(|a, b| (a.0, a.1).partial_cmp(&(b.0, b.1)).unwrap());
            check_against_oracle(&rows, &Spec::default());
            // grouped, but neither ascending nor in time order
            rows.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap());
            check_against_oracle(&rows, &Spec::default());
        }
    }
}

#[test]
fn order_of_rows_and_number_of_threads_do_not_matter() {
    let mut rows = random_rows(3, 3000, 1 << 40);
    let spec = Spec { pair_within_days: Some(1e6), ..Spec::default() };
    let want = Epochs::of(&rows).run(&spec);
    rows.sort_by(|a, b| (a.0, a.1).partial_cmp(&(b.0, b.1)).unwrap());
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| Epochs::of(&rows).run(&spec)), want, "{threads} threads");
    }
    rows.reverse();
    assert_eq!(Epochs::of(&rows).run(&spec), want);
}

#[test]
fn the_schema_is_known_before_there_are_rows() {
    let epochs = Epochs::of(&random_rows(1, 50, 100));
    let keys: Vec<Column> = epochs.keys().into_iter().map(|k| k.0).collect();
    let time = Column::typed("mjd", Type::Float);
    let bands = [epochs.band("g", 0).info(), epochs.band("r", 1).info()];
    let names = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect());
    let specs = [
        Spec::default(),
        Spec { stats: names(&["n", "chi2", "SLOPE", "stetson_k"]), ..Spec::default() },
        Spec { stats: names(&["eta_e", "stetson_j", "welch_stetson_i"]), ..Spec::default() },
        Spec { compat_tasni: true, ..Spec::default() },
    ];
    for spec in specs {
        let schema = output_schema(&keys, &time, &bands, &spec).unwrap();
        assert_eq!(epochs.run(&spec).schema(), schema.arrow(), "{spec:?}");
        assert_eq!(Epochs::default().run(&spec).schema(), schema.arrow(), "{spec:?}");
    }
}

fn columns_of(batch: &Batch) -> Vec<String> {
    batch.schema().fields().iter().map(|f| f.name().clone()).collect()
}

#[test]
fn columns_are_named_after_band_and_statistic() {
    let epochs = Epochs::of(&random_rows(1, 50, 100));
    let names = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect());
    let batch = epochs.run(&Spec { stats: names(&["slope", "eta_e", "Stetson_J"]), ..Spec::default() });
    let want = "name part n t_first t_last baseline g_n g_limits g_skipped g_zero_steps g_slope g_eta_e \
                g_stetson_j r_n r_limits r_skipped r_zero_steps r_slope r_eta_e r_stetson_j g_r_n g_r_stetson_j";
    assert_eq!(columns_of(&batch).join(" "), want);
    let unit = |name: &str| Column::from_field(batch.schema().field_with_name(name).unwrap()).unit;
    assert_eq!(unit("g_slope"), Unit::find("mag/yr"));
    assert_eq!(unit("baseline"), Unit::find("d"));
    assert_eq!(unit("g_eta_e"), None);
}

#[test]
fn times_are_days_unless_they_have_a_unit() {
    let value: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 4.0]));
    let keys = [(Column::new("id", DataType::Int64), Arc::new(Int64Array::from(vec![1, 1, 1])) as ArrayRef)];
    let ints = |by: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![7 * by, 8 * by, 9 * by])) };
    let ns = 86_400_000_000_000;
    let stamps = arrow_cast::cast(&ints(ns), &crate::model::table::time_type()).unwrap();
    let cases = [
        (Column::typed("t", Type::Int), ints(1)),
        (Column::typed("t", Type::Int).with_unit("d"), ints(1)),
        (Column::typed("t", Type::Int).with_unit("MJD"), ints(1)),
        (Column::typed("t", Type::Int).with_unit("s"), ints(86_400)),
        (Column::typed("t", Type::Int).with_unit("ns"), ints(ns)),
        (Column::typed("t", Type::Time), stamps),
        (Column::typed("t", Type::Float), Arc::new(Float64Array::from(vec![7.0, 8.0, 9.0]))),
    ];
    for (column, time) in cases {
        let band = Band { name: "f".to_owned(), unit: None, value: value.clone(), error: None, when: None };
        let batch =
            variability(&keys, (&column, time.clone()), &[band], &Spec::default(), &Cancel::default())
                .unwrap();
        assert_eq!(float(&batch, "baseline", 0), Some(2.0), "{column:?}");
        assert_eq!(float(&batch, "f_slope", 0), Some(1.5 * 365.25), "{column:?}");
        assert_eq!(batch.column_by_name("t_first").unwrap(), &time.slice(0, 1));
        assert_eq!(batch.column_by_name("t_last").unwrap(), &time.slice(2, 1));
        assert!(batch.column_by_name("f_chi2").is_none());
    }
}

#[test]
fn what_cannot_be_done_is_refused() {
    let epochs = Epochs::of(&random_rows(1, 20, 100));
    let stats = |name: &str| Spec { stats: Some(vec![name.to_owned()]), ..Spec::default() };
    let tasni = Spec { compat_tasni: true, ..Spec::default() };
    let column = Column::typed("mjd", Type::Float);
    let (g, r) = (epochs.band("g", 0), epochs.band("r", 1));
    let bare = Band { error: None, ..r.clone() };
    let words = Band { value: epochs.keys().remove(0).1, ..r.clone() };
    let short = Band { value: r.value.slice(0, 3), ..r.clone() };
    let twice = [g.clone(), g.clone()];
    let time: ArrayRef = Arc::new(Float64Array::from(epochs.time.clone()));
    let negative = Spec { pair_within_days: Some(-1.0), ..Spec::default() };
    let in_mag = column.clone().with_unit("mag");
    let cases: Vec<(&Column, &[Band], Spec, &str)> = vec![
        (&column, &twice[..1], stats("chi"), "no statistic `chi`"),
        (&column, std::slice::from_ref(&bare), stats("chi2"), "`chi2` needs the errors of band `r`"),
        (&column, &[], Spec::default(), "VARIABILITY needs a band"),
        (&column, &twice[..1], tasni.clone(), "COMPAT tasni needs two bands, not 1"),
        (&column, &twice[..1], negative, "PAIR WITHIN takes a duration that is not negative"),
        (&column, std::slice::from_ref(&words), Spec::default(), "band `r` is made of numbers, not of Utf8"),
        (
            &column,
            std::slice::from_ref(&short),
            Spec::default(),
            "the columns of VARIABILITY differ in length",
        ),
        (&column, &twice, Spec::default(), "two columns of VARIABILITY would be called `g_n`"),
        (&in_mag, &twice[..1], Spec::default(), "`mjd` is in `mag`, which is no unit of time"),
    ];
    for (column, bands, spec, want) in cases {
        let error = variability(&epochs.keys(), (column, time.clone()), bands, &spec, &Cancel::default())
            .unwrap_err();
        assert_eq!(error.to_string().lines().next(), Some(want));
    }
    let error =
        variability(&epochs.keys(), (&column, time.clone()), &[g.clone(), bare], &tasni, &Cancel::default())
            .unwrap_err();
    assert!(error.to_string().starts_with("COMPAT tasni needs the errors of band `r`"));
    let both = Spec { stats: Some(vec!["n".to_owned()]), ..tasni };
    let error = variability(&epochs.keys(), (&column, time), &[g, r], &both, &Cancel::default()).unwrap_err();
    assert!(error.to_string().starts_with("COMPAT tasni has columns of its own"));
}

#[test]
fn tasni_classes() {
    // n, step of the values per year, alternating scatter, error -> type, score, flag
    let cases = [
        (9, 0.0, 0.01, 0.1, "none", 0.0, "INSUFFICIENT_DATA"),
        (20, 0.0, 0.01, 0.1, "none", 10.0, "STABLE"),
        (20, 0.0, 0.3, 0.3, "none", -10.0, "VARIABLE"),
        (20, 0.0, 0.1, 0.1, "none", 0.0, "NORMAL"),
        (14, 0.025, 0.05, 0.1, "fading", 25.0, "FADING"),
        (14, -0.025, 0.05, 0.1, "brightening", -5.0, "BRIGHTENING"),
        (40, -0.025, 0.1, 0.1, "brightening", -15.0, "VARIABLE"),
        (40, 0.025, 0.1, 0.1, "fading", 15.0, "FADING"),
    ];
    for (n, step, scatter, error, trend_type, score, flag_text) in cases {
        let rows: Vec<Epoch> = (0..n)
            .map(|i| {
                // four values make a full turn, so that the scatter has nearly no trend
                let turn = [1.0, -1.0, -1.0, 1.0][i % 4];
                let value = Some(12.0 + step * i as f64 + scatter * turn);
                let time = Some(50_000.0 + 365.25 * i as f64);
                (Some(0), time, [value; 2], [Some(error); 2], Some(true))
            })
            .collect();
        let batch = Epochs::of(&rows).run(&Spec { compat_tasni: true, ..Spec::default() });
        assert_eq!(text(&batch, "variability_flag", 0), flag_text, "{n} {step} {scatter}");
        assert_eq!(text(&batch, "trend_type", 0), trend_type);
        assert_eq!(float(&batch, "variability_score", 0), Some(score));
        assert_eq!(flag(&batch, "is_stable", 0), flag_text == "STABLE");
        assert_eq!(float(&batch, "rms_g", 0).is_none(), n < 10);
        assert_eq!(int(&batch, "n_epochs", 0), n as i64);
    }
}

/// Seconds this thread has run so far (Linux; elsewhere 0).
fn cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) * 1e-9
}

/// 2 M epochs of 10,000 sources in two bands, stored by source and shuffled: run by hand with `--release -- --ignored`.
#[test]
#[ignore = "prints timings"]
fn timing() {
    let (sources, each) = (10_000_u64, 200_u64);
    let mut seed = 1;
    let mut table: Vec<(i64, f64, [f32; 4])> = Vec::new();
    for source in 0..sources {
        for epoch in 0..each {
            let mut number =
                |from: f32, size: f32| from + size * random(&mut seed, 1 << 20) as f32 / (1 << 20) as f32;
            let numbers = [number(14.0, 0.5), number(0.03, 0.02), number(13.0, 0.5), number(0.03, 0.02)];
            table.push((source as i64, 55_000.0 + epoch as f64 + number(0.0, 0.5) as f64, numbers));
        }
    }
    let chosen = "mean wmean wmean_error rms chi2 chi2_p slope slope_error slope_r2 slope_p eta stetson_k amplitude \
                  mad iqr median stetson_j roms skew kurtosis";
    let twenty = Some(chosen.split(' ').map(str::to_owned).collect::<Vec<_>>());
    for shuffled in [false, true] {
        if shuffled {
            for i in (1..table.len()).rev() {
                let other = random(&mut seed, i as u64 + 1) as usize;
                table.swap(i, other);
            }
        }
        let f32s =
            |i: usize| -> ArrayRef { Arc::new(Float32Array::from_iter_values(table.iter().map(|r| r.2[i]))) };
        let band = |name: &str, i: usize| Band {
            name: name.to_owned(),
            unit: None,
            value: f32s(i),
            error: Some(f32s(i + 1)),
            when: None,
        };
        let bands = [band("w1", 0), band("w2", 2)];
        let key: ArrayRef = Arc::new(Int64Array::from_iter_values(table.iter().map(|r| r.0)));
        let time: ArrayRef = Arc::new(Float64Array::from_iter_values(table.iter().map(|r| r.1)));
        let keys = [(Column::new("id", DataType::Int64), key)];
        let column = Column::typed("mjd", Type::Float);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let run = |what: &str, stats: &Option<Vec<String>>, compat_tasni: bool| {
            let spec = Spec { stats: stats.clone(), compat_tasni, ..Spec::default() };
            let once = || {
                let start = cpu_s();
                variability(&keys, (&column, time.clone()), &bands, &spec, &Cancel::default()).unwrap();
                cpu_s() - start
            };
            let best = (0..7).map(|_| pool.install(once)).fold(f64::INFINITY, f64::min);
            eprintln!("shuffled {shuffled}, {what}: {best:.4} CPU s on one thread");
        };
        run("20 statistics", &twenty, false);
        run("n", &Some(vec!["n".to_owned()]), false);
        for name in chosen.split(' ').filter(|_| !shuffled) {
            run(name, &Some(vec![name.to_owned()]), false);
        }
        run("all", &None, false);
        run("tasni", &None, true);
        let start = cpu_s();
        super::group::group(&[keys[0].1.clone()], table.len(), &Cancel::default()).unwrap();
        eprintln!("grouping alone: {:.4} CPU s", cpu_s() - start);
    }
}
