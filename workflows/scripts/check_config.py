"""Refuse settings that Snakemake would run as code, or that expand, before it reads them.

The words are those of `workflows/run`; Snakemake's YAML is a template language once it is told so.
"""

import argparse
import sys

try:
    from histocnn.errors import HistocnnError, UsageError
    from histocnn.storage.yaml import read_yaml
except ImportError:
    sys.exit(0)  # the Snakefile says that histocnn is not there


def check(path: str) -> None:
    """Raise a UsageError of a file that is not plain settings."""
    settings = read_yaml(path)
    if isinstance(settings, dict) and "__use_yte__" in settings:
        raise UsageError(f"{path}: sets __use_yte__, which runs what it holds", "Write values.")


parser = argparse.ArgumentParser(add_help=False, allow_abbrev=True)
parser.add_argument("--config", nargs="*")  # else taken for a short --configfile
parser.add_argument("--configfile", "--configfiles", nargs="+", default=[], action="extend")
try:
    for path in parser.parse_known_args()[0].configfile:
        check(path)
except HistocnnError as error:
    sys.exit(f"workflows/run: {error}")
