"""Which ids came before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.api.seen import SeenIds

ids = st.one_of(
    st.integers(0, 30).map(str),
    st.integers(0, 30).map("{:03}".format),
    st.sampled_from(["٣", "²", "+1", "-1", " 1", "1.0", "2026-08-07T10:00:00Z", "9" * 30]),
    st.integers(10**18 - 3, 10**18 + 3).map(str),
    st.text(max_size=3),
)


@given(st.lists(ids))
def test_knows_exactly_what_a_set_knows(given_ids: list[str]) -> None:
    seen, plain_set = SeenIds(), set[str]()
    for event_id in given_ids:
        assert (event_id in seen) == (event_id in plain_set)
        assert seen.add(event_id) == (event_id not in plain_set)
        plain_set.add(event_id)
    assert all(event_id in seen for event_id in plain_set)


@given(st.permutations([str(number) for number in range(20)]))
def test_counters_in_any_order_leave_nothing_to_remember_once_they_follow_the_first(
    order: list[str],
) -> None:
    seen = SeenIds()
    for event_id in order:
        seen.add(event_id)
    assert seen._others == {event_id for event_id in order if int(event_id) < seen._first}


def test_counted_ids_take_no_memory() -> None:
    seen = SeenIds()
    assert all(seen.add(str(number)) for number in range(1, 100_001))
    assert not seen._others
    assert "100000" in seen
    assert "100001" not in seen


def test_ids_longer_than_a_counter_are_remembered_like_any_text() -> None:
    seen = SeenIds()
    assert seen.add(str(10**18))
    for number in (*range(10**18 - 3, 10**18), *range(10**18 + 1, 10**18 + 3)):
        assert seen.add(str(number))
        assert not seen.add(str(number))
        assert str(number) in seen
    assert not seen.add(str(10**18))
