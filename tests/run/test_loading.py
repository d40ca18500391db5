"""Finding the trainer in a file, and saying which line is to blame where there is none."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from arkor_tui import Trainer, create_arkor, create_trainer, is_arkor, load_trainer
from arkor_tui.datasets.sources import HuggingFaceDataset, UnsupportedModelError
from arkor_tui.run.loading import TrainerFileError, find_trainer

HEAD = """\
from arkor_tui import FileDataset, create_arkor, create_trainer

made = create_trainer(name="mine", model="arkor-tui/tiny", dataset=FileDataset("data.jsonl"))
"""


def write(folder: Path, text: str, name: str = "trainer.py") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def a_trainer(name: str) -> Trainer:
    return create_trainer(name=name, model="arkor-tui/tiny", dataset=HuggingFaceDataset("a/b"))


def module(**variables: Any) -> ModuleType:
    made = ModuleType("trainer_file")
    vars(made).update(variables)
    return made


@pytest.mark.parametrize(
    "export",
    [
        "arkor = create_arkor(trainer=made)",
        "trainer = made",
        "default = made",
        "default = create_arkor(trainer=made)",
        "default = {'trainer': made}",
        "class default: trainer = made",
    ],
)
def test_each_form_of_export_is_found(project: Path, export: str) -> None:
    write(project, HEAD + export)
    assert load_trainer().name == "mine"


def test_the_first_hit_wins() -> None:
    arkor, trainer, default = a_trainer("arkor"), a_trainer("trainer"), a_trainer("default")
    variables = {
        "arkor": create_arkor(trainer=arkor),
        "trainer": trainer,
        "default": SimpleNamespace(trainer=default),
    }
    for expected in (arkor, trainer, default):
        assert find_trainer(module(**variables), Path("x.py")) is expected
        variables.pop(next(iter(variables)))


def test_a_manifest_without_a_trainer_is_passed_over() -> None:
    trainer = a_trainer("x")
    found = find_trainer(module(arkor=create_arkor(), trainer=trainer), Path("x.py"))
    assert found is trainer


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"arkor": create_arkor()},
        {"trainer": "a text"},
        {"trainer": Trainer},
        {"default": {}},
        {"arkor": SimpleNamespace(_kind="arkor", trainer={"start": 1})},
        {"trainer": SimpleNamespace(start=print, wait=print)},
    ],
)
def test_nothing_usable_names_the_accepted_forms(variables: dict[str, Any]) -> None:
    with pytest.raises(TrainerFileError, match="holds no trainer") as caught:
        find_trainer(module(**variables), Path("x.py"))
    assert "create_arkor" in (caught.value.hint or "")
    assert "create_trainer" in (caught.value.hint or "")


def test_anything_with_start_wait_and_cancel_is_a_trainer() -> None:
    own = SimpleNamespace(start=print, wait=print, cancel=print)
    assert find_trainer(module(trainer=own), Path("x.py")) is own


def test_a_manifest_is_known_by_its_brand() -> None:
    assert is_arkor(create_arkor())
    assert is_arkor(SimpleNamespace(_kind="arkor"))
    assert not is_arkor(SimpleNamespace())
    with pytest.raises(AttributeError):
        create_arkor().trainer = a_trainer("x")  # type: ignore[misc]


# paths


def test_the_path_may_be_left_out_relative_absolute_or_a_folder(project: Path) -> None:
    write(project, HEAD + "trainer = made")
    other = write(project, HEAD.replace("mine", "other") + "trainer = made", "sub/other.py")
    assert load_trainer().name == "mine"
    assert load_trainer(project).name == "mine"
    assert load_trainer("sub/other.py").name == "other"
    assert load_trainer(str(other)).name == "other"
    assert load_trainer("~/demo-project/sub/other.py").name == "other"


@pytest.mark.parametrize("path", ["trainer.py", "sub/none.py", "."])
def test_a_missing_file_is_named_and_what_to_do(project: Path, path: str) -> None:
    with pytest.raises(TrainerFileError, match="no trainer file") as caught:
        load_trainer(path)
    assert str(project) in str(caught.value)
    assert "arkor-tui init" in (caught.value.hint or "")
    assert caught.value.exit_code == 2


def test_a_file_that_is_not_python_is_refused(project: Path) -> None:
    write(project, "{}", "trainer.json")
    with pytest.raises(TrainerFileError, match="not a Python file"):
        load_trainer("trainer.json")


def test_files_of_the_dataset_are_relative_to_the_trainer_file(project: Path) -> None:
    write(project, HEAD + "trainer = made", "sub/trainer.py")
    trainer = load_trainer("sub/trainer.py")
    assert trainer.folder == project / "sub"
    source = trainer.request().to_wire()["config"]["datasetSource"]
    assert source == {"type": "file", "path": str(project / "sub" / "data.jsonl")}


def test_the_file_may_import_its_neighbours_and_the_path_is_left_as_it_was(project: Path) -> None:
    before = list(sys.path)
    write(project, "NAME = 'from next door'", "sub/neighbour_of_trainer.py")
    text = HEAD.replace('"mine"', "NAME") + "trainer = made"
    write(project, "from neighbour_of_trainer import NAME\n" + text, "sub/trainer.py")
    assert load_trainer("sub/trainer.py").name == "from next door"
    assert sys.path == before
    del sys.modules["neighbour_of_trainer"]


def test_a_file_may_change_the_path_itself(project: Path) -> None:
    before = list(sys.path)
    write(project, "import sys\nsys.path.pop(0)\n" + HEAD + "trainer = made")
    assert load_trainer().name == "mine"
    assert sys.path == before


# files that do not run


def test_a_syntax_error_names_file_and_line(project: Path) -> None:
    path = write(project, HEAD + "\ntrainer = = made\n")
    with pytest.raises(TrainerFileError, match="line 5") as caught:
        load_trainer()
    assert str(path) in str(caught.value)


def test_a_syntax_error_in_a_neighbour_names_that_file(project: Path) -> None:
    neighbour = write(project, "x = 1\nx = = 2\n", "broken_neighbour.py")
    write(project, "import broken_neighbour\n")
    with pytest.raises(TrainerFileError, match="line 2") as caught:
        load_trainer()
    assert str(neighbour) in str(caught.value)


@pytest.mark.parametrize("statement", ["1 / 0", "raise SystemExit('bye')", "import no_such_thing"])
def test_a_file_that_raises_names_its_line_and_the_error(project: Path, statement: str) -> None:
    path = write(project, f"{HEAD}\n\ndef inner():\n    {statement}\n\ninner()\n")
    with pytest.raises(TrainerFileError, match="line 7: ") as caught:
        load_trainer()
    assert str(path) in str(caught.value)
    assert "Error: " in str(caught.value) or "SystemExit: bye" in str(caught.value)
    assert "--debug" in (caught.value.hint or "")


def test_an_error_deep_in_a_library_names_the_line_of_the_file(project: Path) -> None:
    write(project, "import json\n\njson.loads('{')\n")
    with pytest.raises(TrainerFileError, match="line 3: JSONDecodeError"):
        load_trainer()


def test_an_error_of_ours_keeps_its_hint(project: Path) -> None:
    write(project, HEAD.replace("arkor-tui/tiny", "gpt-5"))
    with pytest.raises(TrainerFileError, match="line 3: Unsupported model") as caught:
        load_trainer()
    assert "LocalModel" in (caught.value.hint or "")
    assert isinstance(caught.value.__cause__, UnsupportedModelError)


def test_bytes_that_are_no_text_are_a_clear_error(project: Path) -> None:
    (project / "trainer.py").write_bytes(b"x = '\xff\xfe'\n")
    with pytest.raises(TrainerFileError, match=r"trainer\.py"):
        load_trainer()


def test_the_text_of_an_error_is_made_harmless(project: Path) -> None:
    write(project, "raise ValueError('\\x1b]52;c;AAAA\\x07red')")
    with pytest.raises(TrainerFileError) as caught:
        load_trainer()
    assert str(caught.value).endswith("ValueError: red")


def test_each_loading_makes_a_fresh_trainer(project: Path) -> None:
    write(project, HEAD + "trainer = made")
    assert load_trainer() is not load_trainer()
