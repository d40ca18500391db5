"""Protocol reference, section 10, "Credentials": the file."""

from __future__ import annotations

import json
import logging
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arkor_tui.config import atomic
from arkor_tui.config.atomic import WriteFailedError
from arkor_tui.config.credentials import (
    AnonymousCredentials,
    CredentialsIncompleteError,
    CredentialsUnreadableError,
    OAuthCredentials,
    credentials_are_corrupt,
    credentials_from_wire,
    credentials_path,
    read_credentials,
    remove_credentials,
    write_credentials,
)

ANONYMOUS = {
    "mode": "anon",
    "token": "anon-secret",
    "anonymousId": "anon-1",
    "arkorCloudApiUrl": "https://api.arkor.ai",
    "orgSlug": "anon-org",
}
OAUTH = {
    "mode": "oauth",
    "accessToken": "access-secret",
    "refreshToken": "refresh-secret",
    "expiresAt": 1_735_000_000,
    "auth0Domain": "login.example.com",
    "audience": "https://api.example.com",
    "clientId": "client-1",
    "arkorCloudApiUrl": "https://staging.example.com/",
}


def put(content: str | bytes | dict[str, Any]) -> Path:
    path = credentials_path()
    path.parent.mkdir(exist_ok=True)
    if isinstance(content, dict):
        content = json.dumps(content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_no_file_reads_as_none() -> None:
    assert read_credentials() is None
    assert not credentials_are_corrupt()


def test_the_path_is_under_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert credentials_path() == home / ".arkor" / "credentials.json"
    monkeypatch.setenv("HOME", str(home / "other"))
    assert credentials_path() == home / "other" / ".arkor" / "credentials.json"


@pytest.mark.parametrize("raw", [ANONYMOUS, OAUTH], ids=["anonymous", "oauth"])
def test_both_modes_round_trip(raw: dict[str, Any]) -> None:
    path = put(raw)
    credentials = read_credentials()
    assert credentials is not None
    write_credentials(credentials)
    assert json.loads(path.read_text()) == raw
    assert read_credentials() == credentials


def test_anonymous_fields() -> None:
    put(ANONYMOUS)
    credentials = read_credentials()
    assert isinstance(credentials, AnonymousCredentials)
    assert credentials.is_anonymous
    assert credentials.bearer == "anon-secret"
    assert credentials.anonymous_id == "anon-1"
    assert credentials.org_slug == "anon-org"
    assert credentials.minted_at == "https://api.arkor.ai"


def test_oauth_fields() -> None:
    put(OAUTH)
    credentials = read_credentials()
    assert isinstance(credentials, OAuthCredentials)
    assert not credentials.is_anonymous
    assert credentials.bearer == "access-secret"
    assert credentials.expires_at == 1_735_000_000
    assert credentials.minted_at == "https://staging.example.com"


@pytest.mark.parametrize("mode", ["auth0", "oauth", "something-later", None, 7])
def test_every_mode_but_anon_is_oauth(mode: object) -> None:
    credentials = credentials_from_wire({**OAUTH, "mode": mode})
    assert isinstance(credentials, OAuthCredentials)
    assert credentials.bearer == "access-secret"


def test_legacy_mode_is_written_back_as_it_was() -> None:
    path = put({"mode": "auth0", "accessToken": "a"})
    credentials = read_credentials()
    assert credentials is not None
    assert credentials.minted_at == "https://api.arkor.ai"
    write_credentials(credentials)
    assert json.loads(path.read_text())["mode"] == "auth0"


def test_unknown_fields_and_odd_values_survive_a_rewrite() -> None:
    raw = {**ANONYMOUS, "orgSlug": None, "anonymousId": 12, "later": {"a": [1, "ü"]}}
    path = put(raw)
    credentials = read_credentials()
    assert isinstance(credentials, AnonymousCredentials)
    assert credentials.org_slug is None
    assert credentials.anonymous_id is None
    write_credentials(credentials)
    assert json.loads(path.read_text()) == raw


@pytest.mark.parametrize("token", [None, "", "two\nlines", "schlüssel"])
def test_an_unusable_token_is_told_and_not_shown(token: str | None) -> None:
    credentials = credentials_from_wire({**ANONYMOUS, "token": token})
    with pytest.raises(CredentialsIncompleteError) as caught:
        _ = credentials.bearer
    assert "arkor-tui login" in (caught.value.hint or "")
    if token:
        assert token not in str(caught.value)


@pytest.mark.parametrize("raw", [ANONYMOUS, OAUTH], ids=["anonymous", "oauth"])
def test_secrets_are_not_in_the_repr(raw: dict[str, Any]) -> None:
    assert "secret" not in repr(credentials_from_wire({**raw, "idToken": "another-secret"}))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        '{"mode":"anon",',
        "[]",
        "null",
        '"anon"',
        "NaN",
        '{"a":NaN}',
        "[" * 100_000,
        b"\xff",
    ],
    ids=range(10),
)
def test_corrupt_reads_as_none_silently(
    content: str | bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    path = put(content)
    before = path.read_bytes()
    assert read_credentials() is None
    assert credentials_are_corrupt()
    assert path.read_bytes() == before
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_unreadable_raises() -> None:
    credentials_path().mkdir(parents=True)
    with pytest.raises(CredentialsUnreadableError) as caught:
        read_credentials()
    assert str(credentials_path()) in str(caught.value)
    assert caught.value.hint


def test_permission_denied_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    put(ANONYMOUS)

    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CredentialsUnreadableError, match="Permission denied"):
        read_credentials()


def test_a_file_in_place_of_the_folder_raises(home: Path) -> None:
    (home / ".arkor").write_text("x")
    with pytest.raises(CredentialsUnreadableError):
        read_credentials()
    with pytest.raises(WriteFailedError):
        write_credentials(credentials_from_wire(ANONYMOUS))
    assert (home / ".arkor").read_text() == "x"


def test_written_as_the_arkor_command_writes_it(home: Path) -> None:
    previous = os.umask(0)
    try:
        path = write_credentials(credentials_from_wire(ANONYMOUS))
    finally:
        os.umask(previous)
    assert path.read_text() == json.dumps(ANONYMOUS, indent=2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((home / ".arkor").stat().st_mode) == 0o700


def test_a_readable_file_becomes_owner_only() -> None:
    path = put(ANONYMOUS)
    path.chmod(0o644)
    write_credentials(credentials_from_wire(OAUTH))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_temporary_file_is_left() -> None:
    path = write_credentials(credentials_from_wire(ANONYMOUS))
    assert os.listdir(path.parent) == [path.name]


def test_the_file_is_owner_only_from_its_first_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    real = os.fsync

    def look(descriptor: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        real(descriptor)

    monkeypatch.setattr(atomic.os, "fsync", look)
    previous = os.umask(0)
    try:
        write_credentials(credentials_from_wire(ANONYMOUS))
    finally:
        os.umask(previous)
    assert modes == [0o600]


def test_a_failed_rename_cleans_up_and_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(ANONYMOUS)

    def fail(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(WriteFailedError, match="No space left") as caught:
        write_credentials(credentials_from_wire(OAUTH))
    assert "secret" not in str(caught.value)
    assert os.listdir(path.parent) == [path.name]
    assert json.loads(path.read_text()) == ANONYMOUS


def test_a_folder_in_the_files_place_cleans_up_and_raises() -> None:
    path = credentials_path()
    path.mkdir(parents=True)
    with pytest.raises(WriteFailedError):
        write_credentials(credentials_from_wire(OAUTH))
    assert os.listdir(path.parent) == [path.name]


def test_an_interrupt_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_credentials(credentials_from_wire(OAUTH))
    assert os.listdir(credentials_path().parent) == []


def test_a_failing_chmod_only_warns(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with caplog.at_level(logging.WARNING):
        path = write_credentials(credentials_from_wire(ANONYMOUS))
    assert json.loads(path.read_text()) == ANONYMOUS
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "secret" not in caplog.text


def test_remove() -> None:
    assert not remove_credentials()
    path = put(ANONYMOUS)
    (path.parent / "studio-token").write_text("not ours")
    assert remove_credentials()
    assert os.listdir(path.parent) == ["studio-token"]


def test_remove_that_fails_is_told() -> None:
    credentials_path().mkdir(parents=True)
    with pytest.raises(WriteFailedError, match="Cannot delete"):
        remove_credentials()


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from(["mode", *ANONYMOUS, *OAUTH])
quick = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@quick
@given(
    st.binary(max_size=200)
    | st.dictionaries(FIELDS, ANY_JSON).map(lambda d: json.dumps(d).encode())
)
def test_any_bytes_read_as_credentials_or_none(content: bytes) -> None:
    put(content)
    credentials = read_credentials()
    assert credentials_are_corrupt() == (credentials is None)


@quick
@given(st.dictionaries(FIELDS | st.text(), ANY_JSON))
def test_a_rewrite_loses_nothing(raw: dict[str, Any]) -> None:
    path = put(raw)
    first = read_credentials()
    assert first is not None
    write_credentials(first)
    assert read_credentials() == first
    kept = json.loads(path.read_text())
    for name, value in json.loads(json.dumps(raw)).items():
        if name != "mode":
            assert kept[name] == value
