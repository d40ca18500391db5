"""A list of any length that is read page by page as it comes into view."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

T = TypeVar("T")
Part = tuple[str, str]
"""A piece of a line and the component class that styles it ("" for the line's own style)."""

PAGE = 100
PAGES_KEPT = 30


def marked(parts: Sequence[Part], text: str) -> list[Part]:
    """Each place where ``text`` stands, in capitals or not, as a match."""
    if not text:
        return list(parts)
    wanted = re.compile(re.escape(text), re.IGNORECASE)
    found: list[Part] = []
    for piece, name in parts:
        at = 0
        for hit in wanted.finditer(piece):
            found += [(piece[at : hit.start()], name), (hit.group(), "paged--match")]
            at = hit.end()
        found.append((piece[at:], name))
    return [part for part in found if part[0]]


def merged(parts: Sequence[Part]) -> list[Part]:
    """Neighbours of one style as one piece: each change of style costs bytes on the wire."""
    found: list[Part] = []
    for text, name in parts:
        if found and found[-1][1] == name:
            found[-1] = (found[-1][0] + text, name)
        else:
            found.append((text, name))
    return found


class PagedList(ScrollView, Generic[T], can_focus=True):
    """Shows ``count`` items, one line each; ``fetch(offset, limit)`` reads them.

    Subclasses draw a line in :meth:`parts`. What is not read yet is shown as a dot and filled in
    when it arrives; nothing waits for it.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "paged--cursor",
        "paged--muted",
        "paged--strong",
        "paged--good",
        "paged--bad",
        "paged--warn",
        "paged--accent",
        "paged--match",
    }
    DEFAULT_CSS = """
    PagedList { scrollbar-size-vertical: 1; overflow-x: hidden; overflow-y: auto; }
    PagedList .paged--cursor { background: $panel; }
    PagedList:focus .paged--cursor { background: $cursor-row; text-style: bold; }
    PagedList .paged--muted { color: $muted; }
    PagedList .paged--strong { text-style: bold; }
    PagedList .paged--good { color: $success; }
    PagedList .paged--bad { color: $error; }
    PagedList .paged--warn { color: $warning; }
    PagedList .paged--accent { color: $accent; }
    PagedList .paged--match { text-style: reverse; }
    PagedList:ansi .paged--cursor { background: ansi_default; text-style: underline; }
    PagedList:ansi:focus .paged--cursor { background: ansi_default; text-style: bold reverse; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", id="list.up", show=False),
        Binding("down,j", "move(1)", "down", id="list.down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "page up", id="list.page-up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "page down", id="list.page-down", show=False),
        Binding("home,g", "first", "first", id="list.first", show=False),
        Binding("end,G", "last", "last", id="list.last", show=False),
        Binding("enter", "choose", "open", id="list.choose", show=False),
    ]

    cursor: reactive[int] = reactive(0)

    class Moved(Message):
        """The cursor is on another item; ``item`` is None while that is being read."""

        def __init__(self, sender: PagedList[Any], index: int, item: Any) -> None:
            super().__init__()
            self.sender, self.index, self.item = sender, index, item

        @property
        def control(self) -> PagedList[Any]:
            return self.sender

    class Chosen(Moved):
        """Enter was pressed on an item, or it was clicked twice."""

    def __init__(self, *, id: str | None = None, empty: str = "nothing here yet") -> None:
        super().__init__(id=id)
        self.count = 0
        self.empty = empty
        self._fetch: Callable[[int, int], Awaitable[Sequence[T]]] | None = None
        self._pages: OrderedDict[int, Sequence[T]] = OrderedDict()
        self._loading: set[int] = set()
        self._generation = 0

    def show(self, count: int, fetch: Callable[[int, int], Awaitable[Sequence[T]]]) -> None:
        """Show another set of items; the cursor stays at its place as far as there is one."""
        self._generation += 1
        self._fetch = fetch
        self._pages.clear()
        self._loading.clear()
        self._set_count(count)
        self.refresh()

    def prime(self, items: Sequence[T], first: int = 0) -> None:
        """Give the items from ``first`` (a multiple of the page) at once, for a complete paint."""
        for start in range(0, len(items), PAGE):
            part = items[start : start + PAGE]
            if len(part) == PAGE or first + start + len(part) >= self.count:
                self._pages[(first + start) // PAGE] = part
        self.refresh()

    def grow(self, count: int, items: Sequence[T] = (), *, quiet: bool = False) -> None:
        """More items at the end; ``items`` are the new ones where the caller has them.

        ``quiet`` leaves drawing to the caller.
        """
        old = self.count
        for offset, item in enumerate(items, count - len(items)):
            self._put(offset, item)
        if old // PAGE in self._pages and len(items) < count - old:
            del self._pages[old // PAGE]
        if quiet:
            self.count = count
        else:
            self._set_count(count)
            self.refresh()

    def _put(self, index: int, item: T) -> None:
        number, place = divmod(index, PAGE)
        page = list(self._pages.get(number, ()))
        if place == len(page):
            page.append(item)
            self._pages[number] = page
            self._trim()

    def reload(self) -> None:
        """Read what is in view again, keeping the old lines until the new ones are there."""
        self._generation += 1
        self._loading.clear()
        for number in self._visible_pages():
            self._request(number)

    def item(self, index: int) -> T | None:
        """The item at ``index``, None while it is not in memory."""
        number, place = divmod(index, PAGE)
        page = self._pages.get(number)
        return page[place] if page is not None and 0 <= place < len(page) else None

    @property
    def current(self) -> T | None:
        """The item under the cursor."""
        return self.item(self.cursor) if self.count else None

    @property
    def at_end(self) -> bool:
        """Whether the last line is in view."""
        return self.scroll_offset.y + self.size.height >= self.count

    def parts(self, index: int, item: T, width: int) -> list[Part]:
        """How an item looks in ``width`` cells; every text must be sanitised."""
        raise NotImplementedError

    def _set_count(self, count: int) -> None:
        self.count = count
        self.virtual_size = Size(self.size.width, count)
        if self.cursor >= count:
            self.cursor = max(count - 1, 0)

    def on_resize(self, event: events.Resize) -> None:
        """Keep the virtual width in step."""
        self.virtual_size = Size(event.size.width, self.count)

    def render_line(self, y: int) -> Strip:
        """One line of the view."""
        width = self.scrollable_content_region.width
        base = self.rich_style
        index = self.scroll_offset.y + y
        if index >= self.count:
            if self.count == 0 and y == 0:
                text = Segment(f" {self.empty}", base + self._style("paged--muted"))
                return Strip([text]).adjust_cell_length(width, base)
            return Strip.blank(width, base)
        item = self.item(index)
        if item is None:
            self._request(index // PAGE)
            return Strip([Segment(" ·", base)]).adjust_cell_length(width, base)
        if index == self.cursor:
            base = base + self._style("paged--cursor")
        segments = [
            Segment(text, base + self._style(name) if name else base)
            for text, name in merged(self.parts(index, item, width))
        ]
        return Strip(segments).adjust_cell_length(width, base)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name, partial=True)

    def _visible_pages(self) -> list[int]:
        if self.count == 0:
            return []
        first = self.scroll_offset.y // PAGE
        last = min(self.scroll_offset.y + max(self.size.height, 1), self.count) // PAGE
        return list(range(first, last + 1))

    def _request(self, number: int) -> None:
        if number in self._loading or self._fetch is None or not self.is_mounted:
            return
        self._loading.add(number)
        self.run_worker(self._read(number, self._generation))

    async def _read(self, number: int, generation: int) -> None:
        fetch = self._fetch
        assert fetch is not None
        try:
            items = await fetch(number * PAGE, PAGE)
        finally:
            if generation == self._generation:
                self._loading.discard(number)
        if generation != self._generation:
            return
        self._pages[number] = list(items)
        self._trim()
        self.refresh()
        if self.cursor // PAGE == number:
            self.post_message(self.Moved(self, self.cursor, self.current))

    def _trim(self) -> None:
        visible = set(self._visible_pages())
        while len(self._pages) > PAGES_KEPT:
            oldest = next(number for number in self._pages if number not in visible)
            del self._pages[oldest]

    def watch_cursor(self, old: int, new: int) -> None:
        """Bring the cursor into view and tell."""
        if not self.is_mounted:
            return
        self.refresh_line(old)
        self.refresh_line(new)
        self.reveal(new)
        self.post_message(self.Moved(self, new, self.current))

    def reveal(self, index: int) -> None:
        """Scroll as little as it takes to show ``index``."""
        top, height = self.scroll_offset.y, max(self.size.height, 1)
        if top <= index < top + height:
            return
        y = index if index < top else index - height + 1
        # forced: until the next layout a list that has just grown does not know that it can scroll
        self.scroll_to(y=y, animate=False, immediate=True, force=True)

    def action_move(self, by: int) -> None:
        """Move the cursor by some lines."""
        if self.count:
            self.cursor = min(max(self.cursor + by, 0), self.count - 1)

    def action_page(self, by: int) -> None:
        """Move the cursor by a page."""
        self.action_move(by * max(self.size.height - 1, 1))

    def action_first(self) -> None:
        """To the first item."""
        self.action_move(-self.count)

    def action_last(self) -> None:
        """To the last item."""
        self.action_move(self.count)

    def action_choose(self) -> None:
        """Open the item under the cursor."""
        if self.count:
            self.post_message(self.Chosen(self, self.cursor, self.current))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; a second one on the same line opens."""
        index = self.scroll_offset.y + event.y
        if not 0 <= index < self.count:
            return
        if index == self.cursor and event.chain > 1:
            self.action_choose()
        self.cursor = index
