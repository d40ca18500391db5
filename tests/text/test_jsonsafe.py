"""What is written as JSON holds no number that a reader of JSON would refuse."""

from __future__ import annotations

import json
import math
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.text.jsonsafe import finite

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_VALUES = st.recursive(
    _SCALARS,
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(max_size=5), parts),
    max_leaves=12,
)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_odd_numbers_become_null(odd: float) -> None:
    assert finite(odd) is None
    assert finite({"a": [1.5, odd, {"b": odd}]}) == {"a": [1.5, None, {"b": None}]}
    assert finite({"a": (odd, 2)}) == {"a": [None, 2]}


@pytest.mark.parametrize("value", [0.0, -0.5, 1e308, 7, 10**400, True, None, "NaN", [], {}])
def test_all_else_stays(value: object) -> None:
    assert finite(value) == value
    assert type(finite(value)) is type(value)


@given(_VALUES)
def test_every_json_reader_takes_it(value: Any) -> None:
    before = deepcopy(value)
    found = finite(value)
    assert repr(value) == repr(before)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert finite(found) == found
