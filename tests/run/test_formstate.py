"""One state of the form: what is sent is what the fields say, and the preview is that body."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arkor_tui import (
    BlobDataset,
    Callback,
    FileDataset,
    HuggingFaceDataset,
    LocalModel,
    LoraConfig,
    Trainer,
    create_trainer,
    params,
)
from arkor_tui.params import PARAMETERS
from arkor_tui.run import formstate
from arkor_tui.run.draft_source import to_source
from arkor_tui.run.form import FIELDS, PRESETS
from arkor_tui.run.formstate import HIDDEN, FormState, of_blank, of_file, of_run, with_preset
from arkor_tui.run.loading import load_trainer
from arkor_tui.text.redact import redact_config
from arkor_tui.text.sanitize import plain

FOLDER = Path("/project")
ASIDE = {"name": "orders-3", "model": "arkor-tui/tiny", "dataset": "rows.jsonl"}

steps = st.one_of(
    st.integers(0, 1000),
    st.integers(0, 1000).map(lambda n: {"steps": n}),
    st.floats(0, 0.99).map(lambda r: {"ratio": r}),
)
values: dict[type, st.SearchStrategy[Any]] = {
    params.Whole: st.integers(8, 500),
    params.Real: st.floats(1e-9, 9, allow_subnormal=False) | st.integers(1, 9),
    params.Flag: st.booleans(),
    params.Steps: steps,
    params.Names: st.lists(st.sampled_from(["h200", "h100"]), min_size=1, unique=True),
    params.Choice: st.sampled_from(["adamw_8bit", "sgd", "cosine"]),
}
splits = st.one_of(
    st.just({"enabled": False, "test_size": 0.2}),
    st.fixed_dictionaries(
        {"enabled": st.just(True)},
        optional={"test_size": st.floats(0.001, 0.9), "seed": st.integers(0, 2**32 - 1)},
    ),
)
names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
formats = st.one_of(
    st.sampled_from(["chatml", "text"]),
    st.fixed_dictionaries(
        {"type": st.just("prompt_completion")},
        optional={"column_mapping": st.dictionaries(st.just("prompt"), names, min_size=1)},
    ),
)
loras = st.builds(
    LoraConfig, r=st.integers(1, 64), alpha=st.floats(0.1, 99),
    max_length=st.none() | st.integers(8, 2048), load_in_4bit=st.none() | st.booleans(),
)  # fmt: skip
nested = {"dataset_split": splits, "dataset_format": formats, "lora": loras}
arguments = st.fixed_dictionaries(
    {"max_steps": st.integers(1, 1000)},
    optional={
        name: nested[name] if name in nested else values[type(PARAMETERS[name].kind)]
        for name in params.ARGUMENTS
        if name != "max_steps"
    },
)
datasets = st.one_of(
    st.builds(HuggingFaceDataset, st.sampled_from(["a/b", "a/data.json"]),
              st.none() | st.just("test"), st.none() | st.just("en")),
    st.sampled_from(["rows.jsonl", "rows.csv", "data", "/abs/rows"]).map(FileDataset),
    st.builds(BlobDataset, st.sampled_from([
        "https://x.example/a.jsonl", "https://me:hush@x.example/a?sig=hush#hush", "https://x/a?"
    ]), st.none() | st.just("hush")),
)  # fmt: skip
models = st.sampled_from(
    ["arkor-tui/tiny", LocalModel(Path("models/mine")), LocalModel("org/hub-id")]
)


class Watcher(Callback):
    """A callback of a file."""


@st.composite
def trainers(draw: st.DrawFn) -> Trainer:
    """A trainer as a file would hold it, with a callback and a backend of its own."""
    made = create_trainer(
        name="orders-2", model=draw(models), dataset=draw(datasets), callbacks=[Watcher()],
        backend="local", **draw(arguments),
    )  # fmt: skip
    made.file, made.folder = FOLDER / "trainer.py", FOLDER
    return made


def from_trainer(trainer: Trainer) -> Callable[[FormState], FormState]:
    return lambda _: of_file(trainer, FOLDER / "trainer.py")


def from_run(trainer: Trainer) -> Callable[[FormState], FormState]:
    config = redact_config(trainer.request().to_wire()["config"])
    return lambda _: of_run("orders-3", config, since="orders-2", folder=FOLDER, watching={},
                            trainer=trainer)  # fmt: skip


def typed(edit: tuple[str, str]) -> Callable[[FormState], FormState]:
    return lambda state: state.typed({**state.texts, edit[0]: edit[1]})


texts = st.sampled_from(
    ["", " ", "7", "0", "0.25", "1e-3", "yes", "No", "x", "sgd", "chatml", "text", "h100, h200",
     "prompt=q", '{"prompt": "a,b"}', "https://y.example/b?sig=typed", "rows.jsonl", "\u202ea"]
)  # fmt: skip
changes = st.one_of(
    st.just(lambda _: of_blank(FOLDER).typed({**of_blank(FOLDER).texts, **ASIDE})),
    st.sampled_from(sorted(PRESETS)).map(lambda n: lambda s: with_preset(s, n, PRESETS[n])),
    trainers().map(from_trainer),
    trainers().map(from_run),
    st.tuples(st.sampled_from(sorted(FIELDS)), texts).map(typed),
    st.just(lambda state: state.for_dry_run()),
)


def said(name: str, text: str) -> Any:
    """What a field says, read by other means than the program's; None where it says nothing."""
    text = text.strip()
    if not text:
        return None
    match PARAMETERS[name].kind:
        case params.Flag():
            return text.lower() in ("yes", "1")
        case params.Steps():
            return {"ratio": float(text)} if "." in text or "e-" in text else {"steps": int(text)}
        case params.Whole() | params.Real() | params.Share():
            return float(text)
        case params.Names():
            return text.split(", ")
        case params.Columns() if text.startswith("{"):
            return json.loads(text)
        case params.Columns():
            return dict(pair.split("=") for pair in text.split(", "))
    return text


def check(state: FormState) -> None:
    """What starts sends what the preview shows and the fields say."""
    if state.draft is None:
        assert state.wrong
        return
    trainer = state.trainer()
    body = trainer.request().body().decode()
    shown = state.preview()
    assert plain(shown) == shown
    note, _, shown = shown.rpartition("\n{") if shown.startswith(HIDDEN) else ("", "", shown[1:])
    shown = "{" + shown
    source = json.loads(body)["config"]["datasetSource"]
    url = source.get("url", "")
    secrets = {"login": "me:hush", "query": url.partition("#")[0].partition("?")[2],
               "fragment": url.partition("#")[2], "token": source.get("token", "")}  # fmt: skip
    assert HIDDEN not in shown or note
    assert "hush" not in shown
    for before, part, after in (
        ("://", secrets["login"], "@"), ("?", secrets["query"], ""),
        ("#", secrets["fragment"], ""), ('"token": "', secrets["token"], '"'),
    ):  # fmt: skip
        if part:
            shown = shown.replace(f"{before}{HIDDEN}{after}", f"{before}{part}{after}")
    assert shown == body

    config = json.loads(body)["config"]
    sent = params.in_config(config)
    is_held_out = sent.pop("split_enabled", None)
    expected = {name: said(name, state.texts[name]) for name in PARAMETERS if name in FIELDS}
    if expected["test_size"] == 0:
        assert is_held_out is False
        expected["test_size"] = None
    assert {n: v for n, v in expected.items() if v is not None} == sent
    assert json.loads(body)["name"] == state.texts["name"].strip()
    assert (source.get("split"), source.get("subset")) == (
        state.texts["split"].strip() or None, state.texts["subset"].strip() or None
    )  # fmt: skip
    assert (source.get("token") is not None) <= (state.file is not None)
    assert trainer.callbacks == (state.file.callbacks if state.file else [])
    assert trainer.backend == (state.file.backend if state.file else None)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(changes, min_size=1, max_size=6))
def test_what_is_sent_is_what_is_shown(steps: list[Callable[[FormState], FormState]]) -> None:
    """r1: over fills, edits, presets, files and re-runs, in any order."""
    state = of_blank(FOLDER)
    for step in steps:
        state = step(state)
        check(state)


def plainly(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration in one of the ways to say it."""
    found = dict(config)
    form, split = found.get("datasetFormat"), found.get("datasetSplit")
    if isinstance(form, str):
        found["datasetFormat"] = {"type": form}
    if split is not None:
        on = {"testSize": 0.1, **split}
        found["datasetSplit"] = on if split["enabled"] else {"enabled": False}
    return found


@settings(max_examples=80, deadline=None)
@given(trainers())
def test_a_file_and_a_run_are_taken_over_whole(trainer: Trainer) -> None:
    """r1: what the form once could not show (optimiser, columns, ratios, GPUs, …) is in it."""
    own = trainer.request().to_wire()["config"]
    state = from_trainer(trainer)(of_blank(FOLDER))
    assert state.wrong == {}
    assert plainly(state.request().to_wire()["config"]) == plainly(own)
    again = from_run(trainer)(of_blank(FOLDER))
    assert again.wrong == {}
    assert again.changes() == state.changes() == []
    mine, theirs = plainly(again.request().to_wire()["config"]), plainly(own)
    assert mine == theirs


@settings(max_examples=30, deadline=None)
@given(trainers())
def test_a_written_file_sends_the_same(tmp_path_factory: Any, trainer: Trainer) -> None:
    state = from_trainer(trainer)(of_blank(FOLDER))
    assert state.draft is not None
    file = tmp_path_factory.mktemp("written") / "trainer.py"
    file.write_text(to_source(state.draft), encoding="utf-8")
    bare = FormState(state.texts, folder=FOLDER)
    assert load_trainer(file).request(FOLDER).body() == bare.request().body()


def test_what_starts_is_named_in_one_line_with_what_was_changed() -> None:
    config = {"model": "arkor-tui/tiny", "maxSteps": 1000, "learningRate": 0.01,
              "datasetSource": {"type": "file", "path": "/data/orders.jsonl"}}  # fmt: skip
    state = of_run("orders-4", config, since="orders-2", folder=FOLDER, watching={}, trainer=None)
    assert state.summary("800 rows") == (
        "orders-4 · /data/orders.jsonl, 800 rows · 1,000 steps · the same as orders-2"
    )
    state = state.typed({**state.texts, "learning_rate": "0.002", "optim": "sgd"})
    assert state.summary("800 rows").endswith(
        "changed from orders-2: learning rate 0.01 → 0.002, optimiser – → sgd"
    )
    dry = state.for_dry_run().summary()
    assert dry.startswith(
        "dry run orders-4 · /data/orders.jsonl · 1,000 steps, of which the backend"
    )
    hub = of_blank(FOLDER).typed({**of_blank(FOLDER).texts, **ASIDE, "max_steps": "",
                                  "num_train_epochs": "1.5"})  # fmt: skip
    assert hub.summary() == "orders-3 · rows.jsonl · 1.5 epochs"
    # a run that gave neither starts again as it was
    neither = of_run("b-2", {name: config[name] for name in ("model", "datasetSource")}, since="b",
                     folder=FOLDER, watching={}, trainer=None)  # fmt: skip
    assert neither.wrong == {}
    assert not {"maxSteps", "numTrainEpochs"} & set(neither.request().to_wire()["config"])
    assert " · as long as the backend's default, one epoch · the same as b" in neither.summary()
    both = hub.typed({**hub.texts, "max_steps": "100"})
    assert both.summary() == "orders-3 · rows.jsonl · 100 steps (they win over the epochs)"


@pytest.mark.parametrize(
    ("texts", "wrong"),
    [
        ({"split": "test"}, {"split": "only a hub dataset has one"}),
        ({"column_mapping": "text=t", "dataset_format": ""}, {"dataset_format"}),
        ({"column_mapping": "text"}, {"column_mapping": "name=column, name=column"}),
        ({"split_seed": "3", "test_size": "0"}, {"test_size"}),
        ({"lora_r": ""}, {"lora_r"}),
        ({"lora_r": "", "lora_alpha": "", "max_length": "64"}, {"lora_r", "lora_alpha"}),
        ({"warmup_steps": "1.5"}, {"warmup_steps": "a whole number, or a share below 1"}),
        ({"eval_steps": "often"}, {"eval_steps": "steps such as 25, or a share such as 0.1"}),
        ({"dry_run": "maybe"}, {"dry_run": "yes or no"}),
        ({"dataset": "hub: "}, {"dataset": "must not be empty"}),
    ],
)
def test_what_would_not_be_sent_as_it_stands_is_a_mistake(
    texts: dict[str, str], wrong: dict[str, str] | set[str]
) -> None:
    """r1: no field is passed over without a word."""
    found = FormState({**of_blank(FOLDER).texts, **ASIDE, **texts}).wrong
    assert found == wrong or set(found) == wrong


def test_what_a_backend_does_not_have_is_known_before_it_is_sent() -> None:
    given = {name: found.start for name, found in PARAMETERS.items() if name in FIELDS}
    given |= {"gpu_types": "h200", "load_in_4bit": "yes"}
    given |= {name: "1" for name, found in PARAMETERS.items() if found.served == "embedded"}
    state = FormState({**of_blank(FOLDER).texts, **ASIDE, **given})
    assert state.not_served("local") == {
        name: PARAMETERS[name].refusal for name in ("gpu_types", "load_in_4bit")
    }
    only_here = {name for name, found in PARAMETERS.items() if found.served == "embedded"}
    assert set(state.not_served("cloud")) == only_here
    assert state.not_served("https://arkor.example") == {}
    no = FormState({**state.texts, "load_in_4bit": "no", "gpu_types": ""})
    assert no.not_served("local") == {}


def test_secrets_are_named_where_they_are_hidden() -> None:
    wire = {"config": {"datasetSource": {
        "type": "blob", "url": "https://a:b@x/y?z#", "token": "t"
    }}}  # fmt: skip
    assert formstate.hide_secrets(wire) == [
        "the dataset's token", "what may be secret in its address"
    ]  # fmt: skip
    assert wire["config"]["datasetSource"] == {
        "type": "blob", "url": f"https://{HIDDEN}@x/y?{HIDDEN}#", "token": HIDDEN
    }  # fmt: skip
