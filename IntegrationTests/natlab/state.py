# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What a lab remembers between two commands, and how leftovers of dead owners are found."""

import json
import os
import pathlib
import re

from .system import LabError, run

FOLDER = pathlib.Path("/run/adit-natlab")


def start_time(process):
    """When a process began, in ticks since boot; None when it has ended. With the number it names a process for good."""
    try:
        text = pathlib.Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    words = text.rpartition(")")[2].split()
    return None if words[0] in "ZX" else words[19]


def check_prefix(prefix):
    if not re.fullmatch(r"[a-z][a-z0-9]{0,11}", prefix):
        raise LabError(f"{prefix!r} cannot name a lab: up to 12 lower-case letters and digits, a letter first")


class State:
    """The file of one lab."""

    def __init__(self, prefix):
        check_prefix(prefix)
        self.prefix = prefix
        self.path = FOLDER / f"{prefix}.json"
        self.values = {}

    def create(self, values):
        """LabError when a lab of that name is there."""
        FOLDER.mkdir(exist_ok=True)
        try:
            with open(self.path, "x", encoding="utf-8") as file:
                json.dump(values, file)
        except FileExistsError:
            raise LabError(f"the lab {self.prefix} is up: take it down first, or name another with --prefix") from None
        self.values = values

    def load(self):
        try:
            self.values = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise LabError(f"the lab {self.prefix} is not up: begin with `up`") from None
        return self

    def save(self):
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(self.values), encoding="utf-8")
        beside.replace(self.path)

    def remove(self):
        for path in FOLDER.glob(f"{self.prefix}[.-]*"):
            path.unlink(missing_ok=True)
        try:
            FOLDER.rmdir()
        except OSError:
            pass  # another lab is up, or the folder is gone

    @property
    def is_abandoned(self):
        """Whether a process owned the lab and is gone."""
        owner = self.values.get("owner")
        return owner is not None and start_time(owner[0]) != owner[1]


def namespaces(prefix):
    """The namespaces of a lab."""
    names = [line.split()[0] for line in run(["ip", "netns", "list"], check=False).splitlines() if line.strip()]
    return [name for name in names if name.startswith(prefix + "-")]


def abandoned():
    """The prefixes of labs whose owner is dead."""
    found = []
    for path in FOLDER.glob("*.json"):
        try:
            state = State(path.stem).load()
        except (LabError, ValueError):
            continue
        if state.is_abandoned:
            found.append(state.prefix)
    return found
