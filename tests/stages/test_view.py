"""`histocnn view` as people call it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from histocnn.cli import main
from histocnn.stages import view as stage
from tests.viewing.test_shelf import a_slide

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/([\w-]{32})/")


def test_it_prints_its_address_answers_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "histocnn.cli", "view", str(a_slide(tmp_path)), "--no_browser"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "1 slide of a.tiff\n"
        found = ADDRESS.search(process.stdout.readline())
        assert found is not None
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
        connection.request("GET", f"/{found[2]}/cohort")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=30)
    finally:
        process.kill()
    assert said == "\nThe viewer has ended.\n"
    assert complaint == ""
    assert process.returncode == 0


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
