"""Makes obspy_segments.csv: what ObsPy and libmseed read in the test files of the obspy wheel.

    python3 obspy_segments.py DIRECTORY > obspy_segments.csv

DIRECTORY is the unpacked wheel. Needs obspy and pymseed. Facts only: one row per file, reader and segment; a reader
that refuses a file has one row without a segment.
"""
import csv, hashlib, os, sys, warnings
import numpy as np
import obspy
from pymseed import MS3TraceList

warnings.simplefilter("ignore")
FORMATS = ["MSEED", "SAC", "SACXY", "GSE1", "GSE2", "CSS", "NNSA_KB_CORE"]


def obspy_format(path):
    for name in FORMATS:
        try:
            if detector(name)(path):
                return name
        except Exception:
            pass
    return None


def detector(name):
    from importlib.metadata import entry_points
    for entry in entry_points(group="obspy.plugin.waveform." + name):
        if entry.name == "isFormat":
            return entry.load()


def obspy_rows(path, name):
    rows = []
    for trace in obspy.read(path, format=name):
        stats = trace.stats
        rows.append((stats.network, stats.station, stats.location, stats.channel, stats.starttime.ns, stats.npts,
                     stats.sampling_rate, check(trace.data)))
    return rows


def check(data):
    """Every sample times its place modulo 97, from 1; nothing for text."""
    if data.dtype.kind not in "if":
        return ""
    total = (data.astype(np.float64) * (np.arange(len(data)) % 97 + 1)).sum()
    return "%.12e" % total


def libmseed_rows(path):
    rows = []
    for trace in MS3TraceList.from_file(path, unpack_data=False):
        code = trace.sourceid.split(":", 1)[-1].split("_")
        code = code[:3] + ["".join(code[3:])] if len(code) == 6 else [trace.sourceid, "", "", ""]
        rows += [(*code, s.starttime, s.samplecnt, s.samprate, "") for s in trace]
    return rows


def main(root):
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow("file sha256 reader status net sta loc cha start_ns npts rate check".split())
    paths = []
    for directory, _, names in os.walk(root):
        if "/tests/data" in directory or "/libmseed/test" in directory:
            paths += [os.path.join(directory, name) for name in names]
    for path in sorted(paths):
        data = open(path, "rb").read()
        fixed = [os.path.relpath(path, root), hashlib.sha256(data).hexdigest()[:16]]
        readers = []
        name = obspy_format(path)
        if name:
            readers.append(("obspy " + name, lambda: obspy_rows(path, name)))
        if name == "MSEED" or data[:3] == b"MS\x03" or data[6:8] in (b"D ", b"R ", b"Q ", b"M "):
            readers.append(("libmseed", lambda: libmseed_rows(path)))
        for reader, read in readers:
            try:
                rows = sorted(read())
            except Exception:
                out.writerow(fixed + [reader, "refused"] + [""] * 8)
                continue
            for row in rows or [("",) * 8]:
                out.writerow(fixed + [reader, "ok", *row])


main(sys.argv[1])
