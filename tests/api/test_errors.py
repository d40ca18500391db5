"""Error answers and deprecation headers, whatever a server puts there."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.api.errors import ApiError, UpgradeRequiredError, error_from_response
from arkor_tui.api.notices import DeprecationNotice, read_notice

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["error", "code", "fields", "reason", "upgrade", "supportedRange"])
bodies = st.binary() | st.dictionaries(names, json_values).map(lambda v: json.dumps(v).encode())


def error(status: int, body: Any) -> ApiError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_from_response(status, data, where="GET /v1/me")


@given(st.integers(300, 599), bodies)
def test_any_body_gives_an_error_with_a_harmless_text(status: int, body: bytes) -> None:
    found = error(status, body)
    assert found.status == status
    assert found.message.strip()
    assert "\x1b" not in found.message + (found.hint or "")


def test_a_long_text_is_cut() -> None:
    assert len(error(500, b"x" * 1_000_000).message) < 2_100


def test_messages_by_field_are_kept() -> None:
    found = error(400, {"error": "invalid", "fields": {"evalSteps": "give \x1b[1msteps", "n": 1}})
    assert found.fields == {"evalSteps": "give steps", "n": "1"}
    assert error(400, {"error": "x", "fields": ["no"]}).fields == {}


@pytest.mark.parametrize("code", ["anonymous_token_single_device", "anonymous_account_not_found"])
def test_a_lost_anonymous_identity_says_how_to_get_a_new_one(code: str) -> None:
    found = error(401, {"error": "gone", "code": code})
    assert found.code == code
    assert found.hint is not None
    assert "login --anonymous" in found.hint
    assert "state.json" in found.hint


@pytest.mark.parametrize(("status", "word"), [(401, "login"), (403, "scope")])
def test_a_refusal_says_what_to_do(status: int, word: str) -> None:
    assert word in (error(status, {"error": "no"}).hint or "")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {
                "error": "sdk_version_unsupported",
                "currentVersion": "arkor/0.0.1",
                "supportedRange": ">=0.0.3",
                "upgrade": "npm i arkor",
            },
            ["arkor/0.0.1", ">=0.0.3"],
        ),
        ({"error": "sdk_version_unsupported", "reason": "missing"}, ["version header missing"]),
        ({"error": "sdk_version_unsupported", "reason": "malformed"}, ["version header malformed"]),
        ({"error": "too old"}, ["too old"]),
        (b"please upgrade", ["please upgrade"]),
        (b"<html><h1>426</h1></html>", []),
        (b"", []),
        ({"currentVersion": 7}, []),
    ],
)
def test_any_426_says_what_is_wrong_and_what_to_do(body: Any, expected: list[str]) -> None:
    found = error(426, body)
    assert isinstance(found, UpgradeRequiredError)
    assert "does not accept this client's version" in found.message
    assert all(part in found.message for part in expected)
    assert "<" not in found.message.replace("<=", "")
    assert found.hint


# notices


def notice(*headers: tuple[str, str]) -> DeprecationNotice | None:
    return read_notice(httpx.Headers(list(headers)))


@pytest.mark.parametrize("value", ["True", "1", "true ", "yes", "@1688169599", ""])
def test_only_the_exact_value_true_counts(value: str) -> None:
    assert notice(("Deprecation", value)) is None


def test_a_notice_has_the_warnings_text_and_the_sunset_as_it_is() -> None:
    found = notice(
        ("deprecation", "true"),
        ("warning", r'299 - "use \"v2\" now"'),
        ("sunset", "Sat, 01 Jan 2028 00:00:00 GMT"),
    )
    assert found == DeprecationNotice('use "v2" now', "Sat, 01 Jan 2028 00:00:00 GMT")


@pytest.mark.parametrize("raw", ["something odd", '199 - "misc"', '299 "no agent"'])
def test_a_warning_of_another_form_is_taken_as_it_is(raw: str) -> None:
    assert notice(("Deprecation", "true"), ("Warning", raw)) == DeprecationNotice(raw)


@pytest.mark.parametrize("raw", [None, "", '299 - ""'])
def test_without_a_warning_there_is_a_general_text(raw: str | None) -> None:
    headers = [("Deprecation", "true")] + ([("Warning", raw)] if raw is not None else [])
    found = notice(*headers)
    assert found is not None
    assert "deprecated" in found.message
    assert found.sunset is None


def test_a_notice_is_made_harmless() -> None:
    found = notice(("Deprecation", "true"), ("Warning", '299 - "\x1b[31mred\x1b[0m"'))
    assert found == DeprecationNotice("red")
