"""What can be asked: one parser of what is typed, one default, one list."""

from __future__ import annotations

import pytest

from arkor_tui.api.jobs import JobDetail
from arkor_tui.chat.target import LATEST, RunTargets, Target, label_of
from arkor_tui.errors import UsageError
from tests.support.scripted import JOB


def run(status: str = "running", *steps: int) -> RunTargets:
    return RunTargets("orders", "job-1", "arkor-tui/tiny", status, steps)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("base", Target("base")), (" Final ", Target("final")), ("latest", LATEST),
        ("25", Target("checkpoint", 25)), ("step 25", Target("checkpoint", 25)),
        ("0", Target("checkpoint", 0)),
    ],
)  # fmt: skip
def test_what_is_typed(text: str, target: Target) -> None:
    assert Target.parse(text) == target
    assert Target.parse(target.label) == target, "a label that is copied is understood"


@pytest.mark.parametrize("text", ["", "newest\x1b[31m", "-1", "2.5", "step", "٢٥", "9" * 40])
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(UsageError, match="nothing that can be asked") as caught:
        Target.parse(text)
    assert "\x1b" not in str(caught.value)
    assert caught.value.hint is not None


def test_one_default_wherever_nobody_says() -> None:
    assert run("completed", 10, 20).find().label == "final"
    assert run("cancelled", 10, 20).find().label == "step 20"
    assert run("running", 10, 20).find(LATEST).label == "step 20"
    assert run("running", 10, 20).pick([]) == [run().at("checkpoint", 20)]
    # the untuned model is never asked without a word in place of what was trained
    with pytest.raises(UsageError, match="no checkpoint of it is known") as caught:
        run("running").find()
    assert caught.value.hint is not None
    assert "--base" in caught.value.hint
    assert run().latest is None


def test_all_of_a_run_in_the_order_of_training() -> None:
    assert [t.label for t in run("running", 10, 20).all] == ["base", "step 10", "step 20"]
    whole = run("completed", 10)
    assert [t.label for t in whole.all] == ["base", "step 10", "final"]
    wanted = [Target("final"), Target("checkpoint", 10), Target("base"), Target("checkpoint", 10)]
    assert whole.pick([*wanted, LATEST]) == whole.all


def test_what_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(UsageError, match="no checkpoint 15 of orders") as caught:
        run("running", 10, 20).find(Target("checkpoint", 15))
    assert caught.value.hint == "There are: 10, 20."
    with pytest.raises(UsageError, match="no final adapter; it is running"):
        run("running", 10).find(Target("final"))
    # a server may tell of no checkpoint at all: then it knows better
    assert run().find(Target("checkpoint", 15)).step == 15


def test_steps_come_from_the_backend_and_from_what_was_known() -> None:
    events = [
        {"type": "checkpoint.saved", "step": 20}, {"type": "checkpoint.saved", "step": True},
        {"type": "checkpoint.saved"}, {"type": "training.log", "step": 5},
    ]  # fmt: skip
    found = RunTargets.of(JobDetail.model_validate({"job": JOB, "events": events}), [10, 20])
    assert found.steps == (10, 20)
    assert found.at("base").model == found.model == JOB["config"]["model"]


def test_the_wire_is_told_whose_weights_are_meant() -> None:
    assert run().at("base").adapter is None
    checkpoint = run().at("checkpoint", 5).adapter
    assert checkpoint is not None
    assert checkpoint.to_wire() == {"kind": "checkpoint", "jobId": "job-1", "step": 5}
    for unknown in (LATEST, Target("final")):
        with pytest.raises(UsageError, match="of which run"):
            _ = unknown.adapter
    with pytest.raises(ValueError, match="a step goes with a checkpoint"):
        Target("final", 5)


def test_names_for_people() -> None:
    assert run().at("checkpoint", 5).described == "checkpoint 5 of orders"
    assert run().at("final").described == "final adapter of orders"
    assert run().at("base").described == "base model arkor-tui/tiny"
    assert label_of("checkpoint", None) == "checkpoint", "an archive may hold anything"
