# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What running processes have used so far: processor time and memory, as Linux counts it."""

import pathlib
import time


def cpu_nanoseconds(pid):
    """User and system time of the process, threads that ended included, at the scheduler's own resolution."""
    # The process clock of another process, as clock_getcpuclockid(3) builds it: not the ticks of /proc/PID/stat.
    return time.clock_gettime_ns((~pid << 3) | 2)


def private_kilobytes(pid):
    """The memory that belongs to this process alone: resident, without pages shared with other processes."""
    total = 0
    for line in pathlib.Path("/proc/%d/smaps_rollup" % pid).read_text().splitlines():
        if line.startswith("Private_"):
            total += int(line.split()[1])
    return total


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
