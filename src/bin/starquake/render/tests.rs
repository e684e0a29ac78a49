use std::sync::{Arc, Mutex};

use super::*;

/// Name, unit and cells.
type Drawn<'a> = (&'a str, Option<&'a str>, &'a [Option<&'a str>]);

/// What a table looks like.
fn drawn(columns: &[Drawn<'_>], layout: Layout) -> (String, Shown) {
    let schema = Schema::new(columns.iter().map(|(name, unit, _)| column(name, *unit)).collect());
    let arrays = columns.iter().map(|(_, unit, cells)| -> arrow_array::ArrayRef {
        match unit {
            None => Arc::new(arrow_array::StringArray::from(cells.to_vec())),
            Some(_) => {
                let numbers = cells.iter().map(|c| c.map(|c| c.parse::<f64>().unwrap()));
                Arc::new(Float64Array::from(numbers.collect::<Vec<_>>()))
            }
        }
    });
    let batch = Batch::try_new(schema.arrow(), arrays.collect()).unwrap();
    let out = Shared::default();
    let mut table = Table::new(&schema, layout, Box::new(out.clone()));
    table.write(&batch).unwrap();
    let shown = table.finish().unwrap();
    let bytes = out.0.lock().unwrap().clone();
    (String::from_utf8(bytes).unwrap(), shown)
}

/// A column with a unit is of numbers, one without of text.
fn column(name: &str, unit: Option<&str>) -> Column {
    match unit {
        Some(unit) => Column::typed(name, Type::Float).with_unit(unit),
        None => Column::typed(name, Type::Text),
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn terminal(width: usize) -> Layout {
    Layout { terminal: Some(width), ..Layout::default() }
}

const PATH: &str = "/data/sds/2024/IU/ANMO/BHZ.D/IU.ANMO.00.BHZ.D.2024.060";

#[test]
fn columns_line_up() {
    let (text, _) = drawn(
        &[("name", None, &[Some("星"), None]), ("separation", Some("arcsec"), &[Some("0.25"), Some("12")])],
        Layout::default(),
    );
    let want = "name  separation [arcsec]\n----  -------------------\n\
                星                   0.25\n                     12.0\n";
    assert_eq!(text, want);
}

#[test]
fn a_terminal_is_never_too_narrow() {
    let columns: &[Drawn<'_>] = &[
        ("path", None, &[Some(PATH)]),
        ("separation", Some("arcsec"), &[Some("0.123456789012345678")]),
        ("magnitude", Some("mag"), &[Some("-7.5")]),
    ];
    for width in [20, 30, 40, 60, 80, 100, 200] {
        let (text, shown) = drawn(columns, terminal(width));
        assert!(text.lines().all(|l| l.width() <= width), "{width}:\n{text}");
        assert_eq!(shown.columns_in_all, 3);
    }
    let (text, shown) = drawn(columns, terminal(40));
    assert!(text.contains("0.123456789012") && text.contains("…") && text.contains("[arcsec]"), "{text}");
    assert_eq!(shown.columns, 3, "{text}");
    assert_eq!(drawn(columns, terminal(20)).1.columns, 1);
}

#[test]
fn the_only_column_is_never_cut() {
    let (text, _) = drawn(&[("path", None, &[Some(PATH)])], terminal(20));
    assert_eq!(text, format!("path\n{}\n{PATH}\n", "-".repeat(20)));
}

#[test]
fn nothing_is_cut_elsewhere() {
    let (text, _) =
        drawn(&[("path", None, &[Some(PATH)]), ("x", Some("km"), &[Some("0.1")])], Layout::default());
    assert!(text.contains(PATH));
    let many = vec![Some("x"); ROWS_SHOWN + 60];
    let (text, shown) = drawn(&[("a", None, &many)], Layout::default());
    assert_eq!((text.lines().count(), shown.rows), (ROWS_SHOWN + 62, 100));
    let (text, shown) = drawn(&[("a", None, &many)], terminal(80));
    assert_eq!((text.lines().count(), shown.rows), (ROWS_SHOWN + 2, ROWS_SHOWN as u64));
}

#[test]
fn cells_from_outside_cannot_act() {
    let (text, _) = drawn(&[("a\u{1b}[31m", None, &[Some("\u{1b}]0;owned\u{7}\nx\u{202e}")])], terminal(80));
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn floats_are_short_and_sane() {
    let cases = [
        (0.1, "0.1"),
        (1.0, "1.0"),
        (1.0 / 3.0, "0.333333333333"),
        (123.456_789_012_345_67, "123.456789012"),
        (1e-7, "1e-7"),
        (1.234_567_890_123_456e300, "1.23456789012e300"),
        (0.1 + 0.2, "0.3"),
    ];
    for (value, want) in cases {
        assert_eq!(sane(value), want);
    }
}

#[test]
fn records_and_markdown() {
    let layout = Layout { is_expanded: true, ..terminal(80) };
    let (text, _) = drawn(&[("a", None, &[Some("x")]), ("mag", Some("mag"), &[None])], layout);
    assert_eq!(text, "-- row 1\na          x\nmag [mag]  NULL\n");
    let schema = Schema::new(vec![column("a|b", None), column("m", Some("mag"))]);
    let values = vec![
        Arc::new(arrow_array::StringArray::from(vec!["x|y"])) as arrow_array::ArrayRef,
        Arc::new(Float64Array::from(vec![1.5])),
    ];
    let out = Shared::default();
    let mut table = Markdown::new(&schema, Box::new(out.clone())).unwrap();
    table.write(&Batch::try_new(schema.arrow(), values).unwrap()).unwrap();
    table.finish().unwrap();
    let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text, "| a\\|b | m [mag] |\n| --- | --: |\n| x\\|y | 1.5 |\n");
}
