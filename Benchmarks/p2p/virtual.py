# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The same question in virtual time: `adit lab matrix`, where a round trip is exactly 40 ms and nothing else takes time."""

import json
import subprocess

ROUND_TRIP_MS = 40.0
SITES = ["full", "addr", "port", "sym", "seq"]
# Easy pairs are direct within this.
EASY_MS = 3 * ROUND_TRIP_MS + 50


def is_easy(cell):
    """Whether the plain punch makes it: neither needs the other's next port."""
    return cell["chance"] == 1000


def measure(adit, rounds):
    """One figure for each pair and transport: medians in milliseconds."""
    words = [adit, "lab", "matrix", *SITES, "--seeds", str(rounds), "--json"]
    answer = subprocess.run(words, capture_output=True, text=True, check=True, timeout=600)
    figures = []
    for table in json.loads(answer.stdout)["tables"]:
        for cell in table["cells"]:
            direct = cell.get("timeToDirect")
            figures.append({
                "lab": "virtual", "transport": table["transport"], "a": cell["a"], "b": cell["b"],
                "firstByteMs": cell.get("firstByte", 0) / 1000, "directMs": direct / 1000 if direct else None,
                "directShare": cell["direct"] / cell["plays"], "packets": cell["packets"], "reason": cell.get("reason"),
                "isMet": direct is not None and direct / 1000 <= EASY_MS
                if table["transport"] == "udp" and is_easy(cell) else None,
            })
    return figures


def heading():
    return f"{'virtual time':<22}{'first byte':>12}{'direct':>12}{'round trips':>13}{'packets':>9}  reason"


def row(figure):
    direct = figure["directMs"]
    shown = (f"{direct:9.0f} ms", f"{direct / ROUND_TRIP_MS:.1f}") if direct else ("relayed", "")
    name = f"{figure['transport']} {figure['a']} – {figure['b']}"
    mark = "  ✗ too slow" if figure["isMet"] is False else ""
    return (f"{name:<22}{figure['firstByteMs']:9.0f} ms{shown[0]:>12}{shown[1]:>13}{figure['packets']:>9}"
            f"  {figure['reason']}{mark}")
