"""Configurations within bounds: what is small on disk and huge in memory is refused at once."""

from __future__ import annotations

import os
import time

import pytest

from histocnn.errors import UsageError
from histocnn.storage import yaml

LAUGHS = "a0: &a0 [x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)


def test_plain_values_anchors_and_merge_keys_are_read(tmp_path):
    (tmp_path / "c.yaml").write_text("a: &a {x: 1, y: [µ, 2.5]}\nb: {<<: *a, x: 3}\nc: *a\n")
    a = {"x": 1, "y": ["µ", 2.5]}
    assert yaml.read_yaml(tmp_path / "c.yaml") == {"a": a, "b": {**a, "x": 3}, "c": a}


def test_an_empty_file_is_nothing(tmp_path):
    (tmp_path / "c.yaml").write_text("")
    assert yaml.read_yaml(tmp_path / "c.yaml") is None


def test_a_node_counts_as_often_as_an_alias_names_it():
    # The document, the mapping, its keys a and b, the list of 9 texts, and 9 aliases of it in one.
    inside = 2 + 2 + 10 + (1 + 9 * 10)
    text = f"a: &a [{'x,' * 9}]\nb: [{'*a,' * 9}]"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml, "MAX_NODES", inside)
        yaml.check_yaml(text, "c.yaml")
        patch.setattr(yaml, "MAX_NODES", inside - 1)
        with pytest.raises(UsageError, match=f"over {inside - 1} values once its aliases"):
            yaml.check_yaml(text, "c.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "c.yaml: holds over 100,000 values once its aliases are followed"),
        ("a: &a {b: *a}", "stands within what it names"),
        ("a: " + "[" * 60 + "]" * 60, "over 50 levels deep"),
        ("a: " + "[" * 5000 + "]" * 5000, "c.yaml: is"),
        ("\n".join(f"{'  ' * i}k:" for i in range(60)), "over 50 levels deep"),
        ("a0: &a0 {k: x}\n" + "".join(f"a{i}: &a{i} {{k: *a{i - 1}}}\n" for i in range(1, 60)),
         "over 50 levels deep"),
        ("a: 'x", "is no YAML"),
        ("a: *b", "is no YAML .*undefined alias"),
        ("? [1]\n: 2", "is no YAML"),
        ("a: 2026-02-31", "is no YAML"),
        ("a: !!python/object/apply:os.system [touch x]", "code of Python's"),
        ("!!python/name:os.system : 1", "code of Python's"),
        ("a: !mine 1", "is no YAML .*constructor"),
        ("a: \x00", "is no YAML"),
        ("#" + "x" * yaml.MAX_BYTES, "over 1 MB"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_fast_and_in_one_line(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    start = time.process_time()
    with pytest.raises(UsageError, match=message) as error:
        yaml.read_yaml(tmp_path / "c.yaml")
    assert time.process_time() - start < 1
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_what_is_no_file_of_text_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes("a: \xe9".encode("latin-1"))
    for name, message in {
        "pipe": "is no plain file",
        ".": "is no plain file",
        "latin": "is no text in UTF-8",
        "none": "cannot be read .No such file",
    }.items():
        with pytest.raises(UsageError, match=message):
            yaml.read_yaml(tmp_path / name)
    with pytest.raises(UsageError, match="is no plain file"):
        yaml.read_yaml("/dev/zero")
