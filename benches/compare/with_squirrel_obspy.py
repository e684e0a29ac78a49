"""The same archive indexed, refreshed and asked by Starquake, by pyrocko's squirrel and by ObsPy (headers only).

    cargo build --release
    python benches/compare/with_squirrel_obspy.py ARCHIVE [STARQUAKE]      (PyPI: pyrocko, obspy)

ARCHIVE is a directory of miniSEED files in SDS. Each tool gets a fresh store. The times of change of 1 % of the files
are set for the third row (not their content). Starquake runs as a command, start included; the others run within one
process that is already started. Counts of files and segments stand beside the times: the same work was done.
"""
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRATCH = Path(tempfile.mkdtemp(prefix="starquake-compare-"))
# squirrel keeps settings and caches in the home directory: not in the user's
os.environ["HOME"] = str(SCRATCH)

STARQUAKE = sys.argv[2] if len(sys.argv) > 2 else "target/release/starquake"
# instants that lie in most day files; seconds after the first sample
WINDOW_S = 30.0


def row(work, tool, wall_s, cpu_s, rate, counts):
    print(f"{work:28} {tool:22} {wall_s:10.4f} {cpu_s:10.4f} {rate:>14}  {counts}", flush=True)


def timed(work):
    """Wall and CPU seconds (children included) of a call, and what it returns."""
    def cpu():
        usage = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(u.ru_utime + u.ru_stime for u in usage)
    before, start = cpu(), time.perf_counter()
    value = work()
    return time.perf_counter() - start, cpu() - before, value


def starquake(*arguments):
    done = subprocess.run([STARQUAKE, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode not in (0, 3):
        sys.exit(f"{arguments}: {done.returncode}\n{done.stderr}")
    return done.stdout


def touch_some(files):
    """A new time of change, an hour back, for one file in a hundred."""
    when = time.time_ns() - 3_600_000_000_000
    for number, path in enumerate(files[::100]):
        os.utime(path, ns=(when + number, when + number))


def ask(database, query):
    return starquake(database, "query", query, "--format", "csv").splitlines()[1:]


def ours(archive, files, threads):
    database = SCRATCH / f"ours{threads}.sqk"
    name = f"starquake -j {threads}"
    wall, cpu, _ = timed(lambda: starquake(database, "import", "waveforms", archive, "--into", "a", "-j", threads))
    segments = ask(database, "SELECT count(*) FROM segments")[0]
    indexed = ask(database, "SELECT count(*) FROM files")[0]
    row("first index", name, wall, cpu, f"{len(files) / wall:.0f} files/s", f"{indexed} files {segments} segments")
    best = min(timed(lambda: starquake(database, "refresh", "-j", threads))[:2] for _ in range(3))
    row("refresh, unchanged", name, *best, f"{best[0] / len(files) * 1e6:.2f} us/file", "")
    touch_some(files)
    wall, cpu, _ = timed(lambda: starquake(database, "refresh", "-j", threads))
    row("refresh, 1 % touched", name, wall, cpu, f"{len(files) / wall:.0f} files/s", "")
    size = sum(p.stat().st_size for p in database.rglob("*") if p.is_file())
    print(f"{'index':28} {name:22} {size:>10} bytes", flush=True)
    return database


def our_questions(database, code, start):
    end = f"{start} + {WINDOW_S} s"
    query = f"SELECT path FROM segments WHERE code MATCHES '{code}' AND span OVERLAPS {start} .. {end}"
    best = min((timed(lambda: ask(database, query)) for _ in range(5)), key=lambda t: t[0])
    row("lookup, one channel", "starquake (command)", *best[:2], "", f"{len(best[2])} segments")
    wall, cpu, rows = timed(lambda: ask(database, "COVERAGE OF '*.*.*.*'"))
    row("coverage of all", "starquake (command)", wall, cpu, "", f"{len(rows)} channels")
    out = SCRATCH / "window.mseed"
    copy = f"COPY (SELECT * FROM segments WHERE code MATCHES '{code}' AND span OVERLAPS {start} .. {end}) TO '{out}' FORMAT mseed REPLACE"
    best = min((timed(lambda: starquake(database, "query", copy)) for _ in range(5)), key=lambda t: t[0])
    row("30 s window to a file", "starquake (command)", *best[:2], "", f"{out.stat().st_size} bytes")


def squirrel(archive, files, code, start_s):
    from pyrocko import squirrel as pyrocko_squirrel

    def opened():
        found = pyrocko_squirrel.Squirrel(str(SCRATCH), persistent="compare")
        found.add(str(archive))
        return found
    wall, cpu, found = timed(opened)
    counts = f"{found.get_nfiles()} files {found.get_nnuts()} segments"
    row("first index", "squirrel", wall, cpu, f"{len(files) / wall:.0f} files/s", counts)
    wall, cpu, _ = timed(lambda: found.add(str(archive)))
    row("refresh, unchanged", "squirrel", wall, cpu, f"{wall / len(files) * 1e6:.2f} us/file", "")
    touch_some(files)
    wall, cpu, _ = timed(lambda: found.add(str(archive)))
    row("refresh, 1 % touched", "squirrel", wall, cpu, f"{len(files) / wall:.0f} files/s", "")
    network, station, location, channel = code.split(".")
    wanted = f"{network}.{station}.{location}.{channel}."
    draw = random.Random(1)
    starts = [start_s + draw.uniform(0, 40_000) for _ in range(200)]
    look = lambda: [len(found.get_waveform_nuts(codes=wanted, tmin=t, tmax=t + WINDOW_S)) for t in starts]
    wall, cpu, hits = timed(look)
    row("lookup, one channel", "squirrel (in process)", wall / 200, cpu / 200, "", f"{sum(hits) / 200:.1f} segments")
    wall, cpu, coverage = timed(lambda: found.get_coverage("waveform"))
    row("coverage of all", "squirrel (in process)", wall, cpu, "", f"{len(coverage)} channels")

    def window(t):
        traces = found.get_waveforms(codes=wanted, tmin=t, tmax=t + WINDOW_S, want_incomplete=True)
        found.advance_accessor("default")
        return sum(len(trace.get_ydata()) for trace in traces)
    walls = [timed(lambda t=t: window(t)) for t in starts[:40]]
    wall, cpu, samples = sorted(walls)[len(walls) // 2]
    row("30 s window, samples", "squirrel (in process)", wall, cpu, "", f"{samples} samples")


def obspy(archive, files, code, start_s):
    import obspy
    from obspy.clients.filesystem.sds import Client

    def headers():
        return sum(len(obspy.read(str(path), headonly=True)) for path in files)
    wall, cpu, traces = timed(headers)
    row("first index", "ObsPy headonly", wall, cpu, f"{len(files) / wall:.0f} files/s", f"{len(files)} files {traces} segments")
    client = Client(str(archive))
    start = obspy.UTCDateTime(start_s)
    walls = []
    for number in range(40):
        at = start + 900.0 * number
        walls.append(timed(lambda t=at: sum(len(x) for x in client.get_waveforms(*code.split("."), t, t + WINDOW_S))))
    wall, cpu, samples = sorted(walls)[len(walls) // 2]
    row("30 s window, samples", "ObsPy SDS client", wall, cpu, "", f"{samples} samples")


def main():
    archive = Path(sys.argv[1]).resolve()
    files = sorted(str(p) for p in archive.rglob("*") if p.is_file())
    for path in files:
        with open(path, "rb") as file:
            file.read()
    print(f"{len(files)} files, {sum(os.path.getsize(p) for p in files) / 1e9:.2f} GB, read once before")
    print(f"{'work':28} {'tool':22} {'wall s':>10} {'CPU s':>10} {'rate':>14}  counts")
    database = ours(archive, files, 1)
    ours(archive, files, 2)
    first = ask(database, "SELECT code, starttime FROM segments WHERE npts > 0 ORDER BY sampling_rate DESC, npts DESC, code LIMIT 1")
    code, start = first[0].split(",")
    our_questions(database, code, start)
    from obspy import UTCDateTime
    start_s = float(UTCDateTime(start).timestamp)
    squirrel(archive, files, code, start_s)
    obspy(archive, files, code, start_s)


main()
