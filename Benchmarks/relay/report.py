# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The figures as a table for people and as JSON for programs."""

import dataclasses
import json
import typing


@dataclasses.dataclass
class Figure:
    """One row: what a unit costs Adit and the base, and what was to be reached."""

    case: str
    title: str
    unit: str
    adit: float
    base: float
    # Of the rounds: the ratio in the best and in the worst one.
    best: typing.Optional[float] = None
    worst: typing.Optional[float] = None
    target_ratio: typing.Optional[float] = None
    target: typing.Optional[float] = None
    note: str = ""

    @property
    def ratio(self):
        return self.adit / self.base

    @property
    def met(self):
        """Whether the target was reached; nothing when the row has none."""
        if self.target_ratio is not None:
            return self.ratio <= self.target_ratio
        return self.adit <= self.target if self.target is not None else None

    def json(self):
        return dict(dataclasses.asdict(self), ratio=self.ratio, met=self.met)


def digits(value):
    return "%.*f" % (2 if value < 10 else 1 if value < 100 else 0, value)


HEAD = ("", "unit", "base", "adit", "ratio", "rounds", "target", "", "")
ROW = "%-28s %-8s %7s %7s %6s %11s %8s %1s  %s"


def heading():
    return (ROW % HEAD).rstrip()


def row(figure):
    rounds = "%.2f–%.2f" % (figure.best, figure.worst) if figure.best else ""
    target = "≤ %g" % figure.target if figure.target is not None else ""
    if figure.target_ratio is not None:
        target = "≤ %g ×" % figure.target_ratio
    mark = {True: "✓", False: "✗", None: ""}[figure.met]
    costs = (digits(figure.base), digits(figure.adit), "%.2f" % figure.ratio)
    return (ROW % (figure.title, figure.unit, *costs, rounds, target, mark, figure.note)).rstrip()


def save(path, about, figures, skipped):
    document = dict(about, figures=[each.json() for each in figures], skipped=skipped)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, ensure_ascii=False)
        file.write("\n")
