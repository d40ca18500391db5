"""Which events came before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.api.dedup import SeenEvents, SeenIds

ids = st.one_of(
    st.integers(0, 30).map(str),
    st.integers(0, 30).map("{:03}".format),
    st.sampled_from(["٣", "²", "+1", "-1", " 1", "1.0", "2026-08-07T10:00:00Z", "9" * 30]),
    st.integers(10**18 - 3, 10**18 + 3).map(str),
    st.text(max_size=3),
)


@given(st.lists(st.tuples(ids, st.integers(1, 3))))
def test_knows_exactly_what_a_dictionary_knows(given_ids: list[tuple[str, int]]) -> None:
    seen, first = SeenIds(), dict[str, int]()
    for event_id, content in given_ids:
        assert (event_id in seen) == (event_id in first)
        known = (
            "new" if event_id not in first else "same" if first[event_id] == content else "other"
        )
        assert seen.add(event_id, content) == known
        first.setdefault(event_id, content)
    assert all(event_id in seen for event_id in first)


@given(st.permutations([str(number) for number in range(20)]))
def test_counters_in_any_order_leave_nothing_to_remember_once_they_follow_the_first(
    order: list[str],
) -> None:
    seen = SeenIds()
    for event_id in order:
        seen.add(event_id, int(event_id) + 1)
    assert set(seen._others) == {event_id for event_id in order if int(event_id) < seen._first}
    assert all(seen.add(event_id, int(event_id) + 1) == "same" for event_id in order)


def test_counted_ids_take_little_memory() -> None:
    seen = SeenIds()
    assert all(seen.add(str(number), 1) == "new" for number in range(1, 100_001))
    assert not seen._others
    assert seen._hashes.itemsize * len(seen._hashes) == 800_000
    assert "100000" in seen
    assert "100001" not in seen


def test_ids_longer_than_a_counter_are_remembered_like_any_text() -> None:
    seen = SeenIds()
    assert seen.add(str(10**18), 1) == "new"
    for number in (*range(10**18 - 3, 10**18), *range(10**18 + 1, 10**18 + 3)):
        assert seen.add(str(number), 1) == "new"
        assert seen.add(str(number), 1) == "same"
        assert str(number) in seen
    assert seen.add(str(10**18), 1) == "same"


# events with ids or without, as a stream has them

events = st.lists(st.tuples(st.none() | st.integers(0, 99).map(str), st.sampled_from("ab")))


def passed(seen: SeenEvents, stream: list[tuple[str | None, str]], after: str | None) -> list[bool]:
    """One connection, opened after an id: which of its events are new."""
    seen.begin()
    new = []
    for event_id, data in stream:
        new.append(seen.add(event_id, data, after))
        after = event_id or after
    return new


def unlike(stream: list[tuple[str | None, str]]) -> list[tuple[str | None, str]]:
    """Each id once, as a run's history has it."""
    ids = set[str]()
    return [e for e in stream if e[0] is None or (e[0] not in ids and not ids.add(e[0]))]


@given(events.map(unlike), st.data())
def test_whatever_part_comes_again_only_the_rest_is_new(
    history: list[tuple[str | None, str]], data: st.DataObject
) -> None:
    seen = SeenEvents()
    known = 0
    for _ in range(3):
        first = data.draw(st.integers(0, known))
        until = data.draw(st.integers(first, len(history)))
        before = [event_id for event_id, _ in history[:first] if event_id]
        if first and history[first - 1][0] is None:
            continue  # a server can go on after an id only
        new = passed(seen, history[first:until], before[-1] if before else None)
        assert new == [place >= known for place in range(first, until)]
        known = max(known, until)


def test_several_alike_without_an_id_are_several_events_and_again_repeats() -> None:
    seen = SeenEvents()
    assert passed(seen, [(None, "a"), (None, "a"), (None, "b")], None) == [True, True, True]
    assert passed(seen, [(None, "a"), (None, "a"), (None, "a")], None) == [False, False, True]
    assert passed(seen, [("1", "x"), (None, "a"), (None, "a")], None) == [True, True, True]
    assert passed(seen, [(None, "a"), ("1", "x"), (None, "a")], "1") == [False, False, False]


def test_what_comes_again_after_its_id_in_one_connection_is_a_repeat() -> None:
    twice = [("1", "x"), (None, "a"), ("1", "x"), (None, "a")]
    assert passed(SeenEvents(), twice, None) == [True, True, False, False]


def test_a_repeat_is_an_equal_id_with_equal_data() -> None:
    seen = SeenEvents()
    assert passed(seen, [("1", "a"), ("1", "a"), ("1", "b")], None) == [True, False, True]
    assert passed(seen, [("1", "a"), ("1", "b"), ("1", "c"), ("2", "a")], "1") == [
        False,
        False,
        True,
        True,
    ]


def test_an_inherited_id_and_none_at_all_name_the_same_event() -> None:
    seen = SeenEvents()
    assert passed(seen, [("1", "a"), ("1", "b"), ("1", "b")], None) == [True, True, True]
    assert passed(seen, [(None, "b"), (None, "b"), (None, "b")], "1") == [False, False, True]


def test_an_event_that_only_its_id_is_known_of_is_a_repeat_whatever_its_data() -> None:
    seen = SeenEvents()
    seen.add_id("7")
    assert passed(seen, [("7", "a"), ("7", "b"), ("8", "c")], None) == [False, True, True]
    seen.add_id("8")
    assert passed(seen, [("7", "a"), ("7", "b"), ("8", "c")], None) == [False, False, False]


def test_text_that_no_encoding_has_is_known_again() -> None:
    seen = SeenEvents()
    assert passed(seen, [(None, "\ud800")], None) == [True]
    assert passed(seen, [(None, "\ud800")], None) == [False]
