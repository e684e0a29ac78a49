"""Sets the queries of benches/tables.rs beside DuckDB: the same Parquet files, the same SQL, the same threads.

    cargo bench --bench tables -- make DIR
    cargo bench --bench tables -- run DIR 5 2
    python benches/compare/with_duckdb.py DIR [REPETITIONS] [THREADS] [PASSES]     (PyPI: duckdb)

Reads DIR/starquake.tsv, runs each query on in-memory tables loaded from DIR/big.parquet and DIR/small.parquet, and
prints medians, the ratio of wall times, and whether both answers agree (floats to 1e-9).
"""
import math
import statistics
import sys
import time
from pathlib import Path

import duckdb


def same(ours, theirs):
    if len(ours) != len(theirs):
        return False
    for a, b in zip(ours, theirs):
        if isinstance(b, float):
            if not math.isclose(float(a), b, rel_tol=1e-9):
                return False
        elif a != str(b):
            return False
    return True


def main():
    directory = Path(sys.argv[1])
    repetitions = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    connection = duckdb.connect()
    connection.execute(f"SET threads = {threads}")
    for name in ("big", "small"):
        connection.execute(f"CREATE TABLE {name} AS FROM '{directory / name}.parquet'")
    print(f"{'query':16} {'ours wall':>10} {'CPU':>7} {'DuckDB wall':>12} {'CPU':>7} {'ratio':>6}  same")
    for line in (directory / "starquake.tsv").read_text().splitlines():
        name, text, wall, cpu, values = line.split("\t")
        answer = [v for row in connection.execute(text).fetchall() for v in row]
        walls, cpus = [], []
        for _ in range(repetitions):
            start, before = time.perf_counter(), time.process_time()
            connection.execute(text).fetchall()
            walls.append(time.perf_counter() - start)
            cpus.append(time.process_time() - before)
        theirs, their_cpu = statistics.median(walls), statistics.median(cpus)
        agrees = "yes" if same(values.split(), answer) else f"NO: {answer[:6]}"
        print(
            f"{name:16} {float(wall):10.4f} {float(cpu):7.2f} {theirs:12.4f} {their_cpu:7.2f}"
            f" {float(wall) / theirs:6.2f}  {agrees}"
        )
        print(f"  {text}\n  = {values[:100]}")


main()
