"""Files that anybody may have written: read, or refused in words of ours."""

# ruff: noqa: E501

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arkor_tui.chat.verdict import Verdict
from arkor_tui.config.credentials import (
    AnonymousCredentials,
    CredentialsIncompleteError,
    credentials_from_wire,
    credentials_path,
    read_credentials,
    write_credentials,
)
from arkor_tui.config.run_lock import lock_path, read_host, take_run_lock
from arkor_tui.config.settings import SettingsError, read_settings
from arkor_tui.config.state import read_state
from arkor_tui.errors import ArkorTuiError
from arkor_tui.recipes.prompts import PromptFileError, read_prompts
from arkor_tui.run.draft_source import recall
from arkor_tui.tui.app import ArkorApp
from arkor_tui.tui.keymap import action_ids, clashes, unknown_actions
from arkor_tui.tui.themes import read_theme
from tests.support.hostile_payloads import hostile_text, json_values

T = TypeVar("T")
one_file = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
Reader = Callable[[Path], object]


def _toml_text(value: str) -> str:
    return json.dumps(value.encode("utf-8", "replace").decode())


toml_values = st.one_of(
    st.sampled_from(
        ["1", "-1", "1e400", "nan", "inf", "true", "[]", "[[]]", "{}", "{a = 1}", '"#fff"', '""',
         '"local"', "1979-05-27", "07:32:00", "9" * 30, "9" * 5_000, "[" * 2_000, "0x" + "f" * 6_000,
         '["ctrl+g", 3]', '"rgb(1e999,0,0)"', '"hsl(0,0%,0%)"', '"auto 900%"', '"#zzz"', '"\\u0000"',
         '"http://["', '"https://h/ x"']
    ),
    hostile_text.map(_toml_text),
)  # fmt: skip
toml_keys = st.one_of(
    st.sampled_from(
        ["backend", "stream", "app", "keys", "notify", "theme", "redraws_per_second", "symbols", "mouse",
         "max_attempts", "idle_timeout", "slack", "name", "dark", "primary", "variables", "text-style",
         "chart-train", "prompt", "text", "expect", "contains", "schema", "regex", "choice", "max_tokens",
         '"app.help"', '"list.up"', "a.b.c", "a"]
    ),
    hostile_text.map(_toml_text),
)  # fmt: skip
toml_lines = st.one_of(
    st.builds("{} = {}".format, toml_keys, toml_values),
    st.builds("[{}]".format, toml_keys),
    st.builds("[[{}]]".format, toml_keys),
    hostile_text.map(lambda text: text.encode("utf-8", "replace").decode()),
)
toml_files = st.one_of(
    st.lists(toml_lines, max_size=8).map(lambda lines: "\n".join(lines).encode()),
    st.binary(max_size=60),
)


def read_or_refused(read: Callable[[], T], *known: type[Exception]) -> tuple[T | None, str | None]:
    """What was read, or the words in which it was refused; any other error is a failure."""
    try:
        return read(), None
    except known as error:
        if type(error) not in known:  # one that happens to be a kind of it
            raise
        return None, str(error)


@one_file
@given(toml_files)
def test_any_settings_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    read, refusal = read_or_refused(lambda: read_settings(path), SettingsError)
    if read is None:
        assert refusal is not None
        assert refusal.startswith(str(path))
        assert len(refusal) < 5_000
        return
    places = ArkorApp.bound_places()
    problems = unknown_actions(read.keys, action_ids(places)) + clashes(read.keys, places)
    assert all(isinstance(text, str) and len(text) < 5_000 for text in problems)


@one_file
@given(toml_files)
def test_any_theme_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    theme, refusal = read_or_refused(lambda: read_theme(path), ValueError)
    if theme is None:
        assert refusal is not None
        assert refusal.startswith(("line ", "cannot be read"))
        assert len(refusal) < 1_000
        return
    theme.to_color_system().generate()


@one_file
@given(toml_files)
def test_any_toml_file_of_prompts(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "golden.toml"
    path.write_bytes(content)
    found, refusal = read_or_refused(lambda: read_prompts(path), PromptFileError)
    assert found or (refusal is not None and str(path) in refusal and len(refusal) < 5_000)


prompt_entries = st.dictionaries(
    st.sampled_from(
        ["text", "system", "expect", "schema", "choice", "regex", "temperature", "seed"]
    )
    | hostile_text,
    json_values,
    max_size=4,
)


@one_file
@given(st.lists(prompt_entries.map(json.dumps) | hostile_text, max_size=4), st.binary(max_size=9))
def test_any_jsonl_file_of_prompts(tmp_path: Path, lines: list[str], junk: bytes) -> None:
    path = tmp_path / "golden.jsonl"
    path.write_bytes("\n".join(lines).encode("utf-8", "replace") + junk)
    found, refusal = read_or_refused(lambda: read_prompts(path), PromptFileError)
    assert found or (refusal is not None and str(path) in refusal and len(refusal) < 5_000)
    assert all(isinstance(one.judge("reply"), Verdict) for one in found or ())


json_files = st.one_of(
    json_values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=80),
    st.sampled_from([b"[" * 100_000, b'{"a":' * 50_000, b"9" * 5_000, b"\xef\xbb\xbf{}", b""]),
)
credential_fields = st.dictionaries(
    st.sampled_from(
        ["mode", "token", "accessToken", "refreshToken", "expiresAt", "orgSlug", "anonymousId",
         "arkorCloudApiUrl", "clientId"]
    )
    | hostile_text,
    json_values,
    max_size=6,
)  # fmt: skip


@one_file
@given(json_files | credential_fields.map(lambda value: json.dumps(value).encode()))
def test_any_credentials_file(home: Path, content: bytes) -> None:
    path = credentials_path()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    found = read_credentials()
    if found is None:
        return
    assert isinstance(found.minted_at, str)
    bearer, refusal = read_or_refused(lambda: found.bearer, CredentialsIncompleteError)
    assert refusal or (bearer and bearer.isascii())
    write_credentials(found)
    again = read_credentials()
    assert again is not None
    assert again.is_anonymous == found.is_anonymous


@given(credential_fields)
def test_credentials_do_not_show_their_secrets(fields: dict[str, Any]) -> None:
    secret = "s3cret-" + "x" * 20
    found = credentials_from_wire({**fields, "token": secret, "accessToken": secret})
    assert secret not in repr(found)
    assert isinstance(found, AnonymousCredentials) == (fields.get("mode") == "anon")


@one_file
@given(json_files)
def test_any_state_file(project: Path, content: bytes) -> None:
    path = project / ".arkor" / "state.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    state = read_state(project)
    assert state is None or (state.org_slug and state.project_slug and state.project_id)


watch_fields = st.dictionaries(
    st.sampled_from(["pid", "kind", "since", "callbacks", "gauges", "problem", "errors", "x"]),
    json_values,
    max_size=7,
).map(lambda value: json.dumps(value).encode())


@one_file
@given(json_files | watch_fields)
def test_any_file_of_a_watching_process(home: Path, content: bytes) -> None:
    path = lock_path("local", "o", "p", "job")
    watch = take_run_lock(path)
    assert watch is not None
    try:
        path.with_suffix(".json").write_bytes(content)
        state = read_host(path)
    finally:
        watch.release()
    assert state is not None
    assert (type(state.pid), type(state.callbacks), type(state.errors)) == (int, int, int)
    assert isinstance(state.since, float)
    assert state.kind in ("supervisor", "app", "command")
    assert isinstance(state.problem, str)
    assert all(isinstance(gauge, dict) for gauge in state.gauges)


@given(st.binary(max_size=60).map(lambda data: data.decode("utf-8", "replace")) | hostile_text)
def test_any_source_is_remembered_or_not(text: str) -> None:
    for source in (text, f"# set up in arkor-tui: {text}", "# set up in arkor-tui: " + "[" * 9_999):
        assert all(isinstance(value, str) for value in recall(source).values())


READERS: dict[str, Reader] = {
    "settings.toml": read_settings,
    "theme.toml": read_theme,
    "prompts.toml": read_prompts,
    "prompts.jsonl": read_prompts,
}
NASTY = [
    b"a = " + b"9" * 5_000,
    b"a = " + b"[" * 5_000,
    b"a = " + b"{b=" * 5_000,
    b"a = 0x" + b"f" * 60_000,
    b"a = 1e" + b"9" * 5_000,
    b"a = 2026-99-99",
    b'a = "\\ud800"',
    b"\x00",
    b"\xff\xfea\x00",
    b"\xef\xbb\xbf\xef\xbb\xbf",
    b"[" * 5_000,
    b"[a]\n" * 3,
]


@pytest.mark.parametrize("content", NASTY)
@pytest.mark.parametrize("name", ["settings.toml", "theme.toml", "prompts.toml", "prompts.jsonl"])
def test_what_breaks_parsers_is_refused_in_words(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    known = ValueError if name == "theme.toml" else ArkorTuiError
    with pytest.raises(known) as caught:
        READERS[name](path)
    assert type(caught.value) in (ValueError, SettingsError, PromptFileError)
    assert "line " in str(caught.value) or "[[prompt]]" in str(caught.value)


LARGE = 40_000_000


@pytest.mark.parametrize("name", READERS)
def test_a_file_beyond_all_measure_is_refused_unread(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(LARGE)  # zeros that take no room on the disk
    began = time.process_time()
    with pytest.raises((ArkorTuiError, ValueError), match="larger than"):
        READERS[name](path)
    assert time.process_time() - began < 1.0, "it was read all the same"


@pytest.mark.parametrize("name", READERS)
def test_a_name_of_many_parts_takes_no_time(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(".".join(["a"] * 20_000) + " = 1\n")
    with pytest.raises((ArkorTuiError, ValueError)):
        READERS[name](path)
