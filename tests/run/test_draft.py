"""A form's texts as a draft, a trainer, and a trainer file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from arkor_tui import BlobDataset, FileDataset, HuggingFaceDataset, LocalModel
from arkor_tui.backend.jobconfig import InvalidConfigError, check_job
from arkor_tui.backend.models import ModelRegistry
from arkor_tui.run import draft as drafts
from arkor_tui.run.draft_source import recall, to_source
from arkor_tui.run.form import FIELDS, PRESETS, field_of, on_backend
from arkor_tui.run.loading import load_trainer
from arkor_tui.starters import STARTERS
from arkor_tui.starters.write import write_starter

GOOD = {**drafts.defaults(), "model": "arkor-tui/tiny", "dataset": "data/train.jsonl"}


def good(**texts: str) -> drafts.RunDraft:
    draft, wrong = drafts.check({**GOOD, **texts})
    assert wrong == {}
    assert draft is not None
    return draft


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("lora_r", "x", "a whole number"),
        ("lora_r", "0", "at least 1"),
        ("lora_r", "1.5", "a whole number"),
        ("learning_rate", "fast", "a number"),
        ("learning_rate", "0", "above 0"),
        ("learning_rate", "nan", "a finite number"),
        ("test_size", "1", "below 1"),
        ("name", " ", "must not be empty"),
        ("name", "x" * 201, "at most 200 characters"),
        ("lora_r", "513", "at most 512"),
        ("seed", "-5", "at least 0"),
        ("seed", "4294967296", "at most 4294967295"),
        ("max_steps", "9" * 5_000, "a whole number of fewer digits"),
        ("train_on_responses_only", "alp", "yes or no"),
        ("guard_non_finite", "foo", "yes or no"),
        ("dataset_format", "csv", "one of: chatml, sharegpt, alpaca, prompt_completion, text"),
        ("dataset", "http://example.com/x.jsonl", "must begin with https://"),
    ],
)
def test_a_mistake_is_named_at_its_field(field: str, text: str, told: str) -> None:
    draft, wrong = drafts.check({**GOOD, field: text})
    assert draft is None
    assert wrong == {field: told}


def test_yes_and_no_are_read_in_any_case_and_empty_is_left_to_the_backend() -> None:
    """r1: a field that shows nothing sends nothing."""
    for word, meant in (("Yes", True), ("on", True), ("NO", False), ("0", False), (" ", None)):
        assert good(train_on_responses_only=word).train_on_responses_only is meant
    assert good(guard_non_finite="").guard_non_finite is False


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("name", "name"),
        ("config.maxSteps", "max_steps"),
        ("config.loraR", "lora_r"),
        ("config.datasetSource", "dataset"),
        ("config.datasetSplit", "test_size"),
        ("config.datasetSplit.seed", "split_seed"),
        ("config.datasetSplit.enabled", "test_size"),
        ("config.datasetFormat.columnMapping", "column_mapping"),
        ("config.gpuTypes", "gpu_types"),
        ("config.trainOnResponsesOnly", "train_on_responses_only"),
        ("config.loadIn4bit", "load_in_4bit"),
        ("body", None),
    ],
)
def test_the_backends_names_of_fields(path: str, field: str | None) -> None:
    assert field_of(path) == field


@pytest.mark.parametrize(
    ("field", "first", "last"),
    [("lora_r", 1, 512), ("seed", 0, 2**32 - 1)],
)
def test_the_form_takes_what_the_embedded_backend_takes(
    project: Path, field: str, first: int, last: int
) -> None:
    (project / "rows.jsonl").write_text("{}")
    for number in (first, last):
        draft = good(**{field: str(number)}, dataset="rows.jsonl")
        check_job(drafts.to_trainer(draft).request(project).to_wire(), ModelRegistry(), {})
    body = drafts.to_trainer(good(dataset="rows.jsonl")).request(project).to_wire()
    wire = to_camel(field)
    for number in (first - 1, last + 1):
        assert list(drafts.check({**GOOD, field: str(number)})[1]) == [field]
        body["config"][wire] = number
        with pytest.raises(InvalidConfigError) as refused:
            check_job(body, ModelRegistry(), {})
        assert [field_of(path) for path in refused.value.fields] == [field]


def test_a_backend_offers_its_own_models() -> None:
    model = FIELDS["model"]
    assert on_backend(model, "local").choices == ("arkor-tui/tiny",)
    assert on_backend(model, "cloud").choices == ("unsloth/gemma-4-E4B-it",)
    assert on_backend(model, "https://arkor.example") == model
    assert on_backend(FIELDS["name"], "local") == FIELDS["name"]


def test_steps_and_epochs_may_be_left_to_the_backend() -> None:
    left = good(max_steps="", num_train_epochs="")
    assert (left.max_steps, left.num_train_epochs) == (None, None)
    assert good(max_steps="", num_train_epochs="2").num_train_epochs == 2


def test_what_the_dataset_and_model_texts_mean() -> None:
    assert drafts.dataset_of(good(dataset="a.jsonl")) == FileDataset("a.jsonl")
    assert drafts.dataset_of(good(dataset="https://x.example/a")) == BlobDataset(
        "https://x.example/a"
    )
    hub = drafts.dataset_of(good(dataset="org/name", split="test", subset="en"))
    assert hub == HuggingFaceDataset("org/name", "test", "en")
    assert drafts.model_of(good(model="./model")) == LocalModel("./model")


def test_a_form_shows_no_secret_of_a_dataset_and_loses_none() -> None:
    """Whatever else is changed in the form, the dataset is fetched as its file says."""
    dataset = BlobDataset("https://me:hush@x.example/a.jsonl?sig=hush#hush", token="hush")
    file = drafts.to_trainer(good()).settings
    assert file is not None
    texts = drafts.from_settings(file.changed(dataset=dataset))
    assert texts["dataset"] == dataset.shown_url == "https://x.example/a.jsonl"
    assert "hush" not in f"{texts} {dataset!r}"
    form = drafts.to_trainer(good(**{**texts, "max_steps": "7"})).settings
    assert form is not None
    whole = drafts.with_secrets_of(file.changed(dataset=dataset), form)
    assert (whole.dataset, whole.max_steps) == (dataset, 7)
    other = form.changed(dataset=BlobDataset("https://x.example/b.jsonl"))
    assert drafts.with_secrets_of(file.changed(dataset=dataset), other) == other


@pytest.mark.parametrize("starter", sorted(STARTERS))
def test_a_starters_settings_survive_the_form(starter: str, project: Path) -> None:
    write_starter(starter, project)
    trainer = load_trainer(project / "trainer.py")
    assert trainer.settings is not None
    draft, wrong = drafts.check(drafts.from_settings(trainer.settings))
    assert wrong == {}
    assert draft is not None
    made = drafts.to_trainer(draft).request(project).to_wire()
    assert made == trainer.request(project).to_wire()


def test_an_archived_configuration_survives_the_form(project: Path) -> None:
    sent = drafts.to_trainer(good(lora_alpha="16", weight_decay="0.1")).request(project).to_wire()
    draft, wrong = drafts.check(drafts.from_config("again", sent["config"]))
    assert wrong == {}
    assert draft is not None
    assert drafts.to_trainer(draft).request(project).to_wire()["config"] == sent["config"]


def test_fields_of_another_client_that_cannot_be_sent_are_named() -> None:
    """r1: nothing of an earlier run is left out without a word."""
    sent = {"model": "m", "datasetSource": {}, "maxSteps": 1, "datasetSplit": {}, "beta": 0.1}
    assert drafts.unknown_in(sent) == ["beta"]


def test_no_digit_of_a_number_is_lost_in_the_form() -> None:
    """r1: six digits were shown, and sent where another field was changed."""
    file = drafts.to_trainer(good()).settings
    assert file is not None
    texts = drafts.from_settings(file.changed(learning_rate=0.00123456789, max_steps=1234567))
    assert (texts["learning_rate"], texts["max_steps"]) == ("0.00123456789", "1234567")
    assert drafts.from_settings(file.changed(learning_rate=2e-4))["learning_rate"] == "0.0002"


@given(name=st.text(min_size=1, max_size=40).filter(lambda t: t.strip()), rank=st.integers(1, 64))
def test_a_written_trainer_file_makes_the_same_request(name: str, rank: int) -> None:
    import tempfile

    draft, wrong = drafts.check({**GOOD, "name": name, "lora_r": str(rank)})
    if draft is None:
        assert set(wrong) == {"name"}
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trainer.py"
        file.write_text(to_source(draft), encoding="utf-8")
        loaded = load_trainer(file)
        wanted = drafts.to_trainer(draft).request(Path(folder)).to_wire()
        assert loaded.request(Path(folder)).to_wire() == wanted


@pytest.mark.parametrize(
    "texts",
    [
        {"dataset": "https://x.example/a?b=c"},
        {"dataset": "org/name"},
        {"dataset": "org/name", "split": "test", "subset": "en"},
        {"model": "./a model"},
        {"max_length": "512", "lora_alpha": "0.5"},
    ],
)
def test_every_kind_of_source_survives_a_file(texts: dict[str, str], project: Path) -> None:
    draft = good(**texts)
    (project / "trainer.py").write_text(to_source(draft))
    assert load_trainer(project / "trainer.py").settings == drafts.to_trainer(draft).settings


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_are_right_as_they_are(name: str) -> None:
    assert drafts.check({**GOOD, **PRESETS[name]})[1] == {}


def with_recipes(**texts: str) -> dict[str, str]:
    base = {"name": "x", "model": "arkor-tui/tiny", "dataset": "rows.jsonl"}
    return {**drafts.defaults(), **base, **texts}


def test_what_watches_over_a_run_stands_in_its_file(project: Path) -> None:
    texts = with_recipes(
        guard_ceiling="5", guard_window="10", guard_action="checkpoint",
        prompts="I cannot log in => auth\n\nHow are \"you\"?\n", notify="Slack bell",
    )  # fmt: skip
    draft, wrong = drafts.check(texts)
    assert draft is not None, wrong
    source = to_source(draft)
    compile(source, "trainer.py", "exec")
    assert "EarlyStopping(ceiling=5.0, window=10, non_finite=False, action='checkpoint')" in source
    assert "Golden('I cannot log in', expect=Expect(contains='auth'))" in source
    assert "SlackNotifier.from_settings()" in source
    recalled = recall(source)
    assert drafts.check({**with_recipes(), **recalled})[0] == draft
    assert recall("trainer = 1") == {}
    assert recall("# set up in arkor-tui: [1") == {}
    kept = '# set up in arkor-tui: [1]\n# set up in arkor-tui: {"notify": "bell", "else": 1}'
    assert recall(kept) == {"notify": "bell"}


def test_a_file_tells_the_command_that_runs_it() -> None:
    draft, _ = drafts.check(with_recipes())
    assert draft is not None
    assert "Run it:  arkor-tui start\n" in to_source(draft)
    assert "Run it:  arkor-tui start 'my trainer.py'\n" in to_source(draft, "my trainer.py")
    compile(to_source(draft, 'a"""\\.py'), "trainer.py", "exec")


def test_a_form_without_recipes_makes_none() -> None:
    draft, _ = drafts.check(with_recipes())
    assert draft is not None
    assert not draft.has_recipes
    assert "recipes" not in to_source(draft)


@pytest.mark.parametrize(
    ("field", "texts"),
    [
        ("guard_ceiling", {"guard_ceiling": "-1"}),
        ("guard_ceiling", {"guard_window": "10"}),
        ("guard_patience", {"guard_patience": "0"}),
        ("guard_action", {"guard_action": "later"}),
        ("prompts", {"prompts": "fine\n => nothing"}),
        ("notify", {"notify": "slack, pager"}),
    ],
)
def test_what_is_wrong_about_recipes_stands_beside_the_field(
    field: str, texts: dict[str, str]
) -> None:
    draft, wrong = drafts.check(with_recipes(**texts))
    assert draft is None
    assert list(wrong) == [field]
