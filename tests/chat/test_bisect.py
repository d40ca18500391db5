"""The search for the checkpoint at which an answer changed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.chat.bisect import bisect


@given(st.integers(2, 300), st.data(), st.booleans())
def test_one_change_is_found_with_few_questions(
    count: int, data: st.DataObject, begins_to_pass: bool
) -> None:
    import asyncio

    change = data.draw(st.integers(1, count - 1))
    places = list(range(count))

    async def passes(place: int) -> bool:
        return (place >= change) == begins_to_pass

    found = asyncio.run(bisect(places, passes))
    assert (found.before, found.first) == (change - 1, change)
    assert found.flip == ("began to pass" if begins_to_pass else "began to fail")
    assert len(found.asked) <= 2 + count.bit_length()
    assert len({place for place, _ in found.asked}) == len(found.asked)


@pytest.mark.parametrize("verdict", [True, False])
async def test_ends_that_agree_say_so(verdict: bool) -> None:
    async def passes(place: str) -> bool:
        return verdict

    for places in (["base"], ["base", "10", "20"]):
        found = await bisect(places, passes)
        assert found.flip == ("always passes" if verdict else "always fails")
        assert (found.first, found.before) == (None, None)
        assert len(found.asked) == min(len(places), 2)
    assert "as far as the first and the last" in found.text


async def test_what_is_said() -> None:
    async def passes(place: str) -> bool:
        return place in ("20", "final")

    found = await bisect(["base", "10", "20", "final"], passes)
    assert found.text == "It began to pass at 20; 10 was the last before."


async def test_nothing_to_search() -> None:
    async def passes(place: str) -> bool:
        return True

    with pytest.raises(ValueError, match="nothing"):
        await bisect([], passes)


async def test_one_change_is_assumed_and_said() -> None:
    async def passes(place: int) -> bool:
        return place >= 3

    found = await bisect(list(range(10)), passes)
    assert found.unasked == 10 - len(found.asked) > 0
    assert found.text.endswith(f"One change is assumed: {found.unasked} were not asked.")
    assert found.contradictions == ()


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(0, 50))
def test_checks_find_what_does_not_fit(verdicts: list[bool], checks: int) -> None:
    import asyncio

    async def passes(place: int) -> bool:
        return verdicts[place]

    places = list(range(len(verdicts)))
    plain = asyncio.run(bisect(places, passes))
    found = asyncio.run(bisect(places, passes, checks=checks))
    assert (found.flip, found.before, found.first) == (plain.flip, plain.before, plain.first)
    assert found.asked[: len(plain.asked)] == plain.asked
    assert len(found.asked) == min(len(plain.asked) + checks, len(places))
    assert len({place for place, _ in found.asked}) == len(found.asked)
    assert all(verdicts[place] == passed for place, passed in found.asked)
    if checks >= len(places):
        changes = sum(a != b for a, b in pairwise(verdicts))
        assert bool(found.contradictions) == (changes > (found.first is not None))
        assert found.unasked == 0


async def test_a_contradiction_is_told() -> None:
    async def passes(place: int) -> bool:
        return place >= 6 or place == 1

    found = await bisect(list(range(8)), passes, checks=8)
    assert found.text == (
        "It began to pass at 6; 5 was the last before. But 1 passes: it changes more than once."
    )


async def test_ends_that_agree_can_hide_a_change() -> None:
    async def passes(place: int) -> bool:
        return place != 2

    found = await bisect(list(range(5)), passes, checks=1)
    assert found.contradictions == ((2, False),)
    assert found.text.endswith("But 2 fails: it changes more than once.")
