"""The starter projects: their files, their data, and the split between the parts."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arkor_tui.starters import STARTERS, starter_files

ROOT = Path(__file__).parents[1]
LANGUAGES = {"ja", "zh", "de", "fr", "es", "it", "pt", "nl", "pl"}
CATEGORIES = {"auth", "billing", "bug", "feature_request", "other"}
KINDS = {"EMAIL", "PHONE", "NAME", "CARD", "IP"}

each_starter = pytest.mark.parametrize("starter", list(STARTERS))


def rows(starter: str, part: str) -> list[tuple[str, str, dict[str, Any]]]:
    text = starter_files(starter)[f"data/{part}.jsonl"].read_text(encoding="utf-8")
    result = []
    for line in text.splitlines():
        row = json.loads(line)
        assert list(row) == ["messages"]
        assert [m["role"] for m in row["messages"]] == ["system", "user", "assistant"]
        system, user, answer = (m["content"] for m in row["messages"])
        parsed = json.loads(answer)
        assert json.dumps(parsed, ensure_ascii=False, separators=(",", ":")) == answer
        result.append((system, user, parsed))
    return result


def sentences(text: str) -> set[str]:
    parts = re.split(r"(?<=[.!?])\s+|(?<=[。！？])", text)
    return {part.strip().lower() for part in parts if part.strip()}


def fits(value: Any, schema: dict[str, Any]) -> bool:
    if schema["type"] == "object":
        return list(value) == schema["required"] and all(
            fits(value[key], part) for key, part in schema["properties"].items()
        )
    if schema["type"] == "array":
        return isinstance(value, list) and all(fits(v, schema["items"]) for v in value)
    if schema["type"] == "integer":
        return isinstance(value, int)
    return isinstance(value, str) and value in schema.get("enum", [value])


def test_there_are_three_starters() -> None:
    assert list(STARTERS) == ["triage", "translate", "redaction"]
    assert [s.run_name for s in STARTERS.values()] == [
        "triage-run",
        "translate-run",
        "redaction-run",
    ]


def test_unknown_starter_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        starter_files("poetry")


@each_starter
def test_schema_allows_nothing_else_and_is_a_copy(starter: str) -> None:
    schema = STARTERS[starter].schema
    assert schema["additionalProperties"] is False
    assert schema["required"] == list(schema["properties"])
    schema["properties"].clear()
    assert STARTERS[starter].schema["properties"]


@each_starter
@pytest.mark.parametrize(("part", "at_least"), [("train", 600), ("heldout", 60)])
def test_rows_follow_the_schema(starter: str, part: str, at_least: int) -> None:
    found = rows(starter, part)
    assert len(found) >= at_least
    assert {system for system, _, _ in found} == {STARTERS[starter].system_prompt}
    assert all(fits(answer, STARTERS[starter].schema) for _, _, answer in found)


@each_starter
def test_parts_share_no_sentence_and_no_message_repeats(starter: str) -> None:
    train = [user for _, user, _ in rows(starter, "train")]
    heldout = [user for _, user, _ in rows(starter, "heldout")]
    assert len(set(train)) == len(train)
    assert len(set(heldout)) == len(heldout)
    seen = set().union(*map(sentences, train))
    assert not seen & set().union(*map(sentences, heldout))


def test_no_translation_is_shared_across_the_parts() -> None:
    train = {answer["translation"] for _, _, answer in rows("translate", "train")}
    heldout = {answer["translation"] for _, _, answer in rows("translate", "heldout")}
    assert not train & heldout


@pytest.mark.parametrize("part", ["train", "heldout"])
def test_labels_are_all_there(part: str) -> None:
    triage = [answer for _, _, answer in rows("triage", part)]
    assert {a["category"] for a in triage} == CATEGORIES
    assert {a["urgency"] for a in triage} == {"low", "medium", "high"}
    assert {a["detectedLanguage"] for _, _, a in rows("translate", part)} == LANGUAGES
    assert {tag for _, _, a in rows("redaction", part) for tag in a["tags"]} == KINDS


@pytest.mark.parametrize("part", ["train", "heldout"])
def test_redaction_counts_are_true(part: str) -> None:
    counts = set()
    for _, user, answer in rows("redaction", part):
        count = answer["redactedText"].count("[REDACTED]")
        counts.add(count)
        assert answer["redactedCount"] == count
        assert len(answer["tags"]) == len(set(answer["tags"])) <= count
        assert "@" not in answer["redactedText"]
        # What is not hidden stands as it was.
        pattern = "(.+)".join(map(re.escape, answer["redactedText"].split("[REDACTED]")))
        assert re.fullmatch(pattern, user)
    assert {0, 1, 2} <= counts


@each_starter
def test_trainer_is_short_valid_python_for_this_starter(starter: str) -> None:
    source = starter_files(starter)["trainer.py"].read_text(encoding="utf-8")
    assert len(source.splitlines()) < 80
    tree = ast.parse(source)
    strings = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    info = STARTERS[starter]
    assert {info.run_name, info.system_prompt, info.example_prompt, "arkor-tui/tiny"} <= strings
    functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert functions == {"on_started", "on_log", "on_checkpoint", "on_completed", "on_failed"}


@each_starter
def test_example_prompt_is_not_a_training_row(starter: str) -> None:
    example = STARTERS[starter].example_prompt
    assert example not in {user for _, user, _ in rows(starter, "train")}


def test_listing_starters_imports_nothing_heavy() -> None:
    code = (
        "import sys, arkor_tui.starters; "
        "print([m for m in ('torch', 'pydantic', 'textual', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_committed_data_is_what_the_generator_writes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.starters.generate", "--check"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
