"""Pictures of charts, as text."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from arkor_tui.archive.series import Series
from arkor_tui.tui.chart.axes import elapsed, log_ticks, nice_ticks, short, time_ticks
from arkor_tui.tui.chart.frame import ChartFrame, ChartSpec, LineSpec, Mark, Symbols, draw
from arkor_tui.tui.chart.spark import sparkline

RAMP = [
    "20+                                   ..",
    "  |                             ...'''  ",
    "  |                         .'''        ",
    "  |                    .''''            ",
    "10+              ...'''                 ",
    "  |         ...''                       ",
    "  |     .'''                            ",
    " 0+.''''                                ",
    "  ++-----------------+-----------------+",
    "   0                10               20 ",
]


def text_of(frame: ChartFrame) -> list[str]:
    return ["".join(text for text, _ in row) for row in frame.rows]


def roles_of(frame: ChartFrame) -> set[str]:
    return {role for row in frame.rows for text, role in row if text.strip()}


def picture(*lines: LineSpec, width: int = 40, height: int = 10, **more: object) -> ChartFrame:
    frame = draw(ChartSpec(lines, width, height, **more))  # type: ignore[arg-type]
    assert [len(row) for row in text_of(frame)] == [width] * height
    return frame


def ramp(size: int = 21) -> Series:
    return Series(range(size), [float(step) for step in range(size)])


def test_a_ramp_in_ascii() -> None:
    assert text_of(picture(LineSpec("loss", ramp()), symbols="ascii")) == RAMP


@pytest.mark.parametrize("symbols", ["braille", "block", "ascii"])
@pytest.mark.parametrize("size", [(20, 6), (16, 4), (100, 30), (200, 50)])
def test_every_size_is_kept(size: tuple[int, int], symbols: Symbols) -> None:
    frame = picture(
        LineSpec("loss", ramp(), smoothing=0.9), LineSpec("eval", ramp(5), "dashed", "eval"),
        width=size[0], height=size[1], symbols=symbols, marks=(Mark(10),), cursor=3,
    )  # fmt: skip
    assert {"train", "eval", "mark", "cursor"} <= roles_of(frame)


def test_no_data_and_only_gaps_are_said() -> None:
    assert "no data yet" in "".join(text_of(picture()))
    assert "no data yet" in "".join(text_of(picture(LineSpec("loss", Series()))))
    assert "only gaps here" in "".join(text_of(picture(LineSpec("l", Series((), (), [1, 2])))))
    assert "too small" in "".join(text_of(picture(LineSpec("l", ramp()), width=12, height=3)))


@pytest.mark.parametrize("log_y", [False, True])
def test_a_smoothed_line_that_is_far_from_the_values_in_view_is_where_it_is(log_y: bool) -> None:
    values = [1.0] * 100 + [0.01 + 0.001 * (step % 2) for step in range(100)]
    line = LineSpec("loss", Series(range(200), values), smoothing=0.9)
    frame = picture(line, x_range=(120, 199), log_y=log_y)
    # it falls from 0.12 to 0.01: it is at the top where it begins, and nowhere else
    smooth = [sum(len(text) for text, role in row if role == "train") for row in frame.rows]
    assert 0 < smooth[0] < 6
    assert all(smooth[1:4])


@pytest.mark.parametrize(
    "series",
    [
        Series([7], [1.5]),
        Series(range(5), [2.0] * 5),
        Series(range(5), [0.0] * 5),
        Series(range(-20, -10), [float(step) for step in range(10)]),
        Series([0, 1], [-1.7e308, 1.7e308]),
        Series([0, 1], [5e-324, 1e-300]),
        Series([0, 1], [1e15, 1e15 + 1]),
        Series([1e15, 1e15 + 1], [1, 2]),
        Series([0, 10**9], [1e-9, 2e-9]),
    ],
)
@pytest.mark.parametrize("log_y", [False, True])
def test_odd_numbers_are_drawn(series: Series, log_y: bool) -> None:
    frame = picture(LineSpec("loss", series), log_y=log_y)
    text = "".join(text_of(frame))
    assert "nan" not in text.lower()
    assert "inf" not in text.lower()
    if not log_y:
        assert "train" in roles_of(frame)


@settings(max_examples=60, deadline=None)
@example([710970944748.0, 1.4065272391064214e308], True, 16, 18)
@example([8e307, 1.7e308], True, 40, 18)
@given(
    st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), max_size=60),
    st.booleans(),
    st.integers(1, 60),
    st.integers(1, 20),
)
def test_any_values_at_any_size_are_drawn(
    values: list[float | None], log_y: bool, width: int, height: int
) -> None:
    series = Series()
    series.extend(enumerate(values))
    picture(LineSpec("loss", series, smoothing=0.6), width=width, height=height, log_y=log_y)


def columns_with(frame: ChartFrame, role: str) -> set[int]:
    found = set()
    for row in frame.rows:
        place = 0
        for text, its_role in row:
            if its_role == role:
                found |= {place + n for n, char in enumerate(text) if char not in " \u2800"}
            place += len(text)
    return found


def test_a_spike_among_a_hundred_thousand_points_is_seen() -> None:
    numbers = [1.0] * 100_000
    numbers[77_777] = 9.0
    frame = picture(LineSpec("loss", Series(range(100_000), numbers)), width=100, height=20)
    first, width = frame.canvas
    top = "".join(text for row in frame.rows[:3] for text, role in row if role == "train")
    assert top.strip("\u2800 ")
    column = first + int(0.77777 * width)
    heights = [
        sum(text_of(frame)[row][place] not in " \u2800" for row in range(18))
        for place in range(first, first + width)
    ]
    assert max(range(width), key=heights.__getitem__) + first in (column - 1, column, column + 1)


def test_a_gap_breaks_the_line_and_is_marked() -> None:
    series = ramp(41)
    whole = columns_with(picture(LineSpec("loss", series), width=90), "train")
    broken = Series(
        [step for step in range(41) if not 15 <= step <= 25],
        [float(step) for step in range(41) if not 15 <= step <= 25],
        range(15, 26),
    )
    frame = picture(LineSpec("loss", broken), width=90)
    missing = whole - columns_with(frame, "train")
    assert len(missing) > 15
    assert missing >= set(range(min(missing), max(missing)))
    assert "×" in text_of(frame)[-2]


def test_nulls_and_infinities_do_not_move_the_axis() -> None:
    plain = ramp()
    poisoned = ramp()
    for step, value in [(5.5, math.nan), (6.5, math.inf), (7.5, -math.inf), (8.5, None)]:
        poisoned.put(step, value)
    labels = [line[:3] for line in text_of(picture(LineSpec("loss", plain)))]
    assert [line[:3] for line in text_of(picture(LineSpec("loss", poisoned)))] == labels


def test_a_log_scale_skips_what_it_cannot_show_and_says_so() -> None:
    frame = picture(LineSpec("loss", Series(range(5), [1.0, 10.0, 0.0, -3.0, 100.0])), log_y=True)
    assert frame.note == "2 not above zero, not on a log scale"
    assert [line[:3].strip("│┤ ") for line in text_of(frame) if line[:3].strip("│┤└ ")][:3] == [
        "100", "10", "1",
    ]  # fmt: skip


def test_dashed_lines_differ_without_colour_and_few_points_are_dots() -> None:
    solid = "".join(text_of(picture(LineSpec("a", ramp(6)), width=80)))
    dashed = "".join(text_of(picture(LineSpec("a", ramp(6), "dashed"), width=80)))
    assert dashed.count("●") == 6
    assert "●" not in solid
    assert dashed.count(" ") > solid.count(" ") + 15


def test_two_charts_do_not_disturb_each_other() -> None:
    first = ChartSpec((LineSpec("a", ramp()),), 60, 12, marks=(Mark(5),), cursor=7)
    second = ChartSpec((LineSpec("b", ramp(300)),), 90, 20, log_y=True, symbols="ascii")
    alone = draw(first), draw(second)
    for _ in range(2):
        again = draw(first), draw(second)
        assert [frame.rows for frame in again] == [frame.rows for frame in alone]


def test_the_cursor_reads_raw_and_smoothed_values_and_gaps() -> None:
    series = Series([0, 10, 20], [1.0, 3.0, 2.0], [15])
    lines = (LineSpec("loss", series, smoothing=0.9), LineSpec("eval", Series([12], [0.5]), "dots"))
    at_ten = picture(*lines, cursor=11).readout
    assert [(r.name, r.step, r.value) for r in at_ten] == [("loss", 10, 3.0), ("eval", 12, 0.5)]
    assert at_ten[0].smooth == pytest.approx(series.smoothed(0.9).values[1])
    assert picture(*lines, cursor=15).readout[0].value is None


def test_marks_and_cursor_are_on_the_axis_line() -> None:
    axis = text_of(picture(LineSpec("a", ramp()), marks=(Mark(0), Mark(20), Mark(99)), cursor=10))
    first = axis[-2].index("└") + 1
    assert axis[-2][first] == "▲"
    assert axis[-2][-1] == "▲"
    assert axis[-2].count("▲") == 2
    assert axis[-2][first + (40 - first) // 2] == "┴"


def test_time_and_epochs_space_the_steps() -> None:
    series = ramp(101)
    seconds = [1e9 + (step if step <= 50 else step * 10 - 450) for step in range(101)]
    maps = {"time": Series(range(101), seconds), "epoch": Series([0, 100], [0.0, 2.0])}
    spec = {"x_maps": maps, "marks": (Mark(50),)}
    by_step = picture(LineSpec("a", series), width=80, **spec)
    by_time = picture(LineSpec("a", series), width=80, x_axis="time", **spec)
    by_epoch = picture(LineSpec("a", series), width=80, x_axis="epoch", **spec)
    assert text_of(by_step)[-2].index("▲") > 35
    assert text_of(by_time)[-2].index("▲") < 15
    assert "6:00" in text_of(by_time)[-1]
    assert "1.0" in text_of(by_epoch)[-1]
    assert text_of(picture(LineSpec("a", series), width=80, x_axis="epoch")) == text_of(
        picture(LineSpec("a", series), width=80)
    )


def test_a_growing_picture_with_room_mostly_stays_where_it_is() -> None:
    rng = random.Random(1)
    series = Series(range(204), [rng.uniform(1, 2) for _ in range(204)])
    before = text_of(picture(LineSpec("a", series), room=True, width=100, height=20))
    series.put(204, 1.5)
    series.put(205, 1.6)
    after = text_of(picture(LineSpec("a", series), room=True, width=100, height=20))
    changed = sum(
        a != b for x, y in zip(before, after, strict=True) for a, b in zip(x, y, strict=True)
    )
    assert 0 < changed < 12


def test_a_range_that_is_asked_for_is_kept() -> None:
    frame = picture(LineSpec("a", ramp(101)), x_range=(40, 60), y_range=(45, 55), height=14)
    assert frame.x_range == (40, 60)
    assert "40" in text_of(frame)[-1]
    drawn = sorted(columns_with(frame, "train"))
    assert drawn[0] > frame.canvas[0] + 5
    assert drawn[-1] < 34


@pytest.mark.parametrize(
    ("value", "step", "expected"),
    [(1200, 100, "1.2k"), (3e-4, 1e-4, "3e-4"), (2.5e-4, 5e-5, "2.5e-4"), (0.0, 0.1, "0"),
     (0.25, 0.05, "0.25"), (2_500_000, 500_000, "2.5M"), (-3, 1, "-3"), (1e20, 1e19, "1.0e20"),
     (900, 100, "900")],
)  # fmt: skip
def test_short_labels(value: float, step: float, expected: str) -> None:
    assert short(value, step) == expected


@example(1374390.0, 6.103515625e-05, 7)
@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12), st.integers(1, 20))
def test_ticks_are_inside_and_told_apart(lo: float, span: float, count: int) -> None:
    ticks = nice_ticks(lo, lo + span, count)
    assert 1 <= len(ticks) <= count + 2
    slack = span * 1e-6
    assert all(lo - slack <= tick.at <= lo + span + slack for tick in ticks)
    assert len({tick.label for tick in ticks}) == len(ticks)


def test_log_and_time_ticks() -> None:
    assert [tick.label for tick in log_ticks(-3, 1, 5)] == ["0.001", "0.01", "0.1", "1", "10"]
    assert [tick.label for tick in log_ticks(math.log10(0.3), math.log10(0.8), 4)] == [
        "0.4", "0.6", "0.8",
    ]  # fmt: skip
    assert [tick.label for tick in time_ticks(0, 600, 5)] == ["0:00", "2:00", "4:00", "6:00",
                                                              "8:00", "10:00"]  # fmt: skip
    assert elapsed(3725) == "1:02:05"
    assert elapsed(3 * 86400 + 2 * 3600) == "3d 2h"


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        ([], 5, ""),
        ([1, 2, 3], 0, ""),
        ([0, 7], 5, "▁█"),
        ([1, None, math.nan, 8], 9, "▁  █"),
        ([2, 2], 9, "▅▅"),
        ([None, None], 9, "  "),
        ([9, 0, 9, 7, None, None], 3, "▁█ "),
        ([-1.7e308, 1.7e308], 4, "▁█"),
    ],
)
def test_sparklines(values: list[float | None], width: int, expected: str) -> None:
    assert sparkline(values, width) == expected


def test_a_sparkline_in_ascii() -> None:
    assert sparkline([0, 7], 5, ascii_only=True) == "_#"
