"""The search for the checkpoint at which an answer changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.monitor.bisect import bisect


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
