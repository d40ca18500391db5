"""The chart by keys, in a small app."""

from __future__ import annotations

import math

import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.pilot import Pilot
from textual.screen import Screen

from arkor_tui.archive.series import Series
from arkor_tui.tui.chart.frame import LineSpec, Mark
from arkor_tui.tui.chart.widget import LossChart
from arkor_tui.tui.themes import DEFAULTS
from tests.support.recorded_runs import resize

HOSTILE = "\x1b]52;c;eA==\x07[red]x"


class ChartApp(App[None]):
    """A chart alone."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[float | None] = []
        self.views = 0
        self.escapes = 0
        self.loss = Series()
        for step in range(1, 201):
            value = 3 * math.exp(-step / 50) + 0.2 + (step % 7) / 100
            self.loss.put(step, None if 60 <= step <= 62 else value + (3 if step == 120 else 0))
        self.eval = Series(range(25, 201, 25), [2 - step / 200 for step in range(25, 201, 25)])

    BINDINGS = [Binding("escape", "escape", "back")]  # noqa: RUF012

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return DEFAULTS

    def compose(self) -> ComposeResult:
        yield LossChart()

    def on_mount(self) -> None:
        chart = self.query_one(LossChart)
        chart.focus()
        chart.show(
            [LineSpec("loss", self.loss), LineSpec("eval", self.eval, "dashed", "eval")],
            [Mark(step, str(step)) for step in range(50, 201, 50)],
            {"epoch": Series([1, 200], [0.0, 2.0]), "time": Series([1, 200], [1e9, 1e9 + 100])},
            {"lr": Series([1, 200], [3e-4, 1e-4])},
        )

    def action_escape(self) -> None:
        self.escapes += 1

    def on_loss_chart_cursor_moved(self, message: LossChart.CursorMoved) -> None:
        self.told.append(message.step)

    def on_loss_chart_view_changed(self) -> None:
        self.views += 1


def text(app: App[None]) -> list[str]:
    chart = app.query_one(LossChart)
    return [chart.render_line(y).text for y in range(chart.size.height)]


async def started(app: ChartApp, pilot: Pilot[None]) -> LossChart:
    await pilot.pause()
    return app.query_one(LossChart)


async def test_the_cursor_moves_over_points_and_reads_them() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 20)) as pilot:
        chart = await started(app, pilot)
        assert "loss" in text(app)[0]
        await pilot.press("right")
        assert chart.cursor == 1
        await pilot.press("l", "l", "h")
        assert chart.cursor is not None
        assert 1 < chart.cursor < 8
        await pilot.press("ctrl+right")
        assert chart.cursor > 20
        await pilot.press("end")
        assert chart.cursor == 200
        legend = text(app)[0]
        for expected in ("step 200", "epoch 2.00", "loss 0.2949", "eval 1.0000", "lr 1.0e-04"):
            assert expected in legend
        await pilot.press("right", "home")
        await pilot.pause()
        assert chart.cursor == 1
        assert app.told == [1.0, *app.told[1:-1], 1.0]


@pytest.mark.parametrize("width", [90, 66])
async def test_where_it_is_narrow_the_legend_leaves_out_whole_words(width: int) -> None:
    app = ChartApp()
    async with app.run_test(size=(width, 20)) as pilot:
        await started(app, pilot)
        await pilot.press("end", "s", "o")
        row = text(app)[0].rstrip()
        assert row.startswith("step 200")
        assert row.endswith("EMA .6 · log")
        assert "eval 1.0000" in row
        assert ("epoch 2.00" in row) is (width == 90)


async def test_escape_puts_the_cursor_away_and_is_then_the_screens() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 20)) as pilot:
        chart = await started(app, pilot)
        await pilot.press("right", "escape")
        assert chart.cursor is None
        assert app.escapes == 0
        await pilot.press("escape")
        assert app.escapes == 1
        assert app.told == [1.0, None]


async def test_jumps_to_checkpoint_spike_and_gap() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 20)) as pilot:
        chart = await started(app, pilot)
        seen = []
        for key in (
            "right_square_bracket", "right_square_bracket", "left_square_bracket",
            "right_parenthesis", "right_parenthesis", "left_parenthesis", "right_curly_bracket",
            "right_curly_bracket", "home", "left_square_bracket",
        ):  # fmt: skip
            await pilot.press(key)
            seen.append(chart.cursor)
        assert seen == [50, 100, 50, 60, 61, 60, 120, 120, 1, 1]
        await pilot.press("right_parenthesis")
        assert "loss gap" in text(app)[0]


async def test_zoom_pan_fit_and_follow() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 20)) as pilot:
        chart = await started(app, pilot)
        await pilot.press("plus")
        assert chart.x_range == (50.75, 150.25)
        await pilot.press("shift+right", "L", "L")
        assert chart.x_range is not None
        assert chart.x_range[1] == 200
        await pilot.press("H")
        assert chart.x_range[1] < 200
        await pilot.press("f")
        assert chart.following
        assert chart.x_range[1] == 200
        app.loss.put(201, 0.2)
        chart.max_fps = math.inf
        chart.refresh_data()
        assert chart.x_range[1] == 201
        await pilot.press("minus")
        assert chart.x_range is None
        await pilot.press("plus", "plus", "0")
        assert chart.x_range is None
        assert not chart.following
        await pilot.pause()
        assert app.views == 10


async def test_a_cursor_that_jumps_takes_the_view_along() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 20)) as pilot:
        chart = await started(app, pilot)
        await pilot.press("home", "plus", "plus", "plus")
        assert chart.x_range is not None
        assert chart.x_range[1] < 40
        await pilot.press("right_curly_bracket")
        assert chart.x_range[0] < 120 < chart.x_range[1]


async def test_looks_change_by_key() -> None:
    app = ChartApp()
    async with app.run_test(size=(100, 20)) as pilot:
        chart = await started(app, pilot)
        for keys, words in ((["s", "s"], "EMA .9"), (["o"], "log"), (["x"], "x: epoch"),
                            (["x"], "x: time")):  # fmt: skip
            await pilot.press(*keys)
            assert words in text(app)[0]
        assert "1:00" in text(app)[-1]
        await pilot.press("x", "s", "s", "o")
        assert (chart.x_axis, chart.smoothing, chart.log_y) == ("step", 0.0, False)


async def test_ascii_is_ascii() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 20)) as pilot:
        chart = await started(app, pilot)
        chart.symbols = "ascii"
        await pilot.press("s", "o", "right_curly_bracket")
        assert all(ord(char) < 128 for line in text(app) for char in line)


async def test_names_from_outside_are_harmless() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 20)) as pilot:
        chart = await started(app, pilot)
        chart.show([LineSpec(HOSTILE, app.loss)], (), {}, {HOSTILE: app.loss})
        await pilot.press("right")
        assert "\x1b" not in text(app)[0]
        assert "[red]x" in text(app)[0]


@pytest.mark.parametrize("size", [(1, 1), (20, 6), (30, 3), (200, 50)])
async def test_any_size_and_resizing(size: tuple[int, int]) -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 20)) as pilot:
        chart = await started(app, pilot)
        await pilot.press("right")
        await resize(app, pilot, *size)
        assert all(len(line) == chart.size.width for line in text(app))
        await resize(app, pilot, 80, 20)
        assert chart.cursor == 1
        assert "step 1 " in text(app)[0]


async def test_new_data_is_drawn_at_most_so_often_and_never_lost() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 20)) as pilot:
        chart = await started(app, pilot)
        chart.max_fps = 0.001
        before = text(app)
        for step in range(201, 211):
            app.loss.put(step, 9.0)
            chart.refresh_data()
        await pilot.pause()
        assert text(app) == before
        late = chart._later
        assert late is not None
        late.stop()
        chart._draw_late()
        assert "loss 9.0000" in text(app)[0]
        assert chart._later is None


async def test_the_trailing_drawing_comes_by_itself() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 20)) as pilot:
        chart = await started(app, pilot)
        chart.max_fps = 50.0
        for step in (201, 202):
            app.loss.put(step, float(step))
            chart.refresh_data()
        for _ in range(200):
            if "202.00" in text(app)[0]:
                break
            await pilot.pause(0.02)
        assert "loss 202.00" in text(app)[0]


async def test_nothing_is_sent_when_nothing_changed_and_little_for_one_point() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 20)) as pilot:
        chart = await started(app, pilot)
        chart.max_fps = math.inf
        app.loss.put(203, 0.25)
        chart.refresh_data()
        sent: list[int] = []
        real = chart._send

        def count(before: object, width: int) -> None:
            real(before, width)  # type: ignore[arg-type]
            sent.append(sum(region.width for region in chart._repaint_regions))

        chart._send = count  # type: ignore[method-assign]
        await pilot.pause()
        chart.refresh_data()
        chart.refresh_data()
        assert sent == []
        app.loss.put(204, 0.25)
        chart.refresh_data()
        assert len(sent) == 1
        assert sent[0] < 20


async def test_nothing_is_drawn_under_another_screen_and_all_of_it_afterwards() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 20)) as pilot:
        chart = await started(app, pilot)
        chart.max_fps = math.inf
        app.push_screen(Screen())
        await pilot.pause()
        frame = chart._frame
        app.loss.put(300, 7.5)
        chart.refresh_data()
        assert chart._frame is frame
        app.pop_screen()
        await pilot.pause()
        assert chart.render_line(0).text.startswith("━━ loss 7.5000")


async def test_a_click_reads_and_the_wheel_zooms() -> None:
    app = ChartApp()
    async with app.run_test(size=(80, 20)) as pilot:
        chart = await started(app, pilot)
        await pilot.click(LossChart, offset=(79, 8))
        assert chart.cursor is not None
        assert chart.cursor > 195
        await pilot._post_mouse_events([_wheel()], LossChart, offset=(40, 8), button=0)
        assert chart.x_range is not None


def _wheel() -> type:
    from textual.events import MouseScrollUp

    return MouseScrollUp


async def test_every_key_says_what_it_does() -> None:
    ids = [binding.id for binding in LossChart.BINDINGS if isinstance(binding, Binding)]
    assert len(ids) == len(set(ids)) == len(LossChart.BINDINGS)
    assert all(name and name.startswith("chart.") for name in ids)
    assert all(b.description for b in LossChart.BINDINGS if isinstance(b, Binding))
