"""Every address is answered by who asks the guard first."""

from __future__ import annotations

import re

from histocnn.viewing.guarded import Guarded
from histocnn.viewing.routes import ROUTES


def test_every_answer_is_guarded() -> None:
    assert all(issubclass(handler, Guarded) for _, handler in ROUTES)


def test_every_address_begins_with_the_secret_and_all_others_are_answered_too() -> None:
    assert ROUTES[-1][0] == "(.*)"
    assert all(address.startswith("/([^/]*)") for address, _ in ROUTES[:-1])


def test_addresses_hold_numbers_and_words_of_a_list() -> None:
    free = {r"([^/]*)", r"([a-z_.]+)", r"([a-z]+\d{0,4})", "(tissue|annotations)", r"(\d{1,9})"}
    for address, _ in ROUTES[:-2]:
        assert set(re.findall(r"\([^?][^)]*\)", address)) <= free
