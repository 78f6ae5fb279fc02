# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The sixteen pairs as a table for people, of the same form as that of the simulated lab."""

import os

from .scenes import CLASSIC

HEAD = "rows are A, columns are B; time to the first byte → to the direct path, packets of both"
HEAD_ZH = "行为 A，列为 B；首字节时间 → 直连时间，双方发出的包数"


def is_chinese():
    """As adit reads it from the environment."""
    locale = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return locale.startswith("zh")


def lines(found):
    """A table for each protocol that was played."""
    shown = []
    for protocol in ("udp", "tcp"):
        cells = {key(each.scene): each for each in found if each.scene.group == protocol}
        if cells:
            shown += ["", f"{protocol.upper()}: {HEAD_ZH if is_chinese() else HEAD}", "", *rows(cells), "", *sums(cells)]
    return [*shown, ""]


def key(scene):
    return tuple(site.rpartition("=")[2] for site in (scene.a, scene.b))


def rows(cells):
    texts = {place: text(each) for place, each in cells.items()}
    width = max(map(len, texts.values())) + 2
    names = [name for name in CLASSIC if any(b == name for _, b in cells)]
    shown = ["  A \\ B  " + "".join(name.ljust(width) for name in names)]
    for a in (name for name in CLASSIC if any(first == name for first, _ in cells)):
        shown.append("  " + a.ljust(7) + "".join(texts.get((a, b), "").ljust(width) for b in names))
    return [line.rstrip() for line in shown]


def text(each):
    """`✓ 148 → 134 ms, 36` for a direct path, `~ 211 ms, 120` for a relayed one."""
    if each.path == "none" or each.first is None:
        return "✗"
    first = f"{each.first * 1000:.0f}"
    if each.path.startswith("direct") and each.direct is not None:
        return f"✓ {first} → {each.direct * 1000:.0f} ms, {each.spent}"
    return f"~ {first} ms, {each.spent}"


def sums(cells):
    connected = sum(each.path != "none" for each in cells.values())
    direct = sum(each.path.startswith("direct") for each in cells.values())
    if is_chinese():
        shown = [f"{len(cells)} 格中 {connected} 格连通，{direct} 格直连"]
    else:
        shown = [f"{connected} of {len(cells)} connected, {direct} direct"]
    for (a, b), each in sorted(cells.items(), key=lambda item: [CLASSIC.index(name) for name in item[0]]):
        if "sym" in (a, b) and {a, b} <= {"sym", "port"}:
            shown.append(f"  A={a} B={b}: {each.reason}")
    return shown
