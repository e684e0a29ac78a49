//! Every statistic against its plain formula in double-double arithmetic (about 32 digits), on random and on hard
//! inputs, and the properties that shifts and scales must have.

use std::ops::{Add, Div, Mul, Sub};

use proptest::prelude::*;

use super::special::{gamma_q, student_p};
use super::*;

/// An unevaluated sum of two doubles.
#[derive(Clone, Copy, Debug)]
struct Dd(f64, f64);

fn dd(value: f64) -> Dd {
    Dd(value, 0.0)
}

fn two_sum(a: f64, b: f64) -> Dd {
    let sum = a + b;
    let other = sum - a;
    Dd(sum, (a - (sum - other)) + (b - other))
}

impl Add for Dd {
    type Output = Dd;
    fn add(self, b: Dd) -> Dd {
        let (high, low) = (two_sum(self.0, b.0), two_sum(self.1, b.1));
        let first = two_sum(high.0, high.1 + low.0);
        two_sum(first.0, first.1 + low.1)
    }
}

impl Sub for Dd {
    type Output = Dd;
    fn sub(self, b: Dd) -> Dd {
        self + Dd(-b.0, -b.1)
    }
}

impl Mul for Dd {
    type Output = Dd;
    fn mul(self, b: Dd) -> Dd {
        let product = self.0 * b.0;
        let rest = self.0.mul_add(b.0, -product);
        two_sum(product, rest + (self.0 * b.1 + self.1 * b.0))
    }
}

impl Div for Dd {
    type Output = Dd;
    fn div(self, b: Dd) -> Dd {
        let first = self.0 / b.0;
        let rest = self - dd(first) * b;
        let second = rest.0 / b.0;
        let rest = rest - dd(second) * b;
        two_sum(first, second) + dd(rest.0 / b.0)
    }
}

impl Dd {
    fn sqrt(self) -> Dd {
        if self.0 <= 0.0 {
            return dd(0.0);
        }
        let root = dd(self.0.sqrt());
        root + (self - root * root) / (dd(2.0) * root)
    }

    fn abs(self) -> Dd {
        if self.0 < 0.0 { Dd(-self.0, -self.1) } else { self }
    }

    fn signed_root(self) -> Dd {
        if self.0 < 0.0 { dd(0.0) - self.abs().sqrt() } else { self.sqrt() }
    }

    fn value(self) -> f64 {
        self.0 + self.1
    }
}

fn total(terms: impl Iterator<Item = Dd>) -> Dd {
    terms.fold(dd(0.0), Add::add)
}

fn widen(values: &[f64]) -> Vec<Dd> {
    values.iter().copied().map(dd).collect()
}

/// The textbook sums of one band.
struct Oracle {
    n: Dd,
    t: Vec<Dd>,
    m: Vec<Dd>,
    s: Vec<Dd>,
    mean: Dd,
    wmean: Dd,
    sum_w: Dd,
    squares: Dd,
    d: Vec<Dd>,
}

fn moment(values: &[Dd], center: Dd, power: usize) -> Dd {
    total(values.iter().map(|&m| (0..power).fold(dd(1.0), |product, _| product * (m - center))))
}

fn middle(mut values: Vec<Dd>) -> Dd {
    values.sort_by(|a, b| a.value().total_cmp(&b.value()));
    let n = values.len();
    (values[(n - 1) / 2] + values[n / 2]) / dd(2.0)
}

impl Oracle {
    fn new(times: &[f64], values: &[f64], errors: &[f64]) -> Self {
        let (t, m, s) = (widen(times), widen(values), widen(errors));
        let n = dd(values.len() as f64);
        let mean = total(m.iter().copied()) / n;
        let weight = |s: &Dd| dd(1.0) / (*s * *s);
        let sum_w = total(s.iter().map(weight));
        let wmean = total(m.iter().zip(&s).map(|(m, s)| *m * weight(s))) / sum_w;
        let bias = (n / (n - dd(1.0))).sqrt();
        let d = m.iter().zip(&s).map(|(m, s)| bias * (*m - wmean) / *s).collect();
        Oracle { n, squares: moment(&m, mean, 2), t, m, s, mean, wmean, sum_w, d }
    }

    /// Sxx, Sxy and the center of the times with such weights.
    fn line(&self, weights: &[Dd], center_m: Dd) -> (Dd, Dd) {
        let sum = total(weights.iter().copied());
        let center = total(self.t.iter().zip(weights).map(|(t, w)| *t * *w)) / sum;
        let rows = || self.t.iter().zip(weights).zip(&self.m);
        let sxx = total(rows().map(|((t, w), _)| *w * (*t - center) * (*t - center)));
        let sxy = total(rows().map(|((t, w), m)| *w * (*t - center) * (*m - center_m)));
        (sxx, sxy)
    }

    fn plain_line(&self) -> (Dd, Dd, Dd) {
        let (sxx, sxy) = self.line(&vec![dd(1.0); self.m.len()], self.mean);
        (sxx, sxy, self.squares - sxy * sxy / sxx)
    }

    fn quantile(&self, quarter: usize) -> Dd {
        let mut sorted = self.m.clone();
        sorted.sort_by(|a, b| a.value().total_cmp(&b.value()));
        let (place, rest) = ((sorted.len() - 1) * quarter / 4, (sorted.len() - 1) * quarter % 4);
        let high = sorted[(place + 1).min(sorted.len() - 1)];
        sorted[place] + dd(rest as f64 / 4.0) * (high - sorted[place])
    }

    fn deviation(&self) -> Vec<Dd> {
        let center = middle(self.m.clone());
        self.m.iter().map(|m| (*m - center).abs()).collect()
    }

    fn j(&self) -> Dd {
        total(self.d.iter().map(|d| (*d * *d - dd(1.0)).signed_root())) / self.n
    }

    fn k(&self) -> Dd {
        let squares = total(self.d.iter().map(|d| *d * *d)) / self.n;
        total(self.d.iter().map(|d| d.abs())) / self.n / squares.sqrt()
    }

    fn eta_e(&self) -> Dd {
        let steps = self.t.windows(2).zip(self.m.windows(2)).filter(|(t, _)| t[0].value() != t[1].value());
        let rates: Vec<Dd> = steps.map(|(t, m)| (m[1] - m[0]) / (t[1] - t[0])).collect();
        let k = dd(rates.len() as f64);
        let step = (self.t[self.t.len() - 1] - self.t[0]) / k;
        step * step * total(rates.iter().map(|r| *r * *r)) / k / (self.squares / (self.n - dd(1.0)))
    }

    fn value(&self, name: &str) -> f64 {
        let (n, one, year) = (self.n, dd(1.0), dd(365.25));
        let variance = self.squares / (n - one);
        let chi2 = total(self.m.iter().zip(&self.s).map(|(m, s)| (*m - self.wmean) / *s).map(|z| z * z));
        let stated = total(self.s.iter().map(|s| *s * *s)) / n;
        let weights: Vec<Dd> = self.s.iter().map(|s| one / (*s * *s)).collect();
        let (m2, m3) = (self.squares / n, moment(&self.m, self.mean, 3) / n);
        let answer = match name {
            "mean" => self.mean,
            "wmean" => self.wmean,
            "wmean_error" => one / self.sum_w.sqrt(),
            "rms" => variance.sqrt(),
            "chi2" => chi2 / (n - one),
            "chi2_p" => return gamma_q((n.value() - 1.0) / 2.0, (chi2 / dd(2.0)).value()),
            "slope" => self.plain_line().1 / self.plain_line().0 * year,
            "slope_error" => (self.plain_line().2 / (n - dd(2.0)) / self.plain_line().0).sqrt() * year,
            "slope_r2" => one - self.plain_line().2 / self.squares,
            "slope_p" => {
                let (sxx, sxy, rest) = self.plain_line();
                let dof = n - dd(2.0);
                return student_p(dof.value(), (sxy / sxx / (rest / dof / sxx).sqrt()).value());
            }
            "eta" => moment_steps(&self.m) / self.squares,
            "stetson_j" => self.j(),
            "stetson_k" => self.k(),
            "stetson_l" => self.j() * self.k() / dd(0.798),
            "amplitude" => (self.quantile(4) - self.quantile(0)) / dd(2.0),
            "mad" => middle(self.deviation()),
            "iqr" => self.quantile(3) - self.quantile(1),
            "median" => middle(self.m.clone()),
            "roms" => total(self.deviation().iter().zip(&self.s).map(|(d, s)| *d / *s)) / (n - one),
            "excess_variance" => variance - stated,
            "excess_variance_norm" => (variance - stated) / (self.mean * self.mean),
            "wslope" => self.line(&weights, self.wmean).1 / self.line(&weights, self.wmean).0 * year,
            "wslope_error" => year / self.line(&weights, self.wmean).0.sqrt(),
            "eta_e" => self.eta_e(),
            "skew" => (n * (n - one)).sqrt() / (n - dd(2.0)) * m3 / (m2 * m2.sqrt()),
            "kurtosis" => {
                let g2 = moment(&self.m, self.mean, 4) / n / (m2 * m2) - dd(3.0);
                (n - one) / ((n - dd(2.0)) * (n - dd(3.0))) * ((n + one) * g2 + dd(6.0))
            }
            other => panic!("no oracle for {other}"),
        };
        answer.value()
    }
}

fn moment_steps(values: &[Dd]) -> Dd {
    total(values.windows(2).map(|m| (m[1] - m[0]) * (m[1] - m[0])))
}

/// Relative tolerance, and the size below which a difference of that share counts for nothing (a sum that cancels).
fn tolerance(stat: &Stat, oracle: &Oracle) -> (f64, f64) {
    let n = oracle.n.value();
    let spread = (oracle.squares.value() / n).sqrt() + oracle.s.iter().map(|s| s.value()).fold(0.0, f64::max);
    let times = (oracle.plain_line().0.value() / n).sqrt();
    let size = match stat.unit {
        StatUnit::Value => spread,
        StatUnit::Squared => spread * spread,
        StatUnit::PerYear => spread / times * 365.25,
        StatUnit::One => 1.0,
    };
    match stat.name {
        // the root of P near zero turns 1e-16 into 1e-8
        "stetson_j" | "stetson_l" => (1e-7, size),
        // d ln p / d ln t is about t^2
        "chi2_p" | "slope_p" => (1e-9, 1e-300),
        "excess_variance_norm" => (1e-11, (spread / oracle.mean.value()).powi(2)),
        // what a line leaves over is known to the rounding of what it explains
        "slope_error" => (1e-11, size * 1e-3),
        _ => (1e-11, size),
    }
}

fn check(times: &[f64], values: &[f64], errors: &[f64], what: &str) {
    let sample = Sample::new(times, values, Some(errors));
    let oracle = Oracle::new(times, values, errors);
    for stat in STATS {
        let got = stat.of(&sample);
        if values.len() < stat.min_epochs {
            assert_eq!(got, None, "{} of {what}", stat.name);
            continue;
        }
        let want = oracle.value(stat.name);
        let Some(got) = got else {
            assert!(!want.is_finite(), "{} of {what} is NULL instead of {want:e}", stat.name);
            continue;
        };
        let (relative, size) = tolerance(stat, &oracle);
        let near = (got - want).abs() <= relative * (want.abs() + size);
        assert!(near, "{} of {what}: {got:e} instead of {want:e}", stat.name);
    }
}

/// A small linear congruential generator: numbers in [0, 1).
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn curve(&mut self, n: usize, offset: f64, scale: f64) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let mut t = 55_000.0;
        let mut next_time = |r: f64| {
            t += r * 20.0;
            t
        };
        let times: Vec<f64> = (0..n).map(|_| next_time(self.next())).collect();
        let values = (0..n).map(|_| offset + scale * (self.next() + self.next() - 1.0)).collect();
        let errors = (0..n).map(|_| scale * (0.05 + self.next())).collect();
        (times, values, errors)
    }
}

#[test]
fn random_curves_agree_with_the_oracle() {
    let mut random = Lcg(7);
    for n in [1, 2, 3, 4, 5, 7, 8, 9, 16, 33, 100, 501] {
        for (offset, scale) in
            [(0.0, 1.0), (14.0, 0.1), (1e9, 1.0), (-1e9, 1e-3), (3.0, 1e-9), (1e-30, 1e-31)]
        {
            let (t, v, s) = random.curve(n, offset, scale);
            check(&t, &v, &s, &format!("{n} values about {offset:e} +- {scale:e}"));
        }
    }
}

#[test]
fn hard_curves_agree_with_the_oracle() {
    let steps: Vec<f64> = (0..64).map(f64::from).collect();
    let ones = vec![1.0; 64];
    let one_out: Vec<f64> = (0..64).map(|i| if i == 40 { 1e6 } else { 0.1 * f64::from(i % 7) }).collect();
    let first_out: Vec<f64> = (0..64).map(|i| if i == 0 { 1e8 } else { 0.25 * f64::from(i % 5) }).collect();
    let two_levels: Vec<f64> = (0..64).map(|i| if i % 2 == 0 { 1e9 } else { 1e9 + 0.125 }).collect();
    let uneven: Vec<f64> = (0..64).map(|i| 10_f64.powi(i % 9 - 4)).collect();
    let equal_times: Vec<f64> = (0..64).map(|i| f64::from(i / 3)).collect();
    let noisy_line: Vec<f64> =
        (0..64).map(|i| 5.0 + 0.5 * f64::from(i) + 0.01 * f64::from(i * i % 11)).collect();
    type Case<'a> = (&'a str, &'a [f64], &'a [f64], &'a [f64]);
    let cases: [Case<'_>; 6] = [
        ("one outlier", &steps, &one_out, &ones),
        ("the first is the outlier", &steps, &first_out, &ones),
        ("two levels on 1e9", &steps, &two_levels, &ones),
        ("errors over nine decades", &steps, &one_out, &uneven),
        ("equal times", &equal_times, &noisy_line, &uneven),
        ("nearly a line", &steps, &noisy_line, &ones),
    ];
    for (what, t, v, s) in cases {
        check(t, v, s, what);
    }
}

/// Names of the statistics that are NULL.
fn nulls(sample: &Sample) -> Vec<&'static str> {
    STATS.iter().filter(|s| s.of(sample).is_none()).map(|s| s.name).collect()
}

#[test]
fn constant_input_gives_null_for_every_quotient_of_zeros() {
    let times: Vec<f64> = (0..9).map(f64::from).collect();
    for value in [0.1, 1e9 + 0.1, -7.3, 1e-300] {
        let sample = Sample::new(&times, &[value; 9], Some(&[0.3; 9]));
        let want = ["slope_r2", "slope_p", "eta", "stetson_k", "stetson_l", "eta_e", "skew", "kurtosis"];
        let tiny = value < 1e-200 && value > 0.0;
        let got: Vec<_> =
            nulls(&sample).into_iter().filter(|n| !tiny || *n != "excess_variance_norm").collect();
        assert_eq!(got, want, "{value}");
        assert_eq!(find("rms").and_then(|s| s.of(&sample)), Some(0.0));
        assert_eq!(find("stetson_j").and_then(|s| s.of(&sample)), Some(-1.0));
    }
}

#[test]
fn without_errors_or_epochs_statistics_are_null() {
    let times: Vec<f64> = (0..9).map(f64::from).collect();
    let bare = Sample::new(&times, &times, None);
    let want: Vec<_> = STATS.iter().filter(|s| s.needs_error).map(|s| s.name).collect();
    assert_eq!(nulls(&bare), want);
    for empty in [Sample::new(&[], &[], None), Sample::new(&[], &[], Some(&[])), Sample::default()] {
        assert_eq!(nulls(&empty).len(), STATS.len());
    }
    let huge = Sample::new(&[0.0, 1.0], &[1e300, -1e300], Some(&[1e-300; 2]));
    assert!(STATS.iter().filter_map(|s| s.of(&huge)).all(f64::is_finite));
}

#[test]
fn functions_keep_their_own_minimum() {
    for n in 0..5 {
        let numbers: Vec<f64> = (0..n).map(|i| f64::from(i * i)).collect();
        let times: Vec<f64> = (0..n).map(f64::from).collect();
        let sample = Sample::new(&times, &numbers, Some(&vec![1.0; numbers.len()]));
        for stat in STATS {
            assert_eq!((stat.compute)(&sample), stat.of(&sample), "{} of {n}", stat.name);
        }
    }
}

#[test]
fn names_are_unique_and_lower_case() {
    let all: Vec<_> = names().collect();
    for (place, name) in all.iter().enumerate() {
        assert!(!all[..place].contains(name), "{name}");
        assert_eq!(*name, name.to_lowercase());
    }
    assert!(all.contains(&"n") && all.contains(&"welch_stetson_i") && all.contains(&"chi2"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Adding a constant to values and times, and multiplying values and errors by a power of two, changes the
    /// statistics as their unit says.
    #[test]
    fn shift_and_scale(
        rows in prop::collection::vec((1_u32..1000, -1000_i32..1000, 1_u32..100), 5..60),
        shift in -100_000_i32..100_000,
        power in -8_i32..8,
    ) {
        let mut time = 0.0;
        let (mut t, mut v, mut s) = (Vec::new(), Vec::new(), Vec::new());
        for (step, value, error) in rows {
            time += f64::from(step) / 64.0;
            t.push(time);
            v.push(f64::from(value) / 64.0);
            s.push(f64::from(error) / 64.0);
        }
        let factor = 2_f64.powi(power);
        let shift = f64::from(shift);
        let moved = |from: &[f64], by: f64| from.iter().map(|x| (x + by) * factor).collect::<Vec<f64>>();
        let later: Vec<f64> = t.iter().map(|t| t + 4096.0).collect();
        let before = Sample::new(&t, &v, Some(&s));
        let after = Sample::new(&later, &moved(&v, shift), Some(&moved(&s, 0.0)));
        for stat in STATS.iter().filter(|s| s.name != "excess_variance_norm") {
            let (Some(a), Some(b)) = (stat.of(&before), stat.of(&after)) else {
                prop_assert_eq!(stat.of(&before).is_none(), stat.of(&after).is_none(), "{}", stat.name);
                continue;
            };
            let is_place = ["mean", "wmean", "median"].contains(&stat.name);
            let want = match stat.unit {
                StatUnit::Value if is_place => (a + shift) * factor,
                StatUnit::Value | StatUnit::PerYear => a * factor,
                StatUnit::Squared => a * factor * factor,
                StatUnit::One => a,
            };
            let root = ["stetson_j", "stetson_l"].contains(&stat.name);
            let tolerance = if root { 1e-7 } else { 1e-9 } * (want.abs() + 16.0 * factor.max(1.0).powi(2));
            let tolerance = if stat.name.ends_with("_p") { 1e-9 * want } else { tolerance };
            prop_assert!((b - want).abs() <= tolerance, "{}: {} {}", stat.name, b, want);
        }
    }

    /// Whatever comes in, a statistic is NULL or a finite number.
    #[test]
    fn never_nan(
        rows in prop::collection::vec((-1e300..1e300_f64, -1e300..1e300_f64, 1e-300..1e300_f64), 0..20),
        same in any::<bool>(),
    ) {
        let mut t: Vec<f64> = rows.iter().map(|r| r.0).collect();
        t.sort_by(f64::total_cmp);
        let v: Vec<f64> = rows.iter().map(|r| if same { rows[0].1 } else { r.1 }).collect();
        let s: Vec<f64> = rows.iter().map(|r| r.2).collect();
        let sample = Sample::new(&t, &v, Some(&s));
        for stat in STATS {
            prop_assert!(stat.of(&sample).is_none_or(f64::is_finite), "{}", stat.name);
        }
    }
}
