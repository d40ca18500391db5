"""Protocol reference, section 10, "State and scope": the file and the slug."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arkor_tui.config.atomic import WriteFailedError
from arkor_tui.config.slugs import project_slug
from arkor_tui.config.state import ProjectState, read_state, state_path, write_state

STATE = ProjectState("org", "project", "p-1")


def put(content: str | bytes) -> Path:
    path = state_path()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_round_trip(project: Path) -> None:
    path = write_state(STATE)
    assert path == project / ".arkor" / "state.json"
    assert path.read_text() == (
        '{\n  "orgSlug": "org",\n  "projectSlug": "project",\n  "projectId": "p-1"\n}\n'
    )
    assert read_state() == STATE
    assert os.listdir(path.parent) == ["state.json"]


def test_another_folder(tmp_path: Path) -> None:
    write_state(STATE, tmp_path / "new" / "folder")
    assert read_state(tmp_path / "new" / "folder") == STATE
    assert read_state() is None


def test_no_search_upwards(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_state(STATE)
    (project / "inner").mkdir()
    monkeypatch.chdir(project / "inner")
    assert read_state() is None


def test_unknown_fields_are_no_obstacle() -> None:
    put('{"orgSlug":"org","projectSlug":"project","projectId":"p-1","anonymousId":"a"}')
    assert read_state() == STATE


def test_missing_reads_as_none() -> None:
    assert read_state() is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        b"\xff\xfe",
        "{}",
        '{"orgSlug":"o","projectSlug":"p"}',
        '{"orgSlug":"o","projectSlug":"p","projectId":null}',
        '{"orgSlug":"o","projectSlug":"p","projectId":7}',
        '{"orgSlug":"","projectSlug":"p","projectId":"i"}',
    ],
)
def test_malformed_and_incomplete_read_as_none(content: str | bytes) -> None:
    path = put(content)
    before = path.read_bytes()
    assert read_state() is None
    assert path.read_bytes() == before


def test_unreadable_reads_as_none() -> None:
    state_path().mkdir(parents=True)
    assert read_state() is None


def test_a_write_that_fails_is_told() -> None:
    state_path().mkdir(parents=True)
    with pytest.raises(WriteFailedError, match="Cannot write") as caught:
        write_state(STATE)
    assert caught.value.hint


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(max_size=200)
    | st.dictionaries(
        st.sampled_from(["orgSlug", "projectSlug", "projectId", "x"]),
        st.none() | st.text() | st.integers(),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_read_as_a_state_or_none(content: bytes) -> None:
    put(content)
    state = read_state()
    if state is not None:
        write_state(state)
        assert read_state() == state


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("demo", "demo"),
        ("My Project", "my-project"),
        ("support_bot.v2", "support-bot-v2"),
        ("--edges--", "edges"),
        ("a--b", "a--b"),
        ("Größe", "gr--e"),
        ("a🚀b", "a--b"),
        ("", "project"),
        ("---", "project"),
        ("日本語", "project"),
        ("../..", "project"),
        ("x" * 60, "x" * 40),
        ("-" * 50 + "y" * 50, "y" * 40),
        ("a" * 39 + "!b", "a" * 39 + "-"),
    ],
)
def test_slug(name: str, slug: str) -> None:
    assert project_slug(name) == slug


@given(st.text())
def test_slug_of_any_name(name: str) -> None:
    slug = project_slug(name)
    assert re.fullmatch(r"[a-z0-9-]{1,40}", slug)
    assert not slug.startswith("-")
    assert project_slug(name.upper().lower()) == project_slug(name.upper())
