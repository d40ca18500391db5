"""What the pages show works: Python runs, settings and prompt files are read, commands exist."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

import arkor_tui.cli
from arkor_tui.config.settings import read_settings
from arkor_tui.recipes.prompts import read_prompts
from tests.support.doc_pages import Block, blocks, commands

ROOT = Path(__file__).parents[2]
DOCS = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
STARTERS = sorted((ROOT / "arkor_tui" / "starters").glob("*/README.md"))

each_page = pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)


def of(page: Path, *languages: str) -> list[Block]:
    found = blocks(page.read_text(encoding="utf-8"))
    return [block for block in found if block.language in languages and block.is_run]


def run_python(page: Path) -> dict[str, object]:
    """Run a page's blocks in order in one namespace, which is returned."""
    names: dict[str, object] = {"__name__": page.stem}
    for block in of(page, "python", "py"):
        # line numbers of a traceback are those of the page
        exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), names)
    return names


@each_page
def test_python_runs(page: Path, folder: Path, no_way_out: None) -> None:
    run_python(page)


@each_page
def test_settings_and_prompt_files_are_read(page: Path, tmp_path: Path) -> None:
    for block in of(page, "toml"):
        file = tmp_path / "shown.toml"
        file.write_text(block.text)
        file.chmod(0o600)
        if "[[prompt]]" in block.text:
            assert read_prompts(file)
        else:
            read_settings(file)


def parse(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the real command line read ``words``, and stop before it does anything.

    Raises:
        SystemExit: it does not understand them.
    """
    real = arkor_tui.cli._module

    def stops(command: str) -> SimpleNamespace:
        return SimpleNamespace(configure=real(command).configure, run=lambda _: 0)

    with monkeypatch.context() as patch:
        patch.setattr(arkor_tui.cli, "_module", stops)
        try:
            assert arkor_tui.cli.main(words) == 0
        except SystemExit as ended:
            if ended.code:
                raise


@pytest.mark.parametrize("page", [*DOCS, *STARTERS], ids=lambda page: "/".join(page.parts[-2:]))
def test_commands_exist_and_take_these_options(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for block in of(page, "console", "sh", "bash", "shell", ""):
        for words in commands(block.text):
            try:
                parse(words, monkeypatch)
            except SystemExit:
                said = capsys.readouterr().err
                raise AssertionError(f"{page.name}, line {block.line}: {words}\n{said}") from None


@each_page
def test_every_block_says_what_it_is(page: Path) -> None:
    """A misspelt language would be a block that nobody tests."""
    known = {"python", "py", "toml", "console", "sh", "bash", "shell", "json", "text", ""}
    assert {block.language for block in blocks(page.read_text("utf-8"))} <= known


def test_every_recipe_has_its_page_and_the_readme_leads_to_it() -> None:
    names = {page.stem for page in DOCS}
    recipes = {
        "early-stopping", "mid-run-evaluation", "notifications", "programmatic-runs",
        "starter-templates", "structured-outputs",
    }  # fmt: skip
    assert names >= recipes
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [name for name in sorted(recipes) if f"docs/{name}.md" not in readme] == []


def test_links_between_pages_lead_somewhere() -> None:
    for page in DOCS:
        for target in re.findall(r"\]\(((?!https?:|#|mailto:)[^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_each_promise_leads_to_a_test_that_exists() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    section = readme.partition("## What it promises")[2].partition("\n## ")[0]
    rows = [row for row in section.splitlines() if row.startswith("| ")][1:]
    assert len(rows) > 10
    for row in rows:
        links = re.findall(r"\[`(\w+)`\]\((tests/[^)]+)\)", row)
        assert links or "make bench" in row, row
        for name, file in links:
            assert f"def {name}(" in (ROOT / file).read_text("utf-8"), f"{file} has no {name}"
