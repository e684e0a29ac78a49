//! `replay TARGET FILE...` runs a target on inputs; `replay TARGET --mutate COUNT [SEED]` on so many mutated seeds of
//! our own; `replay --seeds DIRECTORY` writes the seeds as a corpus. Inputs that fail are written to `artifacts/`.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use starquake_fuzz::mutate::{Random, mutate, shrink};
use starquake_fuzz::{TARGETS, Target, find};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--seeds", folder] => write_seeds(folder),
        ["all", "--mutate", count, ref rest @ ..] => {
            let run = |target: &Target| {
                mutated(target, number(count), rest.first().map_or(1, |s| number(s) as u64))
            };
            let failed: usize = TARGETS.iter().map(run).sum();
            ExitCode::from(u8::from(failed > 0))
        }
        [name, "--mutate", count, ref rest @ ..] => match find(name) {
            Some(target) => {
                let failed = mutated(target, number(count), rest.first().map_or(1, |s| number(s) as u64));
                ExitCode::from(u8::from(failed > 0))
            }
            None => usage(),
        },
        [name, ref files @ ..] if !files.is_empty() => match find(name) {
            Some((_, run, _)) => {
                for file in files {
                    println!("{name} {file}");
                    run(&fs::read(file).expect("an input file"));
                }
                ExitCode::SUCCESS
            }
            None => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    let names: Vec<&str> = TARGETS.iter().map(|t| t.0).collect();
    eprintln!("replay TARGET FILE... | replay TARGET|all --mutate COUNT [SEED] | replay --seeds DIRECTORY");
    eprintln!("targets: {}", names.join(" "));
    ExitCode::from(2)
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn write_seeds(folder: &str) -> ExitCode {
    for (name, _, seeds) in TARGETS {
        let folder = format!("{folder}/{name}");
        fs::create_dir_all(&folder).expect("a directory");
        for (i, seed) in seeds().iter().enumerate() {
            fs::write(format!("{folder}/{i}"), seed).expect("a seed");
        }
    }
    ExitCode::SUCCESS
}

/// Different failures that are kept of one target.
const FAILURES: usize = 5;

/// Runs mutated seeds and says how many failed.
fn mutated(target: &Target, count: usize, seed: u64) -> usize {
    let (name, run, seeds) = target;
    let seeds = seeds();
    seeds.iter().for_each(|s| run(s));
    let mut random = Random(seed);
    let (mut slowest, mut failed) = (Duration::ZERO, 0);
    let start = Instant::now();
    std::panic::set_hook(Box::new(|_| {}));
    let fails = |data: &[u8]| catch_unwind(AssertUnwindSafe(|| run(data))).is_err();
    for number in 0..count {
        let data = mutate(&seeds, &mut random);
        let began = Instant::now();
        let is_bad = fails(&data);
        let took = began.elapsed();
        if took > slowest {
            slowest = took;
            if took > Duration::from_secs(1) {
                keep(name, &format!("slow-{number}"), &data);
            }
        }
        if is_bad {
            failed += 1;
            if failed <= FAILURES {
                let small = shrink(data, &fails);
                keep(name, &format!("crash-{number}"), &small);
                let _ = std::panic::take_hook();
                let _ = catch_unwind(AssertUnwindSafe(|| run(&small)));
                std::panic::set_hook(Box::new(|_| {}));
            }
        }
    }
    let _ = std::panic::take_hook();
    println!(
        "{name}: {count} inputs in {:.1} s, {failed} failed, slowest {:.1} ms",
        start.elapsed().as_secs_f64(),
        slowest.as_secs_f64() * 1e3
    );
    failed
}

fn keep(target: &str, name: &str, data: &[u8]) {
    let folder = format!("artifacts/{target}");
    fs::create_dir_all(&folder).expect("a directory");
    fs::write(format!("{folder}/{name}"), data).expect("an artifact");
    println!("{folder}/{name}: {} bytes", data.len());
}
