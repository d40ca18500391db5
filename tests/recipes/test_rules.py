"""Rules of the user's own: when each fires, and what it says of itself."""

from __future__ import annotations

import json
from functools import partial

import pytest

from arkor_tui.api.jobs import Job
from arkor_tui.errors import UsageError
from arkor_tui.recipes.rules import Predicate, SampleRule
from arkor_tui.run.contexts import LogContext
from arkor_tui.run.findings import Finding, Gauge
from tests.support.scripted import JOB


def slow(ctx: LogContext) -> bool | str:
    return "too slow" if ctx.step == 1 else ctx.step == 2


def test_a_condition_of_ones_own_gives_its_reason_or_its_name() -> None:
    told = Job.model_validate(JOB)
    mine = Predicate(slow)
    assert [mine.check(LogContext(told, step, 1.0, None)) for step in (0, 1, 2)] == [
        None, "too slow", "slow says so",
    ]  # fmt: skip
    assert mine.gauge() == Gauge("predicate", text="slow of your own")
    nameless = Predicate(partial(slow))
    assert nameless.check(LogContext(told, 2, 1.0, None)) == "a condition says so"
    assert nameless.gauge() == Gauge("predicate", text="a condition of your own")


def sample(step: int, prompt: int = 0, **data: object) -> Finding:
    return Finding("sample", "probe", step, {"prompt": prompt, "target": "checkpoint", **data})


def test_a_sample_rule_counts_rows_of_each_prompt() -> None:
    rule = SampleRule.failed(times=2)
    assert rule.see_sample(sample(10, 0, passed=False)) is None
    assert rule.see_sample(sample(10, 1, passed=False)) is None
    assert rule.see_sample(sample(20, 0, passed=True)) is None
    assert rule.see_sample(sample(20, 1, passed=False)) == (
        "at checkpoint 20, prompt 2: a golden prompt fails (2 times in a row)"
    )
    assert rule.see_sample(sample(30, 0, passed=None)) is None
    # a good answer ends a row: the next bad one is the first again
    assert rule.see_sample(sample(40, 0, passed=False)) is None
    assert rule.see_sample(sample(50, 0, passed=False)) is not None


def test_prompts_of_two_recipes_are_two() -> None:
    rule = SampleRule.failed(times=2)
    for name in ("probe", "exam"):
        data = {"target": "checkpoint", "passed": False}
        assert rule.see_sample(Finding("sample", name, 10, data)) is None
    data = {"target": "checkpoint", "prompt": 0, "passed": False}
    reason = rule.see_sample(Finding("sample", "exam", 20, data))
    assert reason == "at checkpoint 20, prompt 1: a golden prompt fails (2 times in a row)"


def test_the_gauge_of_a_sample_rule_tells_of_the_nearest_prompt() -> None:
    rule = SampleRule.failed(times=4)
    assert rule.gauge() == Gauge("sample", 0, 4, 0.0, "a golden prompt fails: 0 of 4")
    for step in (10, 20):
        rule.see_sample(sample(step, 1, passed=False))
    rule.see_sample(sample(20, 0, passed=False))
    assert rule.gauge() == Gauge("sample", 2, 4, 0.5, "a golden prompt fails: 2 of 4")
    for step in (30, 40, 50):
        rule.see_sample(sample(step, 1, passed=False))
    assert rule.gauge().share == 1.0
    words = SampleRule.field("category", equals=None).gauge().text
    assert words == "the field category of a reply: 0 of 1"
    assert SampleRule(bool).gauge().text == "a rule of your own: 0 of 1"


def test_a_sample_of_the_base_model_is_no_reason() -> None:
    base = Finding("sample", "probe", None, {"prompt": 0, "target": "base", "passed": False})
    assert SampleRule.failed().see_sample(base) is None
    assert SampleRule.failed().see_sample(Finding("notice", "Slack", 1, {})) is None


def test_a_typed_field_of_a_reply_can_stop_a_run() -> None:
    known = SampleRule.field("category", not_in=["auth", "billing"])
    assert known.see_sample(sample(5, reply='{"category": "auth"}')) is None
    assert known.see_sample(sample(5, reply='{"category": "??"}')) == (
        "at checkpoint 5, prompt 1: category is '??'"
    )
    assert known.see_sample(sample(5, reply="no json")) is not None
    assert known.see_sample(sample(5, reply="[" * 100_000)) is not None
    odd = SampleRule.field("category", not_in={"auth", "billing"})
    assert odd.see_sample(sample(5, reply='{"category": ["auth"]}')) == (
        "at checkpoint 5, prompt 1: category is ['auth']"
    )
    one = SampleRule.field("urgent", equals=1)
    assert one.see_sample(sample(5, reply='{"urgent": true}')) is None
    assert one.see_sample(sample(5, reply='{"urgent": 1}')) is not None
    low = SampleRule.field("urgency", equals="low")
    assert low.see_sample(sample(5, reply='{"urgency": "low"}')) is not None
    assert low.see_sample(sample(5, reply='["low"]')) is None


def test_a_reply_does_not_fill_the_reason() -> None:
    rule = SampleRule.field("category", not_in=["auth"])
    reason = rule.see_sample(sample(5, reply=json.dumps({"category": "x" * 100_000})))
    assert reason is not None
    assert len(reason) < 300
    mine = SampleRule(lambda data: str(data["reply"]))
    assert mine.see_sample(sample(5, reply="\x1b[31mred\nand more")) == (
        "at checkpoint 5, prompt 1: red and more"
    )


def test_a_sample_rule_needs_a_count() -> None:
    with pytest.raises(UsageError, match=r"^times is 0, but must be a whole number above 0\.$"):
        SampleRule.failed(times=0)
