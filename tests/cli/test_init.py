"""``arkor-tui init`` writes a project and never overwrites."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from arkor_tui.cli import main
from arkor_tui.run.loading import load_trainer
from arkor_tui.starters import STARTERS, TEMPLATES
from tests.e2e.conftest import Backend
from tests.e2e.conftest import backend as backend


@pytest.mark.parametrize("template", sorted(STARTERS))
def test_a_starter_is_a_project_whose_trainer_loads(template: str, project: Path) -> None:
    assert main(["init", "demo", "--template", template]) == 0
    trainer = load_trainer(project / "demo")
    request = trainer.request().to_wire()
    assert request["name"] == STARTERS[template].run_name
    source = request["config"]["datasetSource"]
    assert Path(source["path"]) == project / "demo" / "data" / "train.jsonl"
    assert Path(source["path"]).is_file()
    assert request["config"]["evalSteps"] == {"steps": 25}
    assert (project / "demo" / ".gitignore").read_text().startswith(".arkor/")


def test_what_exists_is_left_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = project / "trainer.py"
    mine.write_text("mine = True\n")
    assert main(["init", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert mine.read_text() == "mine = True\n"
    assert "trainer.py" in result["kept"]
    assert "data/train.jsonl" in result["written"]


def test_again_changes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "--json"])
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["init", "--json", "--template", "redaction"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] == []
    assert before == {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}


def test_a_folder_that_cannot_be_made_says_so(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "taken").write_text("a file")
    assert main(["init", "taken"]) == 1
    assert "Cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["demo", "my demo", "it's", "a;b"])
def test_it_says_what_was_written_and_what_to_do_next(
    folder: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["init", folder])
    said = capsys.readouterr().out
    there = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert there == set(re.findall(r"^  wrote (.+)$", said, re.M))
    assert f"Edit {folder}/trainer.py" in said
    command = said.partition("Next: ")[2].strip()
    # a shell ends in that folder, whatever is in its name
    where = subprocess.run(
        ["sh", "-c", command.replace("arkor-tui start --backend local", "pwd -P")],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert where.strip() == str((project / folder).resolve())


def test_in_this_folder_nobody_is_sent_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "."])
    assert "Next: arkor-tui start --backend local" in capsys.readouterr().out


def test_a_trainer_of_before_is_named_as_the_one_that_runs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "trainer.py").write_text("mine = True\n")
    main(["init"])
    said = capsys.readouterr().out
    assert "kept  trainer.py (it exists)" in said
    assert "trainer.py was there before and is unchanged" in said
    assert "Edit" not in said


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_nothing_that_has_a_name_is_overwritten(template: str, project: Path) -> None:
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    demo = project / "demo"
    demo.mkdir()
    (demo / "trainer.py").symlink_to(elsewhere / "not-there.py")  # leads nowhere, and is a name
    (demo / "README.md").mkdir()
    (demo / ".gitignore").write_text("")
    assert main(["init", "demo", "--template", template]) == 0
    assert (demo / "trainer.py").is_symlink()
    assert list(elsewhere.iterdir()) == []
    assert (demo / "README.md").is_dir()
    assert (demo / ".gitignore").read_text() == ""
    assert (demo / "data" / "train.jsonl").is_file()


@pytest.mark.engine
def test_a_blank_trainer_runs_as_it_is_written(
    backend: Backend, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--template", "blank"]) == 0
    capsys.readouterr()
    assert main(["start", "--backend", "local", "--json"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said[-1]["status"] == "completed"
    losses = [event["loss"] for event in said if event["type"] == "training.log"]
    assert losses[-1] < losses[0]  # two rows are soon known by heart
    assert [e["step"] for e in said if e["type"] == "checkpoint.saved"][:1] == [10]


def test_every_wish_of_the_blank_trainer_can_be_granted(project: Path) -> None:
    """What is commented out works when the comment sign goes, as its reader will do."""
    main(["init", "--template", "blank"])
    file = project / "trainer.py"
    wanted = ("dataset_split=", "eval_steps=", "callbacks=")
    lines = file.read_text().splitlines()
    for number, line in enumerate(lines):
        if line.strip().removeprefix("# ").startswith(wanted):
            lines[number] = line.replace("# ", "", 1)
    imports = re.findall(r"from arkor_tui\.recipes import .+", file.read_text())
    file.write_text("\n".join([lines[0], *lines[1:4], *imports, *lines[4:]]))
    trainer = load_trainer(project)
    config = trainer.request().to_wire()["config"]
    assert config["datasetSplit"]["enabled"] is True
    assert config["evalSteps"] == {"steps": 25}
    assert [type(callback).__name__ for callback in trainer.callbacks] == [
        "EarlyStopping", "PromptProbe"
    ]  # fmt: skip


def test_a_blank_trainer_loads_and_says_where_to_begin(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--template", "blank"]) == 0
    out = capsys.readouterr().out
    assert "A trainer of your own" in out
    assert "Edit trainer.py" in out
    request = load_trainer(project).request().to_wire()
    assert request["name"] == "my-run"
    rows = (project / "data" / "train.jsonl").read_text().splitlines()
    assert len(rows) == 2
    assert (project / "trainer.py").read_text().count(">>>") >= 4
    main(["init", "--template", "blank"])
    assert "Nothing was written" in capsys.readouterr().out
