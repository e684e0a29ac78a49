"""ObsPy's TSIndex client on an index that Starquake wrote, against the files themselves.

    python3 tsindex_client.py INDEX DIRECTORY
"""
import os, random, sys, warnings
import numpy as np
from obspy import Stream, UTCDateTime, read
from obspy.clients.filesystem.tsindex import Client

warnings.simplefilter("ignore")
index, root = sys.argv[1:]
client = Client(index)
truth = Stream()
for directory, _, names in sorted(os.walk(root)):
    for name in sorted(names):
        if name.endswith(".mseed"):
            truth += read(os.path.join(directory, name))
truth.merge(-1)
truth = Stream(sorted(truth, key=lambda t: (t.id, t.stats.starttime)))

ids = sorted({tuple(t.id.split(".")) for t in truth})
assert client.get_nslc() == ids, (client.get_nslc(), ids)
extents = {tuple(e[:4]): e[4:] for e in client.get_availability_extent()}
count = 0
for code in ids:
    traces = truth.select(*code)
    first, last = min(t.stats.starttime for t in traces), max(t.stats.endtime for t in traces)
    assert abs(extents[code][0] - first) < 2e-6 and abs(extents[code][1] - last) < 2e-6, (code, extents[code])
    assert client.has_data(*code) and client.has_data(*code, first, last)
    assert not client.has_data(*code, last + 86400, last + 90000)
    # records out of order leave traces apart in ObsPy: spans are compared as one line of time
    spans = sorted((t.stats.starttime, t.stats.endtime + t.stats.delta) for t in traces)
    line = [list(spans[0])]
    for start, end in spans[1:]:
        if start - line[-1][1] <= traces[0].stats.delta / 2:
            line[-1][1] = max(line[-1][1], end)
        else:
            line.append([start, end])
    available = client.get_availability(*code, merge_overlap=True)
    assert len(available) == len(line), (code, available, line)
    for got, want in zip(available, line):
        assert abs(got[4] - want[0]) < 2e-6 and abs(got[5] + traces[0].stats.delta - want[1]) < 2e-6, (got, want)
    rng = random.Random(str(code))
    for _ in range(25):
        start = first + round(rng.uniform(0, last - first) / traces[0].stats.delta) * traces[0].stats.delta
        end = start + round(rng.choice([3, 60, 4000]) / traces[0].stats.delta) * traces[0].stats.delta
        # the client leaves a record out whose last sample is the first one asked for
        start, end = start - traces[0].stats.delta / 4, end + traces[0].stats.delta / 4
        got = client.get_waveforms(*code, start, end)
        want = truth.select(*code).slice(start, end)
        sample = lambda stream: sorted((round((t.stats.starttime.timestamp + i * t.stats.delta) * 1e4), int(v))
                                       for t in stream for i, v in enumerate(t.data))
        assert sample(got) == sample(want), (code, start, end, got, want)
        count += 1
print(count, "windows agree of", len(ids), "channels")
