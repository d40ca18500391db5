"""What the pages show works: Python runs, settings and prompt files are read, commands exist."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from arkor_tui.cli import COMMANDS, _parser
from arkor_tui.recipes.prompts import read_prompts
from arkor_tui.workspace.settings import read_settings

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
BLOCK = re.compile(r"(<!-- not run: .+? -->\s*\n)?^( *)```(\w+)\n(.*?)^\2```", re.M | re.S)
ROW = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int
    is_run: bool


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        skip, indent, language, body = found.groups()
        if language in languages:
            line = text.count("\n", 0, found.start(4)) + 1
            plain = "".join(row.removeprefix(indent) for row in body.splitlines(keepends=True))
            yield Block(language, plain, line, skip is None)


@pytest.fixture
def folder(project: Path) -> Path:
    """What the pages speak of."""
    (project / "data").mkdir()
    for name in ("data.jsonl", "data/train.jsonl"):
        (project / name).write_text(ROW * 4)
    (project / "prompts.toml").write_text('[[prompt]]\ntext = "hi"\n')
    return project


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_runs(page: Path, folder: Path) -> None:
    names: dict[str, object] = {"__name__": page.stem}
    for block in blocks(page, "python"):
        if block.is_run:
            code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
            exec(code, names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_settings_and_prompt_files_are_read(page: Path, tmp_path: Path) -> None:
    for block in blocks(page, "toml"):
        if not block.is_run:
            continue
        file = tmp_path / "shown.toml"
        file.write_text(block.text)
        file.chmod(0o600)
        if "[[prompt]]" in block.text:
            assert read_prompts(file)
        else:
            read_settings(file)


def commands(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        words = shlex.split(line.split(" #")[0], comments=False)
        while words and "=" in words[0] and not words[0].startswith("-"):
            words = words[1:]
        if words[:1] == ["arkor-tui"]:
            yield words[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_exist_and_take_these_options(page: Path) -> None:
    for block in blocks(page, "console", "sh", "bash"):
        for words in commands(block.text):
            name = next((word for word in words if word in COMMANDS), None)
            rest = [word for word in words if word != name]
            try:
                _parser(name or "app").parse_intermixed_args(rest)
            except SystemExit as error:
                if {"--help", "-h", "--version"} & set(rest):
                    continue
                raise AssertionError(f"{page.name}, line {block.line}: {words}") from error
            except argparse.ArgumentError as error:
                raise AssertionError(f"{page.name}, line {block.line}: {words}") from error


def test_every_recipe_has_its_page() -> None:
    names = {page.stem for page in PAGES}
    assert names >= {
        "early-stopping", "mid-run-evaluation", "notifications", "programmatic-runs",
        "starter-templates", "structured-outputs",
    }  # fmt: skip


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(((?!https?:|#|mailto:)[^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
