"""metrics.csv: every figure of metrics.json in a row of its own."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

HEADER = ("scope", "figure", "class", "value", "low", "high", "p", "n", "groups", "note")


def to_csv(metrics: Mapping[str, Any]) -> str:
    """The table as text; an undefined figure has empty cells."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for scope, section in _scopes(metrics):
        writer.writerows(_rows(scope, section))
    for figure, gap in metrics.get("comparison", {}).get("figures", {}).items():
        name, _, class_name = figure.partition(":")
        values = (gap["difference"], gap["low"], gap["high"], gap["p"])
        n = metrics["comparison"]["n"]
        writer.writerow(["difference", name, class_name, *values, n, None, None])
    return text.getvalue()


def _scopes(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    names = {
        "patch": "patches",
        "with_border": "patches with outlines",
        "colour_only": "colour only",
    }
    for key, scope in (names | {"slide": "slides", "froc": "lesions"}).items():
        if isinstance(metrics.get(key), Mapping):
            yield scope, metrics[key]
    for centre, section in metrics["centres"].items():
        yield f"centre {centre}", section


def _rows(scope: str, section: Mapping[str, Any]) -> Iterator[list[Any]]:
    interval = section.get("interval", {})
    about = [section["n"], interval.get("groups"), interval.get("note") or section.get("note")]
    own = {"": section.get("figures", {}), **section.get("per_class", {})}
    for class_name, figures in own.items():
        for figure, entry in figures.items():
            bounds = [entry["value"], entry["low"], entry["high"], None]
            yield [scope, figure, class_name, *bounds, *about]
