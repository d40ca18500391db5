"""Everything else, through the library Apprise (mail, Telegram, ntfy, Matrix, Teams and more)."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from arkor_tui.errors import UsageError

from .delivery import Attempt, Send
from .destination import Destination
from .http import unlogged
from .message import Message
from .notifier import Notifier


class AppriseNotifier(Notifier):
    """Sends through one address of Apprise, such as ``ntfys://…`` or ``mailtos://…``.

    Needs the extra: ``pip install 'arkor-tui[notify]'``.
    """

    service = "Apprise"
    default_env = "APPRISE_URL"

    @classmethod
    def destination_at(cls, url: str, source: str) -> Destination:
        """The checked address; ``source`` says where it was found.

        Raises:
            UsageError: it cannot be used, or Apprise is not installed.
        """
        destination = Destination.apprise(cls.service, url, source)
        if importlib.util.find_spec("apprise") is None:
            raise UsageError(
                f"The address in {source} is for Apprise, which is not installed.",
                hint="Install it: pip install 'arkor-tui[notify]'.",
            )
        return destination

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Send]:
        """Apprise blocks, so every try has a thread."""
        destination = self.destination
        assert destination is not None

        async def send(message: Message) -> Attempt:
            with unlogged():
                return await asyncio.to_thread(_notify, destination, message)

        yield send


def _notify(destination: Destination, message: Message) -> Attempt:
    apprise = importlib.import_module("apprise")  # a quarter of a second, with its plugins
    asset = apprise.AppriseAsset(secure_logging=True)
    if hasattr(asset, "http_redirects"):  # since 2.0
        asset.http_redirects = False
    box = apprise.Apprise(asset=asset)
    if not box.add(destination.reveal()):
        return Attempt(False, "is no address that Apprise understands")
    kind = {"completed": "success", "failed": "failure", "guard": "warning"}.get(message.event)
    if message.status == "cancelled":
        kind = "warning"
    told = box.notify(
        title=f"arkor-tui: {message.run}" if message.run else "arkor-tui",
        body=message.text,
        notify_type=kind or "info",
        body_format="text",
    )
    # Apprise does not say why
    return Attempt(True) if told else Attempt(False, "did not take the message", retry=True)
