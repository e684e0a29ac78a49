//! ADQL 2.1 as astronomers type it: valid queries by production of its grammar and queries it does not allow, each
//! parsed, bound and run on small tables of the names they use.

use std::fs;

use crate::support::{Db, shown};

const GAIA: &str = "\
source_id,ra,dec,pmra,pmdec,parallax,phot_g_mean_mag,phot_bp_mean_mag,random_index
1,10.0,20.0,1.0,-1.0,5.0,12.5,12.9,17
2,10.4,20.2,2.0,0.0,,15.0,15.5,170
3,359.9,0.0,0.5,0.5,20.0,9.0,9.1,3
4,123.0,-89.5,,,1.0,8.0,8.5,40
4295806720,45.0,0.1,5.0,5.0,0.5,18.0,19.0,41
";
const TWOMASS: &str = "\
tmass_id,source_id,ra,dec,j_m
t1,1,10.0001,20.0,11.0
t2,3,359.9,0.0001,7.5
t3,,200.0,45.0,3.0
";
const NAMES: &str = "source_id,name\n1,first\n3,third\n77,lost\n";
const OBS: &str = "\
obs_id,target,collection,t_min,t_max,s_ra,s_dec,s_fov,obs_date,Size,\"Observer \"\"Name\"\"\"
1,M31,HST,59990.0,60000.5,10.1,20.1,0.2,2024-02-29T10:00:00Z,5,Ann
2,Barnard's star,JWST,60005.0,60006.0,269.4,4.7,0.1,2023-01-01T00:00:00Z,7,Bob
3,,HST,50000.0,50001.0,350.0,10.0,1.0,,9,
";

/// Catalogues with the columns that the queries name.
fn sky() -> Db {
    let mut db = Db::new();
    let dir = db.dir.path().to_path_buf();
    for (name, text, options) in [
        (
            "gaia_source",
            GAIA,
            "KEY source_id POSITION (ra, dec) UNITS (ra deg, dec deg, pmra mas/yr, pmdec mas/yr, parallax mas)",
        ),
        ("twomass", TWOMASS, "KEY tmass_id"),
        ("names", NAMES, ""),
        ("obs", OBS, "KEY obs_id POSITION (s_ra, s_dec)"),
    ] {
        let file = dir.join(format!("{name}.csv"));
        fs::write(&file, text).expect("a file");
        db.run(&format!("IMPORT CATALOG '{}' INTO {name} {options}", file.display()));
    }
    db
}

/// The queries of a file, each with what it must be refused for.
fn queries(text: &str) -> Vec<(&str, Option<&str>)> {
    let lines = text.lines().filter(|l| !l.is_empty() && !l.starts_with("--"));
    lines
        .map(|l| l.split_once("; -- refused: ").map_or((l, None), |(query, why)| (query, Some(why))))
        .collect()
}

#[test]
fn valid_queries_run_or_are_refused_by_name() {
    let queries = queries(include_str!("data/adql/valid.sq"));
    let mut db = sky();
    let mut wrong = String::new();
    let mut accepted = 0;
    for (query, refused) in &queries {
        match (db.try_run(query).map_err(|e| shown(&e)), refused) {
            (Ok(_), None) => accepted += 1,
            (Err(message), Some(phrase)) if message.contains(phrase) => {}
            (Ok(_), Some(phrase)) => wrong.push_str(&format!("{query}\n  runs, though {phrase}\n")),
            (Err(message), _) => wrong.push_str(&format!("{query}\n{message}\n")),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(queries.len() >= 150, "{} queries", queries.len());
    assert!(accepted * 10 >= queries.len() * 9, "{accepted} of {} are accepted", queries.len());
}

#[test]
fn invalid_queries_are_refused() {
    let queries = queries(include_str!("data/adql/invalid.sq"));
    let mut db = sky();
    let accepted: Vec<&str> = queries.iter().map(|q| q.0).filter(|q| db.try_run(q).is_ok()).collect();
    assert!(accepted.is_empty(), "accepted: {accepted:#?}");
    assert!(queries.len() >= 60, "{} queries", queries.len());
}

/// What the queries find: the answers of one spelling and another are the same.
#[test]
fn spellings_of_one_question_have_one_answer() {
    let mut db = sky();
    let same: &[&[&str]] = &[
        &[
            "SELECT source_id FROM gaia_source WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 1))",
            "SELECT source_id FROM gaia_source WHERE CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 10, 20, 1)) = 1",
            "SELECT source_id FROM gaia_source WHERE 0 <> CONTAINS(POINT(ra, dec), CIRCLE(POINT(10, 20), 1))",
            "SELECT source_id FROM gaia_source WHERE 1 = INTERSECTS(CIRCLE(10, 20, 1), POINT(ra, dec))",
            "SELECT source_id FROM gaia_source WHERE DISTANCE(ra, dec, 10, 20) <= 1",
            "SELECT source_id FROM gaia_source WHERE DISTANCE(POINT(ra, dec), POINT(10, 20)) <= 1",
            "SELECT source_id FROM gaia_source WHERE pos IN CIRCLE(10, 20, 60 arcmin)",
            "SELECT source_id FROM gaia_source WHERE 1 = CONTAINS(POINT(ra, dec), REGION('CIRCLE ICRS 10 20 1'))",
            "SELECT source_id FROM gaia_source WHERE 1 = CONTAINS(POINT(ra, dec), CIRCLE(10, 20, source_id / source_id))",
            "LET c = CIRCLE(10, 20, 1 deg); SELECT source_id FROM gaia_source WHERE pos IN $c",
        ],
        &[
            "SELECT g.source_id, t.tmass_id FROM gaia_source AS g JOIN twomass AS t ON g.source_id = t.source_id ORDER BY 1",
            "SELECT gaia_source.source_id, tmass_id FROM gaia_source JOIN twomass USING (source_id) ORDER BY 1",
            "SELECT source_id, tmass_id FROM gaia_source JOIN twomass USING (source_id) ORDER BY 1",
            "SELECT source_id, tmass_id FROM gaia_source NATURAL JOIN (SELECT source_id, tmass_id FROM twomass) AS t ORDER BY 1",
            "SELECT source_id, tmass_id FROM (gaia_source JOIN twomass USING (source_id)) ORDER BY 1",
        ],
        &[
            "SELECT g.ra, n.name FROM gaia_source AS g RIGHT JOIN names AS n ON g.source_id = n.source_id ORDER BY 2",
            "SELECT g.ra, n.name FROM names AS n LEFT JOIN gaia_source AS g ON g.source_id = n.source_id ORDER BY 2",
            "SELECT ra, name FROM gaia_source NATURAL RIGHT JOIN names ORDER BY 2",
        ],
        &[
            "SELECT source_id, ra, name FROM gaia_source FULL JOIN names USING (source_id) ORDER BY 1",
            "SELECT source_id, ra, name FROM gaia_source NATURAL FULL OUTER JOIN names ORDER BY 1",
            "SELECT g.source_id, ra, name FROM gaia_source AS g LEFT JOIN names AS n ON g.source_id = n.source_id
             UNION ALL SELECT n.source_id, CAST(NULL AS DOUBLE PRECISION), name FROM names AS n
             ANTI JOIN gaia_source AS g ON g.source_id = n.source_id ORDER BY 1",
        ],
        &[
            "SELECT ra FROM gaia_source UNION (SELECT ra FROM twomass INTERSECT SELECT s_ra FROM obs) ORDER BY 1",
            "SELECT ra FROM gaia_source UNION SELECT ra FROM twomass INTERSECT SELECT s_ra FROM obs ORDER BY 1",
        ],
        &[
            "SELECT CASE collection WHEN 'HST' THEN 1 ELSE 2 END AS c FROM obs",
            "SELECT CASE WHEN collection = 'HST' THEN 1 ELSE 2 END AS c FROM obs",
        ],
    ];
    for spellings in same {
        let rows: Vec<_> = spellings.iter().map(|q| db.rows(q)).collect();
        assert!(!rows[0].is_empty(), "{}", spellings[0]);
        for (query, found) in spellings.iter().zip(&rows) {
            assert_eq!(found, &rows[0], "{query}");
        }
    }
}
