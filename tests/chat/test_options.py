"""One table of options: SDK, request, commands and forms are made of it."""

from __future__ import annotations

import argparse
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.api.chat import ChatRequest
from arkor_tui.chat.asking import settings_from
from arkor_tui.chat.golden import Golden
from arkor_tui.chat.options import OPTION, OPTIONS, Sampling, read_sampling, typed_sampling
from arkor_tui.cli.askoptions import add_sampling_options, sampling_from
from arkor_tui.tui.widgets.asksettings import DEFAULTS, FIELDS


def test_each_option_is_in_sdk_request_command_and_form() -> None:
    names = set(OPTION)
    assert set(get_type_hints(Sampling)) == names
    assert names <= set(ChatRequest.model_fields)
    assert {o.name for o in OPTIONS if o.in_form} <= {name for name, _, _ in FIELDS} | {"system"}
    assert names <= set(DEFAULTS)
    parser = argparse.ArgumentParser()
    add_sampling_options(parser)
    for option in OPTIONS:
        args = parser.parse_args([option.flag, "1"])
        wanted: object = ["1"] if option.kind is str else 1
        assert sampling_from(args) == {option.name: wanted}
    assert sampling_from(parser.parse_args([])) == {}


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.kind is not str])
@pytest.mark.parametrize("text", ["x", "", "nan", "1e99", "-3"])
def test_what_is_out_of_range_is_told_in_words(option: object, text: str) -> None:
    assert option in OPTIONS
    with pytest.raises(ValueError, match=r"^(a whole number|a number|from -?\d+ to [\d,]+)$"):
        option.number(text)  # type: ignore[attr-defined]


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.sampled_from([0.0, 0.5, 2.0]),
            "top_p": st.sampled_from([0.0, 0.25, 1.0]),
            "max_tokens": st.integers(1, 1_000_000),
            "seed": st.integers(0, 2**31),
            "stop": st.lists(st.sampled_from(["a", "b c", "\n"]), min_size=1, max_size=3),
        },
    )
)
def test_what_is_typed_is_what_is_sent(sampling: Sampling) -> None:
    assert read_sampling(typed_sampling(sampling)) == (sampling, {})
    settings, wrong = settings_from(typed_sampling(sampling))
    assert wrong == {}
    assert settings is not None
    assert settings.options() == sampling
    asked = Golden("hi", temperature=0.0, max_tokens=1, seed=None).sampled(sampling).options()
    assert asked == {"temperature": 0.0, "max_tokens": 1, **sampling}
