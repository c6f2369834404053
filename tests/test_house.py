"""The package is built as docs/architecture.md says: rooms, small modules, each with its tests.

Which way imports run is held by `lint-imports` (pyproject.toml).
"""

from __future__ import annotations

import ast
import doctest
import tomllib
from collections.abc import Iterator
from pathlib import Path

import histocnn
from histocnn import cli

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "histocnn"
SOURCES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path.read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*.py"))
}
TREES = {module: ast.parse(source) for module, source in SOURCES.items()}
MODULES = [name for name in TREES if not name.endswith("__init__")]
MAX_LINES = 300  # of a file
MAX_BODY_LINES = 50  # of a function, without its signature and docstring
MAX_ARGUMENTS = 8
# Their arguments are flags.
COMMANDS = {f"{c.module.removeprefix('histocnn.')} {name}" for name, c in cli.COMMANDS.items()}

# What is not yet as it should be. These lists only get shorter.
LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()
MANY_ARGUMENTS: set[str] = set()
UNTESTED: set[str] = set()
WITHOUT_DOCTEST: set[str] = set()


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function and method, as "module name"."""
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{module} {node.name}", node


def imported_by(path: Path) -> set[str]:
    """Every module of the package that a file may have imported, with what it took from them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("histocnn.") for name in names}


def test_the_front_door_is_small_and_the_rest_are_rooms() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert modules <= {"__init__", "cli", "errors", "pipeline", "demonstration"}
    rooms = [path for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert [room.name for room in rooms if not (room / "__init__.py").exists()] == []


def test_no_room_or_module_would_replace_a_public_name_once_imported() -> None:
    at_the_top = {path.stem for path in PACKAGE.iterdir()}
    assert at_the_top & {*histocnn.__all__, *cli.COMMANDS} == set()


def test_no_file_is_longer_than_people_read() -> None:
    long = {module for module, source in SOURCES.items() if source.count("\n") > MAX_LINES}
    assert long <= LONG_FILES


def test_no_function_is_longer_than_a_screen() -> None:
    long = set()
    for name, node in functions():
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        if body and (body[-1].end_lineno or 0) - body[0].lineno + 1 > MAX_BODY_LINES:
            long.add(name)
    assert long <= LONG_FUNCTIONS


def test_no_function_but_those_whose_arguments_are_flags_takes_many() -> None:
    many = set()
    for name, node in functions():
        given = node.args
        names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        names += [a.arg for a in (given.vararg, given.kwarg) if a is not None]
        if len([n for n in names if n not in ("self", "cls")]) > MAX_ARGUMENTS:
            many.add(name)
    assert many - COMMANDS <= MANY_ARGUMENTS


def test_every_module_has_a_test_module_of_its_name_that_imports_it() -> None:
    untested = set()
    for module in MODULES:
        room, _, name = module.rpartition(".")
        path = ROOT / "tests" / room / f"test_{name}.py"
        if not path.is_file() or module not in imported_by(path):
            untested.add(module)
    assert untested <= UNTESTED


def test_every_public_module_has_a_doctest() -> None:
    parser = doctest.DocTestParser()
    without = set()
    for module in {home.removeprefix("histocnn.") for home in histocnn._HOME_OF.values()}:
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        texts = [
            ast.get_docstring(node) or ""
            for node in ast.walk(TREES[module])
            if isinstance(node, documented)
        ]
        if not any(parser.get_examples(text) for text in texts):
            without.add(module)
    assert without <= WITHOUT_DOCTEST


def ends(node: ast.expr) -> list[str]:
    """The last words of a text, of both where there is a choice; none of what is made elsewhere."""
    if isinstance(node, ast.IfExp):
        return ends(node.body) + ends(node.orelse)
    last = node.values[-1] if isinstance(node, ast.JoinedStr) and node.values else node
    return [last.value] if isinstance(last, ast.Constant) and last.value else []


def test_every_remedy_is_a_sentence() -> None:
    kinds = {node.name for node in TREES["errors"].body if isinstance(node, ast.ClassDef)}
    wrong = []
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", None) not in kinds:
                continue
            remedies = [end for argument in node.args[1:2] for end in ends(argument)]
            if not all(end.endswith((".", "?", '?"')) for end in remedies):
                wrong.append(f"{module}:{node.lineno}")
    assert wrong == []


def test_every_file_of_the_package_goes_into_the_wheel() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    endings = [pattern.removeprefix("**/*") for pattern in declared["package-data"]["*"]]
    files = {path.name for path in PACKAGE.rglob("*.*") if path.suffix not in (".py", ".pyc")}
    assert {name for name in files if not name.endswith(tuple(endings))} == set()
