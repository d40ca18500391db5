"""Secrets that are easy to find again, a trainer that uses them all, and what looks for them."""

from __future__ import annotations

import base64
import os
import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Self
from urllib.parse import quote

from tests.support.loopback import Loopback

SECRET = re.compile(rb"hush[a-z]{8,}")
"""Every planted secret is such a word, or has some in it."""

ACCESS, REFRESH = "hushaccesstoken", "hushrefreshtoken"
NAMED = "hushtokenofanotherserver"
DATA_TOKEN, SIGNATURE, USER, PASSWORD = (
    "hushdatasettoken", "hushsignature", "hushdatauser", "hushdatapassword",
)  # fmt: skip
IN_SETTINGS = ("hushsettingsslack", "hushsettingsquery")
BASIC = (f"{USER}:{PASSWORD}", "hushappriseuser:hushapprisepassword")

TRAINER = """
import os
from arkor_tui import BlobDataset, LoraConfig, create_trainer
from arkor_tui.recipes import (
    AppriseNotifier, DiscordNotifier, EarlyStopping, PromptProbe, SlackNotifier, WebhookNotifier,
)

trainer = create_trainer(
    name=os.environ.get("RUN_NAME", "planted"), model="arkor-tui/tiny",
    dataset=BlobDataset(os.environ["DATA_URL"], token=os.environ["DATA_TOKEN"]),
    lora=LoraConfig(r=4, alpha=8), max_steps=4, logging_steps=1, save_steps=2, batch_size=4,
    callbacks=[
        SlackNotifier.from_env(), SlackNotifier.from_settings(), DiscordNotifier.from_env(),
        WebhookNotifier.from_env(), WebhookNotifier.from_env("GONE_URL"),
        WebhookNotifier.from_settings(), *(
            [AppriseNotifier.from_env()] if "APPRISE_URL" in os.environ else []
        ),
        EarlyStopping(ceiling=50.0), PromptProbe(["Hello"], max_tokens=3),
    ],
)
"""


def addresses(receiver: Loopback, data: str, closed: int, *, apprise: bool) -> dict[str, str]:
    """Environment variables with an address in each."""
    port = receiver.port
    data = data.replace("https://", f"https://{USER}:{PASSWORD}@")
    found = {
        "SLACK_WEBHOOK_URL": f"http://127.0.0.1:{port}/services/hushslackone/hushslacktwo",
        "DISCORD_WEBHOOK_URL": f"http://127.0.0.1:{port}/api/webhooks/1/hushdiscordtoken",
        "NOTIFY_WEBHOOK_URL": f"http://127.0.0.1:{port}/hook?key=hushwebhookquery#hushfragment",
        "GONE_URL": f"http://127.0.0.1:{closed}/hushgonepath?key=hushgonequery",
        "DATA_URL": f"{data}/rows.jsonl?sig={SIGNATURE}#hushdatafragment",
        "DATA_TOKEN": DATA_TOKEN,
    }
    if apprise:
        place = f"hushappriseuser:hushapprisepassword@127.0.0.1:{port}"
        found["APPRISE_URL"] = f"json://{place}/hushapprisepath?-X-Key=hushappriseheader"
    return found


def secrets_in(content: bytes) -> set[str]:
    """The planted words in ``content``, as they are or as the web writes them."""
    found = {word.decode() for word in SECRET.findall(content)}
    for pair in BASIC:
        if base64.b64encode(pair.encode()).rstrip(b"=") in content:
            found.add(f"base64 of {pair}")
        if quote(pair, safe="").encode() in content:
            found.add(f"quoted {pair}")
    return found


def secrets_below(folders: Iterable[Path], others: Iterable[str] = ()) -> dict[str, set[str]]:
    """Which files hold which planted words, or one of ``others``."""
    found: dict[str, set[str]] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                content = path.read_bytes()
                words = secrets_in(content) | {word for word in others if word.encode() in content}
                if words:
                    found[str(path)] = words
    return found


def open_to_others(folder: Path) -> list[str]:
    """Files below ``folder`` that another user could read, or could reach in order to."""
    found = []
    for place, folders, names in os.walk(folder):
        base = Path(place)
        folders[:] = [name for name in folders if (base / name).stat().st_mode & 0o077]
        found += [str(base / name) for name in names if (base / name).stat().st_mode & 0o077]
    return found


class Processes:
    """Keeps what every process of this test says of itself in ``/proc``, while it lives."""

    def __init__(self, home: Path) -> None:
        self.lines: set[bytes] = set()
        self.environments: set[bytes] = set()
        self._mark = f"HOME={home}".encode()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_again, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look_again(self) -> None:
        while not self._over.wait(0.05):
            self.look()

    def look(self) -> None:
        """Look at all processes that have this test's home."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes()
                if self._mark not in environment.split(b"\0"):
                    continue
                self.lines.add((folder / "cmdline").read_bytes())
                self.environments.add(environment)
            except OSError:  # it has ended, or is somebody else's
                continue
