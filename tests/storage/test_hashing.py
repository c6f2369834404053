from __future__ import annotations

import hashlib

import pytest

from histocnn.errors import StoreError
from histocnn.storage.hashing import sha256


def test_it_is_the_sha256_that_everybody_computes(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    # FIPS 180-4's own example
    assert sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(str(path)) == sha256(path)


def test_of_the_whole_file_however_large(tmp_path):
    path = tmp_path / "large"
    content = bytes(range(256)) * 12_345
    path.write_bytes(content)
    assert sha256(path) == hashlib.sha256(content).hexdigest()
    (tmp_path / "empty").touch()
    assert sha256(tmp_path / "empty") == hashlib.sha256(b"").hexdigest()


def test_a_file_that_is_gone_is_one_line(tmp_path):
    with pytest.raises(StoreError, match=r"gone\.xml: cannot be read \(No such file"):
        sha256(tmp_path / "gone.xml")
