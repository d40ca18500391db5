"""Transcripts, the prompt library, and samples of golden prompts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from arkor_tui.archive.records import Exchange, Prompt, Sample
from arkor_tui.archive.store import Archive

EXCHANGE = Exchange(
    run_key=None,
    target="checkpoint",
    step=25,
    model="arkor-tui/tiny",
    messages=({"role": "system", "content": "Kurz."}, {"role": "user", "content": "Größe?"}),
    reply="Sehr groß, 100 %.",
    settings={"temperature": 0.5, "stop": ["\n"]},
    finish_reason="stop",
    first_token_s=0.1,
    total_s=1.5,
    tokens=12,
    verdict="matches the schema",
    error=None,
    group="g1",
    created_at="2026-08-07T10:00:00.000Z",
)


def test_an_exchange_comes_back_as_it_was(archive: Archive, key: int) -> None:
    number = archive.save_exchange(replace(EXCHANGE, run_key=key))
    assert archive.exchanges() == [replace(EXCHANGE, run_key=key, id=number)]


def test_the_newest_exchange_comes_first(archive: Archive, key: int) -> None:
    first = archive.save_exchange(EXCHANGE)
    second = archive.save_exchange(replace(EXCHANGE, run_key=key))
    assert [exchange.id for exchange in archive.exchanges()] == [second, first]
    assert [exchange.id for exchange in archive.exchanges(key)] == [second]
    assert [exchange.id for exchange in archive.exchanges(limit=1)] == [second]


def test_saving_again_replaces(archive: Archive) -> None:
    number = archive.save_exchange(EXCHANGE)
    assert archive.save_exchange(replace(EXCHANGE, id=number, reply="Anders.")) == number
    assert [exchange.reply for exchange in archive.exchanges()] == ["Anders."]


@pytest.mark.parametrize(
    ("text", "found"), [("GRÖSSE", 1), ("groß kurz", 1), ("100 %", 1), ("klein", 0), ("", 1)]
)
def test_searching_exchanges(archive: Archive, text: str, found: int) -> None:
    archive.save_exchange(EXCHANGE)
    assert len(archive.exchanges(text=text)) == found


def test_what_was_said_to_a_deleted_run_goes_with_it(archive: Archive, key: int) -> None:
    archive.save_exchange(replace(EXCHANGE, run_key=key))
    archive.delete([key])
    assert archive.exchanges() == []
    archive.undelete([key])
    assert len(archive.exchanges()) == 1


def test_half_characters_do_not_stop_a_transcript(archive: Archive, key: int) -> None:
    broken = replace(EXCHANGE, reply="\ud83d", messages=({"role": "user", "content": "\ud83d"},))
    archive.save_exchange(broken)
    assert archive.exchanges()[0].reply == "\ufffd"
    archive.save_sample(Sample(key, "p\ud83d", 0, None, "\ud83d"))
    archive.save_prompt(Prompt("\ud83d", "\ud83d"))


def test_the_prompt_library(archive: Archive) -> None:
    one = archive.save_prompt(Prompt("beta", "Hello {name}", "Be brief.", {"topP": 0.9}))
    other = archive.save_prompt(Prompt("Alpha", "ÄRGER"))
    assert [prompt.name for prompt in archive.prompts()] == ["Alpha", "beta"]
    assert archive.prompts("brief hello")[0] == Prompt(
        "beta",
        "Hello {name}",
        "Be brief.",
        {"topP": 0.9},
        archive.prompts("beta")[0].created_at,
        one,
    )
    assert [prompt.id for prompt in archive.prompts("ärger")] == [other]
    assert archive.save_prompt(Prompt("beta", "Hi")) == one
    assert archive.save_prompt(Prompt("gamma", "Hi", id=one)) == one
    assert [prompt.name for prompt in archive.prompts()] == ["Alpha", "gamma"]


def test_one_sample_for_each_prompt_and_checkpoint(archive: Archive, key: int) -> None:
    archive.save_sample(Sample(key, "login", 0, 20, "b", True, "ok", "t"))
    archive.save_sample(Sample(key, "login", 0, None, "base", None, "", "t"))
    archive.save_sample(Sample(key, "login", 0, 10, "a", False, "no json", "t"))
    archive.save_sample(Sample(key, "login", 0, None, "base again", None, "", "t"))
    archive.save_sample(Sample(key, "login", 0, 20, "c", True, "ok", "t"))
    archive.save_sample(Sample(key, "login", 1, 20, "d", True, "ok", "t"))
    assert archive.samples(key) == [
        Sample(key, "login", 0, None, "base again", None, "", "t", "base"),
        Sample(key, "login", 0, 10, "a", False, "no json", "t", "checkpoint"),
        Sample(key, "login", 0, 20, "c", True, "ok", "t", "checkpoint"),
        Sample(key, "login", 1, 20, "d", True, "ok", "t", "checkpoint"),
    ]
    assert archive.samples(key + 1) == []
