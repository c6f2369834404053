"""`histocnn view` as people call it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from histocnn.cli import main
from histocnn.stages import view as stage
from tests.viewing.test_classroom import features
from tests.viewing.test_shelf import a_slide

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/([\w-]{32})/")


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        (signal.SIGINT, 0, "\nThe viewer has ended.\n"),
        pytest.param(signal.SIGTERM, 143, "", marks=pytest.mark.slow),
        (signal.SIGHUP, 0, ""),
    ],
)
def test_it_prints_its_address_answers_and_ends_with_all_that_was_said(
    tmp_path: Path, end: signal.Signals, code: int, words: str
) -> None:
    """By Ctrl-C, when it is told to, and when its terminal goes."""
    where = [str(features(tmp_path).parent), "--teach", str(tmp_path / "taught"), "--no_browser"]
    command = [sys.executable, "-m", "histocnn.cli", "view", *where]
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests under nohup would pass theirs on
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGHUP, before)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "1 slide of features\n"
        found = ADDRESS.search(process.stdout.readline())
        assert found is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
        body, kind = json.dumps({"rows": [1], "class": "a"}), {"Content-Type": "application/json"}
        connection.request("POST", f"/{found[2]}/slide/0/teach/tell", body, kind)
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(end)
        said, complaint = process.communicate(timeout=30)
    finally:
        process.kill()
    [kept] = (tmp_path / "taught").glob("*.h5")
    assert said == f"{words}s1: its labels are saved in {kept}\n"
    assert ("terminated" in complaint) == (end == signal.SIGTERM)
    assert process.returncode == code


def test_labels_do_not_go_among_the_features(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(features(tmp_path).parent)
    assert main(["view", folder, "--teach", folder]) == 2
    assert f"--teach {folder} is the input" in capsys.readouterr().err


@pytest.mark.parametrize("where", [[], ["--slides", "x.csv"]])
def test_what_is_not_there_is_wrong_usage(
    where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["view", str(tmp_path / "gone"), *where]) == 2
    assert "there is no such file or folder" in capsys.readouterr().err


def test_without_a_screen_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(stage.webbrowser, "open", lambda address: opened.append(address) or True)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not stage._open("http://127.0.0.1:1/")
    assert opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    assert stage._open("http://127.0.0.1:1/")
    monkeypatch.setattr(stage.webbrowser, "open", lambda address: False)
    assert not stage._open("http://127.0.0.1:1/")


def test_it_leaves_torch_out(tmp_path: Path) -> None:
    code = (
        "import sys, asyncio\n"
        "from histocnn.viewing import server\n"
        "async def at_once(viewing, port, ready, stop): ready('x'); viewing.opened(0)\n"
        "server.serve = at_once\n"
        "import histocnn.stages.view as stage\n"
        f"stage.serve = at_once; stage.view({str(a_slide(tmp_path))!r}, no_browser=True)\n"
        "print(sorted(set(sys.modules) & {'torch', 'pandas', 'sklearn', 'bokeh'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.splitlines()[-1] == "[]"
