"""The exact sign test, against values that tables give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.chat.signtest import p_value


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 5, 1.0), (5, 0, 0.0625), (9, 1, 0.021484375),
     (8, 2, 0.109375), (14, 6, 0.11531829833984375)],
)  # fmt: skip
def test_the_sign_test(wins: int, losses: int, p: float) -> None:
    assert p_value(wins, losses) == pytest.approx(p)
    assert p_value(losses, wins) == p_value(wins, losses)


def test_the_sign_test_of_nonsense() -> None:
    with pytest.raises(ValueError, match="-1"):
        p_value(-1, 3)


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_sign_test_is_a_probability(wins: int, losses: int) -> None:
    assert 0 < p_value(wins, losses) <= 1
