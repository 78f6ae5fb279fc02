#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Every type of NAT of the kernel lab, proved with packets and named by coturn's and stun-client's tools.

Needs root and network namespaces; says SKIPPED where there are none.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from natlab import judges, system, verify  # noqa: E402


def main():
    reason = system.obstacle()
    if reason:
        print(f"SKIPPED: {reason}")
        return 0
    begun = time.monotonic()
    print("packets against the definitions")
    failed = verify.verify_all()
    print("what stun and turnutils_natdiscovery say")
    failed += judges.judge_all()
    print(f"{'FAILED' if failed else 'OK'} in {time.monotonic() - begun:.0f} s")
    return 1 if failed else 0


sys.exit(main())
