"""Protocol reference, section 10, "Credentials": the base URL."""

from __future__ import annotations

import pytest

from arkor_tui.config.base_url import cloud_base_url, login_base_url
from arkor_tui.config.credentials import credentials_from_wire

STAGING = credentials_from_wire({"mode": "anon", "arkorCloudApiUrl": "https://staging.example//"})


def test_variable_first_and_slashes_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "http://127.0.0.1:9999///")
    assert cloud_base_url(STAGING) == "http://127.0.0.1:9999"
    assert login_base_url() == "http://127.0.0.1:9999"


def test_empty_variable_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "")
    assert cloud_base_url(STAGING) == ""
    assert cloud_base_url(None) == ""
    assert login_base_url() == ""


def test_then_the_credentials() -> None:
    assert cloud_base_url(STAGING) == "https://staging.example"


def test_an_empty_url_in_the_credentials_is_kept() -> None:
    credentials = credentials_from_wire({"mode": "oauth", "arkorCloudApiUrl": ""})
    assert cloud_base_url(credentials) == ""


@pytest.mark.parametrize("mode", ["anon", "oauth", "auth0"])
@pytest.mark.parametrize("fields", [{}, {"arkorCloudApiUrl": None}, {"arkorCloudApiUrl": 5}])
def test_then_production_also_for_legacy_oauth(mode: str, fields: dict[str, object]) -> None:
    assert cloud_base_url(credentials_from_wire({"mode": mode, **fields})) == "https://api.arkor.ai"
    assert cloud_base_url(None) == "https://api.arkor.ai"


def test_login_ignores_stored_credentials() -> None:
    assert login_base_url() == "https://api.arkor.ai"
