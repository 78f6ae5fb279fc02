# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""When bytes came, and how long none did."""

import threading
import time

from natlab.sockets import ProofError


class Arrivals:
    """The moments at which something came; threads may wait for more."""

    def __init__(self):
        self.changed = threading.Condition()
        self.begun = self.last = time.monotonic()
        self.count = 0
        # Pauses worth telling, with when they ended.
        self.pauses = []
        self.end = None

    def note(self, count=1):
        """So much came now."""
        with self.changed:
            now = time.monotonic()
            if now - self.last > 0.05:
                self.pauses.append((now, now - self.last))
            self.last = now
            self.count += count
            self.changed.notify_all()

    def close(self, reason):
        """Nothing more comes; the first reason is kept."""
        with self.changed:
            self.end = self.end or reason
            self.changed.notify_all()

    def silence(self, since=None):
        """The longest time without anything, the one that lasts now included, of the time after a moment."""
        with self.changed:
            since = since or self.begun
            found = [min(pause, moment - since) for moment, pause in self.pauses if moment > since]
            if not self.end:
                found.append(time.monotonic() - max(self.last, since))
            return max(found, default=0.0)

    def wait_for(self, count, seconds, what):
        """Waits until so much has come in all; ProofError when it does not, or when the end came before."""
        with self.changed:
            self.changed.wait_for(lambda: self.end or self.count >= count, seconds)
            if self.count < count:
                raise ProofError(f"{what}: {self.end or f'{self.count} of {count} after {seconds:.0f} s'}")

    def wait_for_silence(self, seconds, limit):
        """Waits until nothing has come for so long."""
        deadline = time.monotonic() + limit
        with self.changed:
            while (left := seconds - (time.monotonic() - self.last)) > 0:
                if time.monotonic() > deadline:
                    raise ProofError(f"it does not fall silent within {limit:.0f} s")
                self.changed.wait(left)

    def settle(self, quiet=0.5):
        """Waits until nothing has come for a moment; what is counted is what came before."""
        self.wait_for_silence(quiet, 30)
        self.close("over")
