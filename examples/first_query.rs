//! From a CSV file to the first answer: `cargo run --example first_query [DIRECTORY]`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::path::{Path, PathBuf};

use starquake::arrow::array::cast::AsArray;
use starquake::arrow::array::types::{Float64Type, Int64Type};
use starquake::{Database, Error, Import, Options, Params, Result, Value};

const STARS: &str = "\
hip,name,ra,dec,vmag,parallax
27989,Betelgeuse,88.792939,7.407064,0.42,6.55
24436,Rigel,78.634467,-8.201638,0.13,3.78
25336,Bellatrix,81.282764,6.349703,1.64,12.92
26727,Alnitak,85.189694,-1.942574,1.77,4.43
32349,Sirius,101.287155,-16.716116,-1.46,379.21
11767,Polaris,37.954561,89.264109,1.98,7.54
";

/// Makes a database in `directory` and asks it things; the names found, brightest first.
pub fn run(directory: &Path) -> Result<Vec<String>> {
    let file = directory.join("stars.csv");
    if !file.exists() {
        std::fs::write(&file, STARS).map_err(|e| Error::io("write", &file, e))?;
    }

    // A database is a directory; an import that is already in does nothing, so this can be run again.
    let db = Database::create(directory.join("stars.sqk"), Options::default())?;
    let stars =
        Import::catalog(&file).into_name("stars").key("hip").unit("parallax", "mas").unit("vmag", "mag");
    let done = db.import(&stars)?;
    println!("{}", done.message.unwrap_or_default());

    // Values go in as values: no text is put together, nothing needs quoting.
    let orion = Value::Sky { ra_deg: 83.8, dec_deg: -1.0 };
    let params = Params::new().with("here", orion).with("radius", Value::quantity(15.0, "deg"));
    let text = "SELECT hip, name, vmag FROM stars WHERE DISTANCE(pos, $here) < $radius ORDER BY vmag";
    let rows = db.query(text, params)?;
    for column in &rows.schema().columns {
        let unit = column.unit.as_ref().map_or("", |u| &u.name);
        println!("{:<6} {:?} {unit}", column.name, column.kind());
    }

    // Rows come as Arrow record batches, made as they are taken.
    let mut names = vec![];
    for batch in rows {
        let batch = batch?;
        let (hip, name) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
        let vmag = batch.column(2).as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            println!("HIP {:>5} {:<10} {:>5.2}", hip.value(row), name.value(row), vmag.value(row));
            names.push(name.value(row).to_owned());
        }
    }

    // A mistake says where, why and what to write instead.
    if let Err(mistake) = db.query("SELECT naem FROM stars", ()) {
        print!("{}", mistake.rendered());
    }
    Ok(names)
}

#[allow(dead_code, reason = "the tests run the example as a module")]
fn main() -> Result<()> {
    let directory = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    run(&directory).map(|_| ())
}
