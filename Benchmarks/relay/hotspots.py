# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Where server and device spend their time: one more run of a case for each of them, under `perf`."""

import collections
import pathlib
import re
import shutil
import subprocess
import time

VIEWS = {
    "by program and library": ["--no-children", "--sort", "dso", "--percent-limit", "1"],
    "by function": ["--no-children", "--sort", "sym", "--percent-limit", "0.4"],
    "by function with what it calls": ["--children", "--sort", "sym", "--percent-limit", "2"],
}


def profile(place, folder, title, relay, drive):
    """Writes a file named after the case."""
    text = []
    for role, pid in zip(("server", "device"), relay.pids):
        record = folder.place("perf.data")
        order = ["perf", "record", "-q", "-F", "1999", "-g", "-p", str(pid), "-o", str(record)]
        recorder = subprocess.Popen(order, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3)
        drive()
        recorder.terminate()
        recorder.wait(30)
        for name, view in VIEWS.items():
            order = ["perf", "report", "-i", str(record), "--stdio", "-g", "none", *view]
            report = subprocess.run(order, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
            lines = [each.rstrip() for each in report.splitlines() if each.strip() and not each.startswith("#")]
            text += ["── %s: %s, %s" % (title, role, name), *lines, ""]
        text += ["── %s: %s, by its own function and what that calls outside" % (title, role), *own(record), ""]
        record.unlink(missing_ok=True)
    place = pathlib.Path(place)
    place.mkdir(parents=True, exist_ok=True)
    file = place / ("profile-%s.txt" % re.sub(r"[^a-z0-9]+", "-", title.lower()))
    file.write_text(readable("\n".join(text)))


def own(record):
    """The time of each function of the program itself together with the runtime, libraries and kernel that it calls."""
    order = ["perf", "script", "-i", str(record), "-F", "ip,sym,dso"]
    script = subprocess.run(order, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    counts = collections.Counter()
    for sample in script.split("\n\n"):
        frames = [re.match(r"\s*[0-9a-f]+ (.*) \((.*)\)$", each) for each in sample.splitlines()]
        frames = [(each[1], each[2]) for each in frames if each]
        if not frames:
            continue
        inside = [symbol for symbol, library in frames if not re.search(r"\.so|\[|^/lib|\.ko$", library)]
        below = "kernel" if frames[0][1].startswith("[") else "library" if ".so" in frames[0][1] else ""
        counts[inside[0] if inside else frames[-1][0], below] += 1
    every = sum(counts.values()) or 1
    totals = collections.Counter()
    for (symbol, _), count in counts.items():
        totals[symbol] += count
    lines = []
    for symbol, total in totals.most_common(45):
        parts = ["%s %.2f" % (below, 100 * counts[symbol, below] / every) for below in ("kernel", "library")]
        lines.append("%9.2f%%  %s  (%s)" % (100 * total / every, symbol, ", ".join(parts)))
    return lines


def readable(text):
    """With the names of Swift functions as they are written, where the tool for it is installed."""
    if shutil.which("swift") is None:
        return text
    order = ["swift", "demangle", "--simplified"]
    return subprocess.run(order, input=text, capture_output=True, text=True).stdout or text
