"""Keys take effect in the order in which they were pressed.

Textual hands a key to the focused widget's queue, and from there from parent to parent up to the
app; but keys with priority are acted on at once, and the next key goes to whatever has the focus at
that moment. Over a slow connection keys come several at a time: Enter would then send a prompt
without its last letters, and what is typed after Tab would land in the field before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from textual import events
from textual.app import App, ScreenStackError
from textual.message_pump import MessagePump

from .textual_compat import parent_of

PATIENCE_SECONDS = 1.0
"""After so long the next key goes on its way, whatever became of the one before."""


class KeysInOrder(App[Any]):
    """An app in which a key sets out when the one before has arrived."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held: deque[events.Key] = deque()
        self._on_its_way: asyncio.TimerHandle | None = None
        self._next: events.Key | None = None

    async def on_event(self, event: events.Event) -> None:
        """Hold a key back while another one is on its way."""
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
        elif self._on_its_way is not None or self._next not in (None, event):
            self._held.append(event)
        else:
            self._next = None
            try:
                first = self.focused or self.screen
            except ScreenStackError:
                return  # the app is ending
            loop = asyncio.get_running_loop()
            self._on_its_way = loop.call_later(PATIENCE_SECONDS, self._arrived)
            try:
                await super().on_event(event)
            finally:
                self._follow(self._on_its_way, first)

    def _follow(self, key: asyncio.TimerHandle, node: MessagePump | None) -> None:
        """Go behind a key through the queues of everything that may act on it."""
        while node is not None and not node.call_later(self._follow_on, key, node):
            node = parent_of(node)  # it is being removed
        if node is None and key is self._on_its_way:
            self._arrived()

    def _follow_on(self, key: asyncio.TimerHandle, node: MessagePump) -> None:
        if key is self._on_its_way:
            self._follow(key, parent_of(node))

    def _arrived(self) -> None:
        if self._on_its_way is not None:
            self._on_its_way.cancel()
            self._on_its_way = None
        if self._held:
            self._next = self._held.popleft()
            self.post_message(self._next)
