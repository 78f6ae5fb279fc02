# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The end of a lab."""

import os
import signal
import time

from . import state as states
from .state import State
from .system import run


def remove(prefix):
    """Ends what runs in the namespaces of a lab, deletes them, and forgets the lab."""
    for wait in (signal.SIGTERM, signal.SIGKILL):
        processes = {
            pid for name in states.namespaces(prefix) for pid in run(["ip", "netns", "pids", name], check=False).split()
        }
        processes.discard(str(os.getpid()))
        for process in processes:
            try:
                os.kill(int(process), wait)
            except OSError:
                pass  # it ended by itself
        deadline = time.monotonic() + 2
        while any(states.start_time(each) for each in processes) and time.monotonic() < deadline:
            time.sleep(0.02)
    for name in states.namespaces(prefix):
        run(["ip", "netns", "del", name], check=False)
    State(prefix).remove()
