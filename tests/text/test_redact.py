"""What is shown and kept of a dataset has none of its secrets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.text.redact import redact_config, redact_url

_WORDS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=8, max_size=12)


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://h.example/rows.jsonl", "https://h.example/rows.jsonl"),
        ("https://h.example:8443/a/b?sig=1#part", "https://h.example:8443/a/b"),
        ("https://me:pw@h.example/a", "https://h.example/a"),
        ("https://me@x:pw@h.example/a", "https://h.example/a"),
        ("https://h.example?sig=1", "https://h.example"),
        ("https://h.example#part?x", "https://h.example"),
        ("https://[::1/a?sig=1", ""),  # cannot be read: nothing of it is known to be harmless
    ],
)
def test_addresses(url: str, bare: str) -> None:
    assert redact_url(url) == bare


@given(login=_WORDS, password=_WORDS, query=_WORDS, fragment=_WORDS)
def test_no_secret_of_an_address_is_left(
    login: str, password: str, query: str, fragment: str
) -> None:
    bare = redact_url(f"https://{login}_:{password}_@h.example/a?{query}_=1#{fragment}_")
    assert bare == "https://h.example/a"


def test_a_configuration_is_copied_not_changed() -> None:
    source = {"type": "blob", "url": "https://h.example/a?sig=1", "token": "t0ken"}
    config: dict[str, Any] = {"model": "m", "datasetSource": source}
    assert redact_config(config) == {
        "model": "m",
        "datasetSource": {"type": "blob", "url": "https://h.example/a"},
    }
    assert source["token"] == "t0ken"


@pytest.mark.parametrize("source", [None, "text", {"type": "huggingface", "name": "a/b"}])
def test_whatever_else_stays(source: object) -> None:
    assert redact_config({"datasetSource": source}) == {"datasetSource": source}
