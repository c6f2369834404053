"""Pages from the templates beside this module; whatever is put into one is escaped."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from histocnn.metrics.terms import Terms


def render(template: str, **values: Any) -> str:
    """Fill a template in; a name that it asks for and does not get is an error.

    Args:
        template: Name of a file in `templates/`.
        values: What it asks for.
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("histocnn.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = "{:,}".format
    environment.filters["percent"] = "{:.1%}".format
    environment.filters["terms"] = lambda stored: Terms.stored_in({"encoder": stored}).sentence()
    return environment
