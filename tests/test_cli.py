"""The command line: its table, its exit codes, and what it must not import."""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import subprocess
import sys
import time
import types
import weakref
from pathlib import Path

import pytest

import histocnn
from histocnn import cli
from histocnn.cli import main
from tests.slide_files import position_image, write_pyramid


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout


def test_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert f"  {name} " in shown
        assert command.purpose in shown


def test_overview_imports_nothing_heavy() -> None:
    loaded = python(
        "import sys; from histocnn.cli import main; main(['--help']);"
        "print(sorted(set(sys.modules) & {'numpy', 'torch', 'pandas', 'jsonargparse'}))"
    )
    assert loaded.endswith("[]\n")


def test_no_command_s_help_loads_a_slow_library() -> None:
    """In one process: what one command's help loaded would show after it."""
    slow = (
        "{'torch', 'torchvision', 'timm', 'pytorch_lightning', 'lightning_fabric', 'torchmetrics',"
        " 'albumentations', 'sklearn', 'scipy', 'pandas', 'matplotlib', 'bokeh', 'jinja2'}"
    )
    loaded = python(
        "import sys\nfrom histocnn.cli import COMMANDS, main\n"
        "for name in COMMANDS:\n"
        "    try: main([name, '--help'])\n"
        "    except SystemExit as end: assert end.code == 0, name\n"
        "    assert COMMANDS[name].module in sys.modules\n"
        f"    found = sorted(set(sys.modules) & {slow})\n"
        "    assert not found, (name, found)\n"
        "print('none')"
    )
    assert loaded.splitlines()[-1] == "none"


def test_importing_the_package_is_light() -> None:
    loaded = python("import sys, histocnn; print(set(sys.modules) & {'torch', 'pandas', 'numpy'})")
    assert loaded == "set()\n"


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_of_the_table_explains_itself(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert f"histocnn {name}" in capsys.readouterr().out


def test_a_misspelt_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tyle"]) == 2
    assert capsys.readouterr().err == (
        "histocnn tyle: there is no command 'tyle'. Did you mean tile?\n"
    )


def test_a_misspelt_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tile", "--slides", "a", "--out", "b", "--patchpx", "3"]) == 2
    assert "--patchpx" in capsys.readouterr().err


def test_a_users_mistake_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tile", "--slides", "no/such.svs", "--out", "grids"]) == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "no/such.svs" in shown


def test_every_public_name_is_where_it_is_said_to_be() -> None:
    assert {name: getattr(histocnn, name).__name__ for name in histocnn.__all__} == {
        name: name for name in histocnn.__all__
    }
    assert set(histocnn.__all__) == set(histocnn._HOME_OF)
    assert dir(histocnn)[0] == "Annotations"


def test_public_names_stay_functions_once_every_module_is_imported() -> None:
    """A module at the package's top level would replace the name that it bears."""
    for found in pkgutil.walk_packages(histocnn.__path__, "histocnn."):
        importlib.import_module(found.name)
    modules = [name for name in histocnn.__all__
               if isinstance(getattr(histocnn, name), types.ModuleType)]  # fmt: skip
    assert modules == []


def test_a_locale_that_cannot_name_every_file_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "slides").mkdir()
    write_pyramid(tmp_path / "slides" / "Größe 1.tiff", position_image(256, 256))
    (tmp_path / "slides.csv").write_text(
        f"slide_id,slide_path\nGröße,{tmp_path}/slides/Größe 1.tiff\n", encoding="utf-8"
    )
    for slides, made in (("slides", "Größe 1"), ("slides.csv", "Größe")):
        words = ["tile", "--slides", slides, "--out", f"out_{slides}", "--patch_px", "128"]
        done = subprocess.run(
            [sys.executable, "-m", "histocnn.cli", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
            capture_output=True,
            check=False,
            timeout=300,
        )
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr.decode()
        assert (tmp_path / f"out_{slides}" / f"{made}.h5").is_file()


def test_a_name_that_is_no_text_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / os.fsdecode(b"Gr\xf6\xdfe.tiff")).touch()  # Latin-1
    assert main(["tile", "--slides", str(tmp_path), "--out", f"{tmp_path}/out"]) == 1
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "is not UTF-8. Rename the slide." in shown


@pytest.mark.parametrize(
    ("number", "exit_code", "said"),
    [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")],
)
def test_a_signal_that_comes_while_python_cleans_up_is_not_lost(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    exit_code: int,
    said: str,
) -> None:
    class Thing:
        pass

    def demo(out: str) -> None:
        """Work, and drop a thing of which somebody wants to hear when it goes.

        Args:
            out: Not written.
        """
        thing = Thing()
        told = weakref.ref(thing, lambda _: signal.raise_signal(number))
        del thing
        assert told() is None
        time.sleep(10)
        pytest.fail("the signal was lost")

    module = types.ModuleType("demo_that_is_ended")
    module.demo = demo  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(cli.COMMANDS, "demo", cli.Command(module.__name__, ""))
    before = sys.unraisablehook
    assert main(["demo", "--out", "x"]) == exit_code
    assert sys.unraisablehook is before
    assert capsys.readouterr().err == (
        f"histocnn: {said}; the same command again does what is left\n"
    )


def test_a_list_is_read_as_people_type_it() -> None:
    from histocnn.stages.compare import compare

    gather = cli._gather_lists
    assert gather(compare, ["--features", "a", "b c", "é", "--out", "o", "p"]) == [
        "--features", '["a", "b c", "é"]', "--out", "o", "p",
    ]  # fmt: skip
    assert gather(compare, ["--features", "[a,b]", "--k", "3"]) == [
        "--features", "[a,b]", "--k", "3",
    ]  # fmt: skip
    assert gather(compare, ["--features", "é", "--k", "3"]) == ["--features", '["é"]', "--k", "3"]
