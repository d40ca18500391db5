"""A server that repeats what it was sent: what is secret in it comes back hidden."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.api.errors import ApiError
from arkor_tui.api.events import parse_event
from arkor_tui.api.jobs import BlobSource, JobConfig, JobCreate
from arkor_tui.text.redact import Secrets, redact_text, secrets_of
from tests.support.scripted import JOB, SCOPE, Answer, Server

URL = "https://user%2B:pass%3Aword@data.example:8443/a/rows.jsonl?sig=s%2Bgned&key=value#place"
SHOWN = "https://…@data.example:8443/a/rows.jsonl?…"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no address: 5 > 4?", "no address: 5 > 4?"),
        ("see https://docs.example/a/b.", "see https://docs.example/a/b."),
        (
            f"cannot fetch {URL}: 403",
            "cannot fetch https://…@data.example:8443/a/rows.jsonl?…: 403",
        ),
        ("HTTP://U:P@H/x and https://h?k=v then", "HTTP://…@H/x and https://h?… then"),
        ("is it https://h/x? No", "is it https://h/x? No"),
        (r'"https://h/x?a=1\u0026sig=abc\n"', r'"https://h/x?…\n"'),
        ("<https://h/x#part>", "<https://h/x#…>"),
        ("mail me@home.example or https://h/me@home", "mail me@home.example or https://h/me@home"),
    ],
)
def test_an_address_keeps_its_host_and_path(text: str, shown: str) -> None:
    assert redact_text(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://http://u:p@h/x?s=1", "http://http://…@h/x?…"),
        ("(see https://h/x?a=1).", "(see https://h/x?…)."),
        (r'"https://h/\u00e9?sig=abc"', r'"https://h/\u00e9?…"'),
        ('"https://h/x?"', '"https://h/x?…"'),
        ("https://h/x?a=https://u:p@h2/?b=2 https://h3/#f", "https://h/x?… https://h3/#…"),
    ],
)
def test_addresses_within_and_beside_others(text: str, shown: str) -> None:
    assert redact_text(text) == shown


@pytest.mark.parametrize(
    "piece", ["http://", "https://a", "http://a?", "http://a@", "http://a/b#c "]
)
def test_a_text_full_of_addresses_is_read_in_linear_time(piece: str) -> None:
    """a1: 140 kB took minutes."""
    began = time.process_time()
    redact_text(piece * 200_000)
    assert time.process_time() - began < 10


@given(st.text())
def test_an_event_stays_json(error: str) -> None:
    data = json.dumps({"type": "training.failed", "error": f"https://a:b@c/?d=e{error}"})
    assert parse_event(redact_text(data)).type == "training.failed"


def test_every_secret_part_of_an_address_is_known_in_both_forms() -> None:
    assert set(secrets_of(URL)) == {
        "user%2B", "user+", "pass%3Aword", "pass:word", "s%2Bgned", "s+gned", "value", "place",
    }  # fmt: skip
    assert set(secrets_of("https://data.example/rows?signature")) == {"signature", ""}
    assert list(secrets_of("https://[")) == []


def test_a_word_is_hidden_as_json_writes_it_too() -> None:
    secrets = Secrets()
    secrets.add('to"ken', "abc", None, "", "schlüssel")
    quoted = json.dumps({"token": 'to"ken', "other": "schlüssel"})
    assert secrets.hide(f'to"ken {quoted} abc') == '… {"token": "…", "other": "…"} abc'


@pytest.mark.parametrize("form", ["error", "fields", "raw", "upgrade"])
async def test_a_refusal_that_quotes_the_job_hides_its_dataset(server: Server, form: str) -> None:
    source = BlobSource(url=URL, token="data-token")
    job = JobCreate(name="run", config=JobConfig(model="any/model", dataset_source=source))
    quoted = json.dumps(job.to_wire()) + " login user+ pass:word key s+gned value at place"
    answers = {
        "error": Answer(400, {"error": f"no: {quoted}"}),
        "fields": Answer(400, {"error": "no", "fields": {"config.datasetSource": quoted}}),
        "raw": Answer(400, quoted.encode()),
        "upgrade": Answer(426, {"error": "x", "reason": quoted[-200:], "upgrade": quoted[-200:]}),
    }
    server.answers["POST /v1/jobs"] = answers[form]
    async with server.client() as client:
        with pytest.raises(ApiError) as caught:
            await client.create_job(SCOPE, job)
    told = f"{caught.value} {caught.value.hint} {caught.value.fields}"
    assert "login … … key … … at …" in told
    for word in ("data-token", *secrets_of(URL)):
        assert word not in told


async def test_a_failure_that_quotes_the_address_hides_its_secrets(server: Server) -> None:
    text = f"cannot fetch {URL}"
    server.answers[f"GET /v1/jobs/{JOB['id']}"] = Answer(
        200, {"job": {**JOB, "status": "failed", "error": text}}
    )
    async with server.client() as client:
        detail = await client.get_job(SCOPE, str(JOB["id"]))
    assert detail.job.error == f"cannot fetch {SHOWN}"
