"""Walks the table of run parameters: each is served or refused by name, wherever a run passes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arkor_tui import HuggingFaceDataset, LoraConfig, create_trainer, params
from arkor_tui.api.jobs import JobCreate
from arkor_tui.backend.jobconfig import InvalidConfigError, check_job
from arkor_tui.backend.models import ModelRegistry
from arkor_tui.datasets.formats import COLUMNS, FORMATS
from arkor_tui.errors import UsageError
from arkor_tui.params import ARGUMENTS, PARAMETERS, Parameter
from arkor_tui.run.config import check_served
from scripts.parameters_page import PAGE, page

EVERY = pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=lambda found: found.name)


def sample(parameter: Parameter) -> Any:
    """A value that is right for it, and not its default."""
    match parameter.kind:
        case params.Whole(low=low):
            return low + 3
        case params.Real():
            return 0.5
        case params.Share():
            return 0.25
        case params.Flag():
            return True
        case params.Choice(names=names):
            return names[-1]
        case params.Steps():
            return {"ratio": 0.5}
        case params.Names():
            return ["h200", "h100"]
        case params.Columns():
            return {"prompt": "question"}


def arguments(parameter: Parameter) -> dict[str, Any]:
    """Arguments of ``create_trainer`` that set it, with what it cannot be without."""
    first, *inner = parameter.path
    value = sample(parameter)
    if not inner:
        return {first: value}
    if first == "lora":
        return {"lora": LoraConfig(**{"r": 8, "alpha": 16, inner[0]: value})}
    beside = {"dataset_split": {"enabled": True}, "dataset_format": {"type": "prompt_completion"}}
    return {first: {**beside[first], inner[0]: value}}


def request_with(parameter: Parameter) -> JobCreate:
    dataset = HuggingFaceDataset("a/b")
    given = {"name": "x", "model": "arkor-tui/tiny", "dataset": dataset, **arguments(parameter)}
    return create_trainer(**given).request()


@EVERY
def test_it_is_sent_under_its_name(parameter: Parameter) -> None:
    sent = params.in_config(request_with(parameter).to_wire()["config"])
    assert sent[parameter.name] == sample(parameter)
    assert params.in_arguments(arguments(parameter))[parameter.name] == sample(parameter)


@EVERY
def test_the_embedded_backend_takes_it_or_refuses_it_by_name(parameter: Parameter) -> None:
    body = request_with(parameter).to_wire()
    if parameter.refusal:
        with pytest.raises(InvalidConfigError) as refused:
            check_job(body, ModelRegistry(), {})
        assert refused.value.fields == {f"config.{parameter.wire}": parameter.refusal}
    else:
        check_job(body, ModelRegistry(), {})
        assert parameter.served != "cloud"


@EVERY
def test_a_value_of_another_kind_is_refused_by_its_path(parameter: Parameter) -> None:
    body: dict[str, Any] = {"model": "arkor-tui/tiny"}
    body["datasetSource"] = {"type": "huggingface", "name": "a/b"}
    place, wrong = body, {"unheard": ["of"]}
    *objects, last = parameter.wire.split(".")
    for name in objects:
        place = place.setdefault(name, {})
    place[last] = wrong
    with pytest.raises(InvalidConfigError) as refused:
        check_job({"name": "x", "config": body}, ModelRegistry(), {})
    assert f"config.{parameter.wire}" in refused.value.fields


@EVERY
def test_a_cloud_takes_it_or_it_is_refused_by_name_before_it_is_sent(parameter: Parameter) -> None:
    request = request_with(parameter)
    check_served(request, "local")
    check_served(request, "url")
    if parameter.served == "embedded":
        with pytest.raises(UsageError, match=rf"cloud does not have {parameter.path[-1]}\."):
            check_served(request, "cloud")
    else:
        check_served(request, "cloud")


def test_no_two_parameters_share_a_name() -> None:
    for names in (
        [found.name for found in PARAMETERS.values()],
        [found.wire for found in PARAMETERS.values()],
        [found.spec for found in PARAMETERS.values() if found.spec is not None],
    ):
        assert len(set(names)) == len(names)


@EVERY
def test_its_hint_fits_its_field(parameter: Parameter) -> None:
    assert len(parameter.hint) <= 41


def test_the_page_is_the_table() -> None:
    assert page() == PAGE.read_text(), "run: python -m scripts.parameters_page"


def test_formats_and_their_columns_are_those_of_the_reader() -> None:
    kind = PARAMETERS["dataset_format"].kind
    assert isinstance(kind, params.Choice)
    assert kind.names == FORMATS == tuple(COLUMNS)


def test_an_unknown_parameter_is_named_with_the_one_that_was_meant() -> None:
    given: dict[str, Any] = {"learning_rat": 0.1}
    with pytest.raises(TypeError, match=r"'learning_rat'; did you mean 'learning_rate'\?"):
        create_trainer(name="x", model="arkor-tui/tiny", dataset=HuggingFaceDataset("a"), **given)


def test_a_type_checker_sees_each_parameter(tmp_path: Path) -> None:
    """The declarations are what a user's editor knows."""
    assert create_trainer.__annotations__["parameters"] == "Unpack[RunParameters]"
    (tmp_path / "table.py").write_text(Path(params.__file__).read_text())
    lines = ["from typing import Unpack", "from table import RunParameters",
             "def make(**parameters: Unpack[RunParameters]) -> None: ...", "make("]  # fmt: skip
    lines += [f"    {name}=object()," for name in ARGUMENTS]
    (tmp_path / "trainer.py").write_text("\n".join([*lines, ")", ""]))
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "trainer.py"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    for name in ARGUMENTS:
        assert f'Argument "{name}" to "make" has incompatible type "object"' in said.stdout


def test_the_table_imports_nothing_heavy() -> None:
    code = "import sys, arkor_tui.params; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"pydantic", "httpx", "asyncio", "json"} & set(loaded.stdout.split())
