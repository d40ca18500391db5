"""``arkor-tui init`` writes a project and never overwrites."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arkor_tui.cli import main
from arkor_tui.starters import STARTERS
from arkor_tui.training.loading import load_trainer


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


def test_it_says_what_to_do_next(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "demo"])
    assert "Next: cd demo && arkor-tui start --backend local" in capsys.readouterr().out


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
