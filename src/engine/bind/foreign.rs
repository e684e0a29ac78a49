//! Functions of other languages, and what is written here instead.

/// Name and help.
const FOREIGN: &[(&str, &str)] = &[
    ("MEAN", "AVG is the mean"),
    ("VAR", "the square of STDDEV"),
    ("VARIANCE", "the square of STDDEV"),
    ("STDEV", "STDDEV"),
    ("STD", "STDDEV"),
    ("IFNULL", "COALESCE(a, b) is a, or b where a is NULL"),
    ("NVL", "COALESCE(a, b) is a, or b where a is NULL"),
    ("ISNULL", "`a IS NULL` is the condition, COALESCE(a, b) the value"),
    ("LEN", "LENGTH(text)"),
    ("CHAR_LENGTH", "LENGTH(text)"),
    ("SUBSTRING", "SUBSTR(text, start, length)"),
    ("UCASE", "UPPER(text)"),
    ("LCASE", "LOWER(text)"),
    ("IF", "CASE WHEN condition THEN a ELSE b END"),
    ("IIF", "CASE WHEN condition THEN a ELSE b END"),
    ("DECODE", "CASE WHEN condition THEN a ELSE b END"),
    ("CEIL", "CEILING(x)"),
    ("TRUNC", "TRUNCATE(x)"),
    ("POW", "POWER(x, y)"),
    ("LN", "LOG(x) is the natural logarithm"),
    ("LOG2", "LOG(x) / LOG(2)"),
    ("ARCTAN2", "ATAN2(y, x)"),
    (
        "NOW",
        "a query has no clock, so that it gives the same answer tomorrow: write the time, or -P now=2024-02-29T10:00",
    ),
    ("CURRENT_TIMESTAMP", "a query has no clock: write the time, or -P now=2024-02-29T10:00"),
    ("GETDATE", "a query has no clock: write the time, or -P now=2024-02-29T10:00"),
    ("EXTRACT", "YEAR(t), MONTH(t), DAY(t), HOUR(t), DOY(t)"),
    ("DATE_PART", "YEAR(t), MONTH(t), DAY(t), HOUR(t), DOY(t)"),
    ("DATE", "DATE_TRUNC('day', t)"),
    ("TO_TIMESTAMP", "CAST(text AS TIME)"),
    ("TO_CHAR", "CAST(x AS TEXT)"),
    ("STRFTIME", "CAST(t AS TEXT), or YEAR(t), DOY(t) ..."),
    ("JULIANDAY", "JD(t)"),
    ("ROLLUP", "UNION ALL of one query for each grouping"),
    ("CUBE", "UNION ALL of one query for each grouping"),
    ("ROW_NUMBER", "there are no window functions: ORDER BY and LIMIT, or GROUP BY in a subquery"),
    ("RANK", "there are no window functions: ORDER BY and LIMIT, or GROUP BY in a subquery"),
    ("GROUP_CONCAT", "texts are not aggregated: ORDER BY brings the rows together"),
    ("STRING_AGG", "texts are not aggregated: ORDER BY brings the rows together"),
    ("ST_DISTANCE", "DISTANCE(a.pos, b.pos)"),
    ("Q3C_JOIN", "a CROSSMATCH b WITHIN 3 arcsec"),
    ("Q3C_RADIAL_QUERY", "pos IN CIRCLE(ra, dec, 5 arcmin)"),
    ("CONE", "pos IN CIRCLE(ra, dec, 5 arcmin)"),
    ("RANDOM", "rows come in a stated order: take some with WHERE MOD(id, 100) = 0"),
];

/// What to write instead of a function of another language.
pub fn instead(name: &str) -> Option<&'static str> {
    FOREIGN.iter().find(|f| f.0.eq_ignore_ascii_case(name)).map(|f| f.1)
}
