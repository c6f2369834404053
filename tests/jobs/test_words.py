"""What the command line refuses: in one line, in our words, from a flag as from a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from histocnn import cli
from histocnn.errors import UsageError
from histocnn.jobs.words import Parser
from tests.storage.test_yaml import LAUGHS

GIVEN = ["tile", "--slides", "a", "--out", "b"]


def refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    assert cli.main(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err.rstrip("\n")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("patch_px", "x", "--patch_px x is not a whole number above 0. Give at least 1."),
        ("patch_px", "0", "--patch_px 0 is not a whole number above 0. Give at least 1."),
        ("patch_px", "1.5", "--patch_px 1.5 is not a whole number above 0. Give at least 1."),
        ("mpp", "-1", "--mpp -1 is not positive. Give a number above 0."),
        ("slide_mpp", "wide", "--slide_mpp wide is not positive. Give a number above 0."),
        ("min_tissue", "2", "--min_tissue 2 is not a share. Give a number between 0 and 1."),
        ("export", "gif", "--export gif is not known. Use png, jpeg."),
    ],
)
def test_a_value_is_refused_alike_wherever_it_stands(capsys, tmp_path, key, value, message):
    (tmp_path / "c.yaml").write_text(f"{key}: {value}\n")
    for words in ([f"--{key}", value], [f"--{key}={value}"], ["--config", f"{tmp_path}/c.yaml"]):
        assert refused(capsys, GIVEN + words).startswith(f"histocnn tile: {message}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tile", "--slides", "a"], "--out must be given. See histocnn tile --help."),
        (["tile"], "--slides, --out must be given."),
        ([*GIVEN, "--workers"], "expected one argument"),
        ([*GIVEN, "--patchpx", "3"], "unrecognized arguments: --patchpx 3"),
        ([*GIVEN, "--config", "nowhere.yaml"], "nowhere.yaml"),
        ([*GIVEN, "--tissue.min_area_um2", "x"], "--tissue.min_area_um2"),
    ],
)
def test_other_mistakes_are_one_line_too(capsys, words, message):
    assert message in refused(capsys, words)


@pytest.mark.parametrize("command", ["tile", "knn", "evaluate", "train", "run"])
def test_a_config_that_expands_is_refused_by_every_command(capsys, tmp_path, command):
    (tmp_path / "c.yaml").write_text(f"{LAUGHS}out: o\n")
    assert "once its aliases are followed" in refused(
        capsys, [command, "--config", f"{tmp_path}/c.yaml"]
    )


def test_a_value_that_expands_is_refused(capsys):
    nested = "&a0 [x], " + ", ".join(
        f"&a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)
    )
    assert "once its aliases" in refused(capsys, [*GIVEN, "--slide_mpp", f"[{nested}]"])


@pytest.mark.parametrize("command", ["tile", "train"])
def test_a_config_of_python_bytes_or_a_pipe_is_refused(capsys, tmp_path, command):
    canary = tmp_path / "called"
    (tmp_path / "tag").write_text(f"out: !!python/object/apply:os.mkdir [{canary}]\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    os.mkfifo(tmp_path / "pipe")
    for name, message in {
        "tag": "code of Python's",
        "bytes": "no text in UTF-8",
        "pipe": "is no plain file",
    }.items():
        said = refused(capsys, [command, "--config", str(tmp_path / name)])
        assert message in said
        assert str(tmp_path / name) in said
    assert not Path(canary).exists()


def test_a_parser_s_refusal_is_an_error_of_ours():
    parser = Parser(prog="mine")
    parser.add_argument("--n", type=int)
    with pytest.raises(UsageError, match=r"--n: .*x.* See mine --help\."):
        parser.parse_args(["--n", "x"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("patch_px: null", "--patch_px null is no value"),
        ("tissue: {mpp: null}", "--tissue.mpp null is no value"),
        ("tissue: null", "--tissue None is no section"),
        ("tissue: [1.0]", "--tissue [1.0] is no section. Write tissue.OPTION, and its value."),
        ('tissue: "\\0"', "embedded null byte"),
        (f"tissue: {{mpp: 1{'0' * 400}}}", "int too large"),
    ],
)
def test_what_a_file_holds_in_an_options_place_is_looked_at(capsys, tmp_path, text, said):
    (tmp_path / "c.yaml").write_text(f"slides: a\nout: b\n{text}\n")
    assert said in refused(capsys, ["tile", "--config", f"{tmp_path}/c.yaml"])


def test_null_stands_where_none_may(tmp_path):
    (tmp_path / "c.yaml").write_text("n: null\nm: null\n")
    parser = Parser(prog="mine")
    parser.add_argument("--config", action="config")
    parser.add_argument("--n", type=int | None, default=3)
    parser.add_argument("--m", type=int, default=None)
    found = parser.parse_args(["--config", str(tmp_path / "c.yaml")])
    assert (found.n, found.m) == (None, None)
