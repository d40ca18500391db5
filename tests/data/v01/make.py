"""Make the data folders of arkor-tui 0.1 that lie beside this file, by really using 0.1.

    python make.py SOURCE SITE_PACKAGES OUT [--root /tmp/arkor-tui-01]

SOURCE is a checkout of the released commit of 0.1, which is copied and not changed; SITE_PACKAGES
is a folder with the packages that 0.1 needs (torch, transformers, peft, textual, apprise, …); OUT
is where the fixtures go: what an earlier call put there is replaced, and this file is left alone.
Everything is done under the root, which is emptied first, so the paths that 0.1 stores begin with
it. Needs Linux, Python 3.11, two free ports on loopback (47901, 47903), and some minutes.

The same file drives the app of 0.1 (``--inside``), by Textual's pilot: keys, and texts put into
fields. Nothing here writes into an archive but 0.1 itself, but for what ``finish`` says.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

COMMIT = "6ca78a881d6a08bf2d6215f83bcd56c513d94d11"
SINK_PORT, BACKEND_PORT = 47901, 47903
BACKEND_URL = f"http://127.0.0.1:{BACKEND_PORT}"
TOKEN_SIGNS = 43  # of a real one
NO_PROCESS = 4_194_303
"""Written in place of process ids: those of the fixtures could be anybody's by now."""
SECONDS = 180.0

SETTINGS = f"""\
# Every key that 0.1 knows, none with its default. All addresses are of this machine: no test
# that sends by mistake reaches anybody.
backend = "local"

[stream]
idle_timeout = 46
base_delay = 1.5
max_delay = 61
max_attempts = 21

[app]
theme = "mine"
redraws_per_second = 2
symbols = "block"
mouse = false
bell = true
osc9 = true
title = false

[notify]
slack = "http://127.0.0.1:{SINK_PORT}/services/T0FAKE/B0FAKE/not-a-secret"
discord = "http://127.0.0.1:{SINK_PORT}/api/webhooks/0/not-a-secret"
webhook = "http://127.0.0.1:{SINK_PORT}/hooks/not-a-secret"
apprise = "json://127.0.0.1:{SINK_PORT}/apprise-not-a-secret"

[keys]
"live.cancel" = "ctrl+g"
"view.runs" = ["1", "f9"]
"runs.tag" = "t,T"
"console.time" = ["ctrl+t", "f8"]
"""

THEME_MORE = """\
muted = "#97a1ac"
diff-added = "#8fc97a"
block-cursor-text-style = "bold"
"""

PROMPTS = """\
[[prompt]]
name = "login"
text = "I can't log in to my account."
system = "You triage support tickets."
max_tokens = 40
[prompt.expect]
contains = "auth"

[[prompt]]
text = "Say yes or no."
choice = ["yes", "no"]
max_tokens = 8

[[prompt]]
name = "whole form"
text = "I was charged twice this month."
system = "You triage support tickets."
temperature = 0
seed = 7
max_tokens = 60
[prompt.schema]
type = "object"
properties = { category = { type = "string", enum = ["auth", "billing"] } }
required = ["category"]
additionalProperties = false
[prompt.expect]
equals = { category = "billing" }
"""

ORDERS = '''\
"""Functions that the model may call, as docs/structured-outputs.md of 0.1 has them."""

from typing import Literal

from arkor_tui.training.tools import tool

ORDERS = {"4711": "shipped on Monday"}


@tool
def get_order(order_id: str) -> str:
    """Look an order up.

    Args:
        order_id: The number on the invoice.
    """
    return ORDERS.get(order_id, f"{order_id} was shipped")


@tool
async def convert(amount: float, to: Literal["EUR", "USD"] = "EUR") -> dict[str, object]:
    """Convert an amount of pounds."""
    return {"amount": round(amount * 1.17, 2), "currency": to}
'''

FORMS = '''\
"""For `arkor-tui chat latest "I can't log in." --model-type forms.py:Triage`."""

from typing import Literal

from pydantic import BaseModel


class Triage(BaseModel):
    category: Literal["auth", "billing", "bug", "feature_request", "other"]
    urgency: Literal["low", "medium", "high"]
    summary: str
    next_action: str | None = None
'''

HANDWRITTEN = '''\
"""Written by hand, in the words of 0.1's README and docs: every import that they name is here."""

import os
from typing import Any, Literal

from pydantic import BaseModel

import arkor_tui.recipes
import arkor_tui.recipes.notify
from arkor_tui import (
    AbortController,
    AbortError,
    AbortSignal,
    ApiError,
    Arkor,
    ArkorTuiError,
    BlobDataset,
    Callback,
    CallbackError,
    CheckpointContext,
    CompletedContext,
    FailedContext,
    FileDataset,
    HuggingFaceDataset,
    LocalModel,
    LogContext,
    LoraConfig,
    ReconnectPolicy,
    RunFailedError,
    StartedContext,
    Trainer,
    TrainingResult,
    TypedReply,
    create_arkor,
    create_trainer,
    is_arkor,
    load_trainer,
    run_trainer,
    run_trainer_async,
)
from arkor_tui import ReplyError as PublicReplyError
from arkor_tui import tool as public_tool
from arkor_tui.errors import ArkorTuiError as SameError
from arkor_tui.plain import plain
from arkor_tui.recipes import (
    AppriseNotifier,
    BellNotifier,
    DiscordNotifier,
    EarlyStopping,
    Expect,
    Golden,
    GuardSettings,
    Observation,
    PromptProbe,
    SampleRule,
    SlackNotifier,
    WebhookNotifier,
    WhatIf,
    what_if,
)
from arkor_tui.recipes.notify import Message, Notifier, Outcome, send_test
from arkor_tui.recipes.notify import SlackNotifier as SameNotifier
from arkor_tui.training.tools import tool
from arkor_tui.training.typed import ReplyError

assert SameError is ArkorTuiError
assert PublicReplyError is ReplyError
assert public_tool is tool
assert SameNotifier is SlackNotifier
ALSO_PUBLIC = (
    AbortError, AbortSignal, ApiError, Arkor, CallbackError, FailedContext, Notifier, Outcome,
    RunFailedError, Trainer, TrainingResult, TypedReply, WhatIf, load_trainer, run_trainer,
    run_trainer_async, send_test,
)  # fmt: skip
OTHER_DATA = [
    HuggingFaceDataset("arkorlab/triage-demo", split="test", subset="en"),
    BlobDataset("https://example.com/rows.jsonl", token=os.environ.get("DATA_TOKEN")),
]
OTHER_MODEL = LocalModel("models/my-model")
GRAMMAR = 'start: "order " /[0-9]{4}/ (" shipped" | " open")'
SYSTEM = "You triage support tickets."


class Triage(BaseModel):
    category: Literal["auth", "billing", "bug", "feature_request", "other"]
    urgency: Literal["low", "medium", "high"]


class TeamsNotifier(WebhookNotifier):
    service = "Teams"
    default_env = "TEAMS_WEBHOOK_URL"

    def payload(self, message: Message) -> dict[str, Any]:
        return {"type": "message", "text": message.text}


class Diary(Callback):
    def on_log(self, ctx: LogContext) -> None:
        print(f"diary: step {ctx.step}, loss {plain(f'{ctx.loss:.3f}')}")


@tool
def get_order(order_id: str) -> str:
    """Look an order up.

    Args:
        order_id: The number on the invoice.
    """
    return f"{order_id} was shipped"


def on_started(ctx: StartedContext) -> None:
    print(f"started {ctx.job.name}")


async def on_checkpoint(ctx: CheckpointContext) -> None:
    reply = await ctx.infer.typed("I can't log in.", Triage, max_tokens=60, temperature=0)
    try:
        print(f"step {ctx.step}: {reply.unwrap().category}")
    except ReplyError as error:
        print(f"step {ctx.step}: {plain(error.problem)}")
    mood = await ctx.infer.typed("Thanks a lot!", choice=("happy", "neutral", "angry"))
    code = await ctx.infer.typed("The ticket's code?", regex=r"[A-Z]{2}-[0-9]{4}")
    line = await ctx.infer.typed("What about order 4711?", grammar=GRAMMAR)
    print(f"step {ctx.step}: {mood.value}, {code.value}, {line.value}")


async def on_completed(ctx: CompletedContext) -> None:
    reply = await ctx.infer.with_tools(
        "Where is order 4711?", [get_order], tool_choice="get_order", max_tokens=40, max_rounds=2
    )
    for call in reply.calls:
        print(f"called {call.name}: {'failed' if call.failed else 'fine'}")
    print(f"completed with {len(ctx.artifacts)} artifacts")


def too_slow(ctx: LogContext) -> str | None:
    if ctx.samples_per_second is not None and ctx.samples_per_second < 0.001:
        return f"only {ctx.samples_per_second:.4f} samples a second"
    return None


logged = [Observation(step, loss=loss) for step, loss in enumerate([2.0, 1.2, 6.1, 7.4], start=1)]
assert what_if(logged, GuardSettings(ceiling=5.0, window=2)).step == 4

controller = AbortController()
trainer = create_trainer(
    name="handwritten",
    model="arkor-tui/tiny",
    dataset=FileDataset("data/train.jsonl"),
    dataset_format={"type": "chatml"},
    dataset_split={"enabled": True, "test_size": 0.1, "seed": 42},
    lora=LoraConfig(r=1, alpha=2, max_length=256),
    max_steps=20,
    learning_rate=1e-2,
    batch_size=4,
    warmup_steps={"ratio": 0.1},
    lr_scheduler_type="cosine",
    weight_decay=0.01,
    logging_steps=5,
    eval_steps=10,
    save_steps={"ratio": 0.5},
    train_on_responses_only=True,
    seed=7,
    abort_signal=controller.signal,
    policy=ReconnectPolicy(base_delay=0.5),
    on_started=on_started,
    on_checkpoint=on_checkpoint,
    on_completed=on_completed,
    callbacks=[
        Diary(),
        PromptProbe(
            [
                Golden(
                    "I can't log in to my account.",
                    system=SYSTEM,
                    schema=Triage,
                    expect=Expect(equals={"category": "auth"}),
                    max_tokens=40,
                    name="login",
                ),
                Golden("Say yes or no.", choice=["yes", "no"], max_tokens=8),
                Golden("Be brief.", expect=Expect(check=lambda text: len(text) < 80 or "too long")),
                "Please cancel my plan.",
            ],
            system=SYSTEM,
            max_tokens=30,
        ),
        PromptProbe("prompts.toml", baseline=False, final=True),
        EarlyStopping(
            ceiling=50.0,
            window=3,
            patience=1_000,
            min_delta=0.01,
            metric="loss",
            predicate=too_slow,
            samples=SampleRule.failed(times=100),
            action="checkpoint",
            checkpoint_limit=300,
            abort_signal=controller.signal,
        ),
        SlackNotifier.from_env("SLACK_WEBHOOK_URL"),
        DiscordNotifier.from_env("DISCORD_WEBHOOK_URL"),
        AppriseNotifier.from_env("APPRISE_URL"),
        WebhookNotifier.from_settings(on=("completed", "failed"), connection_minutes=15),
        TeamsNotifier.from_env(),
        BellNotifier(on=("failed",)),
    ],
)
arkor = create_arkor(trainer=trainer)
assert is_arkor(arkor)
'''

GUARDED = '''\
"""Stopped by its guard: the loss begins far above the ceiling."""

from arkor_tui import FileDataset, LoraConfig, create_trainer
from arkor_tui.recipes import EarlyStopping, PromptProbe, SlackNotifier
from arkor_tui.recipes.notify import WebhookNotifier

trainer = create_trainer(
    name="guarded",
    model="arkor-tui/tiny",
    dataset=FileDataset("data/train.jsonl"),
    lora=LoraConfig(r=1, alpha=1),
    max_steps=400,
    learning_rate=1e-4,
    batch_size=4,
    logging_steps=1,
    save_steps=10,
    seed=42,
    callbacks=[
        EarlyStopping(ceiling=1.5, window=5, action="checkpoint", checkpoint_limit=120),
        PromptProbe(["I can't log in to my account."], max_tokens=20),
        WebhookNotifier.from_settings(every_steps=5, samples=True),
        SlackNotifier.from_settings(on=("failed",)),
    ],
)
'''

DIVERGED = '''\
"""Its losses are no numbers soon: what the archive keeps as gaps."""

from arkor_tui import FileDataset, LoraConfig, create_trainer
from arkor_tui.recipes import EarlyStopping

trainer = create_trainer(
    name="diverged",
    model="arkor-tui/tiny",
    dataset=FileDataset("data/train.jsonl"),
    lora=LoraConfig(r=1, alpha=1000),
    max_steps=400,
    learning_rate=10.0,
    batch_size=4,
    logging_steps=1,
    seed=42,
    callbacks=[EarlyStopping()],
)
'''

BADLY_ANSWERED = '''\
"""Stopped because a golden prompt is answered wrongly."""

from arkor_tui import FileDataset, LoraConfig, create_trainer
from arkor_tui.recipes import EarlyStopping, Expect, Golden, PromptProbe, SampleRule

trainer = create_trainer(
    name="badly-answered",
    model="arkor-tui/tiny",
    dataset=FileDataset("data/train.jsonl"),
    lora=LoraConfig(r=1, alpha=1),
    max_steps=400,
    batch_size=16,
    logging_steps=5,
    save_steps=5,
    seed=42,
    callbacks=[
        PromptProbe(
            [Golden("Hello.", expect=Expect(contains="never said"), name="greeting")],
            baseline=False,
            max_tokens=10,
        ),
        EarlyStopping(samples=SampleRule.failed(times=1)),
    ],
)
'''

LOST = '''\
"""Goes on after the machine: its supervisor and the backend are killed in the middle."""

from arkor_tui import FileDataset, LoraConfig, create_arkor, create_trainer
from arkor_tui.recipes import EarlyStopping, PromptProbe

trainer = create_trainer(
    name="lost",
    model="arkor-tui/tiny",
    dataset=FileDataset("data/train.jsonl"),
    lora=LoraConfig(r=1, alpha=2),
    max_steps=30,
    learning_rate=1e-2,
    batch_size=16,
    logging_steps=2,
    save_steps=10,
    train_on_responses_only=True,
    seed=42,
    callbacks=[
        EarlyStopping(ceiling=50.0, window=5, patience=500),
        PromptProbe(["I can't log in to my account."], max_tokens=20),
    ],
)
arkor = create_arkor(trainer=trainer)
'''

THROWN_AWAY = '''\
from arkor_tui import FileDataset, LoraConfig, create_trainer

trainer = create_trainer(
    name="thrown-away",
    model="arkor-tui/tiny",
    dataset=FileDataset("data/train.jsonl"),
    lora=LoraConfig(r=1, alpha=1),
    max_steps=100,
    batch_size=4,
)
'''

SCRIPT = '''\
"""A plain script: the backend has its run; the archive hears of it when the app asks."""

from arkor_tui import FileDataset, LoraConfig, create_trainer, run_trainer

result = run_trainer(
    create_trainer(
        name="from-a-script",
        model="arkor-tui/tiny",
        dataset=FileDataset("data/train.jsonl"),
        lora=LoraConfig(r=1, alpha=1),
        max_steps=6,
        batch_size=4,
    ),
    raise_on_failure=True,
)
print(result.status)
'''

FAILING = '''\
"""Fails: the seventh line of its data is not JSON."""

from arkor_tui import FileDataset, LoraConfig, create_trainer
from arkor_tui.recipes.notify import WebhookNotifier

trainer = create_trainer(
    name="failing",
    model="arkor-tui/tiny",
    dataset=FileDataset("data/train.jsonl"),
    dataset_format="chatml",
    lora=LoraConfig(r=1, alpha=1),
    max_steps=20,
    callbacks=[WebhookNotifier.from_settings(mention_on_failure=False)],
)
'''

CLOUD = '''\
"""For Arkor's cloud; a backend of 0.1 with --allow-anonymous stands in for it here."""

from arkor_tui import HuggingFaceDataset, LoraConfig, create_arkor, create_trainer

trainer = create_trainer(
    name="cloud-run",
    model="unsloth/gemma-4-E4B-it",
    dataset=HuggingFaceDataset("arkorlab/triage-demo"),
    lora=LoraConfig(r=1, alpha=16),
    max_steps=10,
    batch_size=4,
    learning_rate=1e-2,
    logging_steps=2,
    save_steps=5,
)
arkor = create_arkor(trainer=trainer)
'''


# --- making ---------------------------------------------------------------------------------------


class Sink(http.server.BaseHTTPRequestHandler):
    """Takes messages, and refuses those to Slack as Slack refuses a webhook that was deleted."""

    def do_POST(self) -> None:  # noqa: N802
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        gone = self.path.startswith("/services/")
        self.send_response(404 if gone else 200)
        self.end_headers()
        self.wfile.write(b"no_service" if gone else b"ok")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Machine:
    """A home, folders of 0.1 and its commands, under one root."""

    def __init__(self, root: Path, python: Path, part: str = "") -> None:
        self.root, self.python = root / part, python
        self.home, self.data, self.config = (self.root / n for n in ("home", "data", "config"))
        self.env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "TZ": "UTC",
            "TMPDIR": str(root / "tmp"),
            "ARKOR_TUI_DATA_DIR": str(self.data),
            "ARKOR_TUI_CONFIG_DIR": str(self.config),
            **{f"XDG_{n}_HOME": str(root / "xdg" / n.lower())
               for n in ("DATA", "CONFIG", "CACHE", "STATE")},
            "PYTHONPYCACHEPREFIX": str(root / "pycache"),
            "HF_HUB_OFFLINE": "1",
        }  # fmt: skip
        for folder in (self.home, self.data, self.config, root / "tmp"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def command(
        self, *words: str, cwd: Path | None = None, code: int | None = 0, **env: str
    ) -> str:
        """``arkor-tui WORDS``; what it printed."""
        return self._run("-m", "arkor_tui", *words, cwd=cwd, code=code, **env)

    def script(self, file: str, *, cwd: Path) -> str:
        return self._run(file, cwd=cwd)

    def inside(self, step: str, cwd: Path, *words: str) -> Any:
        """A step of :data:`STEPS` in the app of 0.1; what it returns."""
        out = self._run(str(Path(__file__).absolute()), "--inside", step, *words, cwd=cwd)
        return json.loads(out.splitlines()[-1])

    def _run(
        self, *words: str, cwd: Path | None = None, code: int | None = 0, **env: str
    ) -> str:
        print("  $", " ".join(words)[:110], flush=True)
        done = subprocess.run(
            [str(self.python), *words], cwd=cwd or self.home, env={**self.env, **env},
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600, check=False,
        )  # fmt: skip
        if code is not None and done.returncode != code:
            raise SystemExit(f"{words} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Rows of the archive."""
        return read_rows(self.data / "history.db", query, *values)

    def wait_for(self, query: str, *values: Any) -> None:
        """Until the archive has a row like that."""
        until(lambda: bool(self.rows(query, *values)), f"{query} {values}")


def read_rows(path: Path, query: str, *values: Any) -> list[sqlite3.Row]:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    try:
        db.row_factory = sqlite3.Row
        return db.execute(query, values).fetchall()
    finally:
        db.close()


def until(reached: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not reached():
        if time.monotonic() > end:
            raise SystemExit(f"waited too long for: {what}")
        time.sleep(0.1)


def replaced(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        if text.count(old) != 1:
            raise SystemExit(f"0.1 has changed: {old!r} is there {text.count(old)} times")
        text = text.replace(old, new)
    return text


def few_rows(file: Path, count: int) -> None:
    """A smaller dataset: the starter's has 260 KB."""
    lines = file.read_text("utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:count]), "utf-8")


def install(source: Path, site: Path, root: Path) -> Path:
    """0.1 under the root, so that neither its paths nor those of its packages are this machine's."""
    for name in ("arkor_tui", "themes", "examples"):
        shutil.copytree(source / name, root / "lib" / name,
                        ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
    venv.create(root / "venv", symlinks=True, with_pip=False)
    (root / "site").symlink_to(site)
    packages = next((root / "venv" / "lib").glob("python3*/site-packages"))
    (packages / "arkor-tui-01.pth").write_text(f"{root / 'lib'}\n{root / 'site'}\n")
    return root / "venv" / "bin" / "python"


def make(args: argparse.Namespace) -> None:
    source, root = args.source.absolute(), args.root.absolute()
    if not str(root).startswith("/tmp/") and root.exists():
        raise SystemExit(f"{root} exists; only what is below /tmp is emptied without a word")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True, mode=0o700)
    python = install(source, args.site, root)
    machine = Machine(root, python)
    sink = http.server.ThreadingHTTPServer(("127.0.0.1", SINK_PORT), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    server = None
    try:
        prepare(machine, source)
        server = serve(machine)
        story(machine)
        other_machine(Machine(root, python, "other-machine"), machine)
        afterwards(machine)
        lose(machine, server)
    finally:
        sink.shutdown()
        if server is not None and server.poll() is None:
            server.kill()
        for one in (machine, Machine(root, python, "other-machine")):
            end_left_over(one)
    finish(machine, args.out.absolute(), source)


def prepare(machine: Machine, source: Path) -> None:
    print("settings, theme, a damaged archive")
    (machine.config / "themes").mkdir(mode=0o700)
    settings = machine.config / "settings.toml"
    settings.write_text(SETTINGS, "utf-8")
    settings.chmod(0o600)
    theme = (source / "themes" / "arkor-dark.toml").read_text("utf-8")
    theme = replaced(theme, {'name = "arkor-dark"': 'name = "mine"',
                             'accent = "#f2b866"': 'accent = "#ffcc00"\nboost = "#2a3038"',
                             'muted = "#97a1ab"\n': THEME_MORE,
                             'diff-added = "#8fc979"\n': ""})  # fmt: skip
    (machine.config / "themes" / "mine.toml").write_text(theme, "utf-8")
    # what was an archive once: 0.1 sets it aside, and begins another
    (machine.data / "history.db").write_text("this is no database\n" * 20)
    machine.command("runs")


def serve(machine: Machine) -> subprocess.Popen[bytes]:
    print("the backend")
    rows = machine.home / "triage-demo" / "data" / "train.jsonl"
    machine.command("init", "triage-demo", "--template", "triage")
    few_rows(rows, 60)
    words = ["serve", "--port", str(BACKEND_PORT), "--allow-anonymous",
             "--map-model", "unsloth/gemma-4-E4B-it=arkor-tui/tiny",
             "--map-dataset", f"arkorlab/triage-demo={rows}"]  # fmt: skip
    server = subprocess.Popen(
        [str(machine.python), "-m", "arkor_tui", *words], cwd="/", env=machine.env,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    until((machine.data / "local" / "backend.json").exists, "the backend")
    return server


def story(machine: Machine) -> None:
    home = machine.home
    demo = home / "triage-demo"
    print("a starter, with golden prompts")
    text = (demo / "trainer.py").read_text("utf-8")
    text = replaced(text, {
        "import FileDataset, LoraConfig, create_arkor, create_trainer\n":
            "import FileDataset, LoraConfig, create_arkor, create_trainer\n"
            "from arkor_tui.recipes import EarlyStopping, Expect, Golden, PromptProbe\n",
        "lora=LoraConfig(r=16, alpha=32)": "lora=LoraConfig(r=1, alpha=4)",
        "max_steps=100": "max_steps=40", "eval_steps=25": "eval_steps=10",
        "save_steps=25": "save_steps=10", "batch_size=16": "batch_size=8",
        "    on_started=on_started,\n":
            "    callbacks=[\n"
            "        PromptProbe(\n"
            "            [\n"
            '                Golden("I can\'t log in to my account.", expect=Expect(contains="auth")),\n'
            '                "I was charged twice this month.",\n'
            "            ],\n"
            '            system="You triage support tickets.",\n'
            "            max_tokens=40,\n"
            "            final=True,\n"
            "        ),\n"
            "        EarlyStopping(ceiling=50.0, window=5),\n"
            "    ],\n"
            "    on_started=on_started,\n",
    })  # fmt: skip
    (demo / "trainer.py").write_text(text, "utf-8")
    for name, content in (("prompts.toml", PROMPTS), ("orders.py", ORDERS), ("forms.py", FORMS),
                          ("guarded.py", GUARDED), ("handwritten.py", HANDWRITTEN),
                          ("diverged.py", DIVERGED), ("badly.py", BADLY_ANSWERED),
                          ("lost.py", LOST), ("small.py", THROWN_AWAY),
                          ("script.py", SCRIPT)):  # fmt: skip
        (demo / name).write_text(content, "utf-8")
    machine.command("start", cwd=demo)
    machine.command("probe", "triage-run", "--prompts", "prompts.toml", "--all",
                    "--junit", "report.xml", cwd=demo, code=None)  # fmt: skip
    print("talking, votes, prompts, exports")
    machine.inside("talk", demo)
    print("a guard")
    for file in ("guarded.py", "diverged.py", "badly.py"):
        machine.command("start", file, cwd=demo, code=1)
    print("a failure")
    bot = home / "support-bot"
    (bot / "data").mkdir(parents=True)
    lines = (demo / "data" / "train.jsonl").read_text("utf-8").splitlines(keepends=True)
    (bot / "data" / "train.jsonl").write_text("".join([*lines[:6], "not JSON\n", *lines[6:10]]))
    (bot / "trainer.py").write_text(FAILING, "utf-8")
    machine.command("start", cwd=bot, code=1)
    print("the cloud, for which the backend stands in")
    cloud = home / "cloud-demo"
    cloud.mkdir()
    (cloud / "trainer.py").write_text(CLOUD, "utf-8")
    address = {"ARKOR_CLOUD_API_URL": BACKEND_URL}
    machine.command("login", "--anonymous", cwd=cloud, **address)
    machine.command("start", "--backend", "cloud", cwd=cloud, **address)
    print("Setup without a trainer file")
    setup = home / "setup-demo"
    (setup / "data").mkdir(parents=True)
    (setup / "data" / "train.jsonl").write_text("".join(lines[:30]), "utf-8")
    machine.inside("setup", setup)
    machine.wait_for("SELECT 1 FROM runs WHERE name = 'from-setup' AND status = 'completed'")
    print("cancelled by a person")
    machine.inside("cancel", demo)
    print("detached")
    machine.command("start", "handwritten.py", "--detach", cwd=demo)
    machine.wait_for("SELECT 1 FROM runs WHERE name = 'handwritten' AND status = 'completed'")
    machine.wait_for("SELECT 1 FROM findings JOIN runs ON runs.key = findings.run"
                     " WHERE runs.name = 'handwritten' AND findings.kind = 'notice'")  # fmt: skip
    until(lambda: not list((machine.data / "watchers").glob("*.lock")), "the supervisor's end")
    print("deleted, and made by a script")
    machine.command("start", "small.py", "--dry-run", cwd=demo)
    machine.command("runs", "delete", "thrown-away", "--yes", cwd=demo)
    machine.script("script.py", cwd=demo)


def other_machine(other: Machine, machine: Machine) -> None:
    print("a recording of another machine")
    project = other.home / "translate-demo"
    other.command("init", "translate-demo", "--template", "translate")
    few_rows(project / "data" / "train.jsonl", 20)
    text = (project / "trainer.py").read_text("utf-8")
    text = replaced(text, {
        "lora=LoraConfig(r=16, alpha=32)": "lora=LoraConfig(r=1, alpha=2)",
        "max_steps=100": "max_steps=10", "eval_steps=25": "eval_steps=5",
        "save_steps=25": "save_steps=5", "batch_size=16": "batch_size=4",
        "    on_started=on_started,\n":
            '    callbacks=[PromptProbe(["Wo ist meine Bestellung?"], max_tokens=20)],\n'
            "    on_started=on_started,\n",
        "import FileDataset, LoraConfig, create_arkor, create_trainer\n":
            "import FileDataset, LoraConfig, create_arkor, create_trainer\n"
            "from arkor_tui.recipes import PromptProbe\n",
    })  # fmt: skip
    (project / "trainer.py").write_text(text, "utf-8")
    other.command("start", "--backend", "local", cwd=project)
    other.inside("tag", project, "translate-run", "of-anna", "sent in by Anna")
    recordings = machine.root / "recordings"
    recordings.mkdir()
    file = str(recordings / "imported.jsonl")
    other.command("runs", "export", "translate-run", "-o", file)
    other.command("serve", "--stop")
    machine.command("runs", "import", file)


def afterwards(machine: Machine) -> None:
    print("tags and notes")
    demo = machine.home / "triage-demo"
    for name, tags, note in (
        ("triage-run", "kept best", "the one for the shop; ask Ben before it goes"),
        ("guarded", "too-high", ""),
        ("translate-run", "of-anna other-machine", "sent in by Anna"),
        ("from-a-script", "", "made by script.py, never opened in the app"),
    ):
        machine.inside("tag", demo, name, tags, note)


def lose(machine: Machine, server: subprocess.Popen[bytes]) -> None:
    """What a reboot in the middle of a run leaves."""
    print("a run that has lost its supervisor, and one that waits behind it")
    demo, setup = machine.home / "triage-demo", machine.home / "setup-demo"
    machine.command("start", "lost.py", "--detach", cwd=demo)
    machine.wait_for("SELECT 1 FROM runs WHERE name = 'lost' AND checkpoints > 0")
    trains = children_of(server.pid, "arkor_tui.local.engine.train")
    for pid in trains:
        os.kill(pid, signal.SIGSTOP)  # it gets no further than this
    machine.wait_for("SELECT 1 FROM samples JOIN runs ON runs.key = samples.run"
                     " WHERE runs.name = 'lost' AND samples.step = 10")  # fmt: skip
    machine.inside("queue", setup)
    time.sleep(2)  # supervisors say every second how they stand
    locks = (machine.data / "watchers").glob("*.lock")  # a .json may be left by who has ended
    states = [json.loads(lock.with_suffix(".json").read_text()) for lock in locks]
    if len(states) != 2 or any(state["kind"] != "supervisor" for state in states):
        for pid in trains:
            os.kill(pid, signal.SIGKILL)
        raise SystemExit(f"two supervisors were expected: {states}")
    print("  the machine goes down")
    for pid in [*(state["pid"] for state in states), server.pid, *trains]:
        os.kill(pid, signal.SIGKILL)
    server.wait()
    recordings = machine.root / "recordings"
    for run, file in (("triage-run", "completed"), ("guarded", "stopped"), ("lost", "running"),
                      ("failing", "failed")):  # fmt: skip
        machine.command("runs", "export", run, "-o", str(recordings / f"{file}.jsonl"))


def children_of(pid: int, words: str) -> list[int]:
    found = []
    for one in Path("/proc").iterdir():
        if one.name.isdecimal():
            try:
                parent = int((one / "stat").read_text().rpartition(")")[2].split()[1])
                line = (one / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (OSError, ValueError):
                continue
            if parent == pid and words in line:
                found.append(int(one.name))
    return found


def end_left_over(machine: Machine) -> None:
    """Where something went wrong, nothing that was started here goes on."""
    files = [machine.data / "local" / "backend.json", *machine.data.glob("watchers/*.json")]
    for file in files:
        try:
            pid = json.loads(file.read_text())["pid"]
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError, KeyError):
            continue
        if str(machine.python).encode() in command:
            os.kill(pid, signal.SIGKILL)


# --- inside the app of 0.1 ------------------------------------------------------------------------


class Driver:
    """The app, and hands for it."""

    def __init__(self, app: Any, pilot: Any) -> None:
        self.app, self.pilot = app, pilot

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause()

    async def until(self, reached: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + SECONDS
        while not reached():
            if time.monotonic() > end:
                told = [str(n.message) for n in self.app._notifications]
                raise SystemExit(f"waited too long for: {what}; {self.app.screen}; {told}")
            await self.pilot.pause(0.05)

    def on(self, name: str) -> bool:
        return type(self.app.screen).__name__ == name

    async def answer(self, text: str) -> None:
        """Type over a line that is asked for, and accept it."""
        from textual.widgets import Input

        await self.until(lambda: self.on("Ask"), "a question")
        self.app.screen.query_one(Input).value = text
        await self.press("enter")

    async def choose(self, words: str) -> None:
        """One of a list, by words of it."""
        from textual.widgets import Input

        await self.until(lambda: self.on("Choose"), "a list")
        self.app.screen.query_one(Input).value = words
        await self.pilot.pause(0.2)
        await self.press("enter")

    async def to_run(self, name: str) -> None:
        """The cursor on a run, of whichever project."""
        from arkor_tui.tui.screens.runs import RunTable

        await self.until(lambda: self.on("RunsScreen"), "the list of runs")
        screen = self.app.screen
        await self.until(lambda: self.app.session.connection is not None, "the connection")
        if not screen._everywhere:
            await self.press("a")
        await self.pilot.pause(0.5)
        table = screen.query_one(RunTable)
        for place in range(table.count):
            table.cursor = place
            await self.pilot.pause(0.05)
            if table.current is not None and table.current.name == name:
                table.focus()
                return
        raise SystemExit(f"{name} is not listed")

    async def replies(self) -> None:
        """Until what was asked in the console is answered."""
        screen = self.app.screen
        await self.until(lambda: screen._answers and all(a.done for a in screen._answers)
                         and not screen._asking.is_running, "replies")  # fmt: skip

    async def fields(self, **texts: str) -> None:
        """Into the fields of Setup."""
        from textual.widgets import Input, TextArea

        for name, text in texts.items():
            field = self.app.screen.query_one(f"#field-{name}")
            if isinstance(field, TextArea):
                field.text = text
            else:
                assert isinstance(field, Input)
                field.value = text
        await self.pilot.pause(1.0)
        if self.app.screen._mistakes():
            raise SystemExit(f"Setup: {self.app.screen._mistakes()}")

    async def ask_with(self, **texts: str) -> None:
        """Other settings of the console."""
        from textual.widgets import Input, TextArea

        await self.press("ctrl+o")
        await self.until(lambda: self.on("AskSettingsScreen"), "the settings")
        for name, text in texts.items():
            field = self.app.screen.query_one(f"#ask-{name}")
            if isinstance(field, TextArea):
                field.text = text
            else:
                assert isinstance(field, Input)
                field.value = text
        await self.press("ctrl+s")
        await self.until(lambda: self.on("ConsoleScreen"), "the console")

    async def send(self, prompt: str) -> None:
        from arkor_tui.tui.widgets.talk import PromptArea

        area = self.app.screen.query_one(PromptArea)
        area.focus()
        area.load_text(prompt)
        await self.pilot.pause()
        before = self.app.screen._answers
        await self.press("enter")
        await self.until(lambda: self.app.screen._answers is not before, "the prompt to be sent")


async def in_app(step: Callable[..., Any], words: list[str]) -> Any:
    from arkor_tui.monitor.session import Session
    from arkor_tui.terminal import Capabilities
    from arkor_tui.tui.app import ArkorApp
    from arkor_tui.workspace.settings import read_settings

    async with Session.open(Path.cwd(), "local") as session:
        app = ArkorApp(session, settings=read_settings(), capabilities=Capabilities())
        async with app.run_test(size=(120, 40)) as pilot:
            driver = Driver(app, pilot)
            await driver.until(lambda: session.connection is not None, "the backend")
            await pilot.pause(0.5)
            if driver.on("WelcomeScreen"):
                await driver.press("escape")
            return await step(driver, *words)


async def talk(driver: Driver) -> Any:
    """Everything that the console keeps, about the run of the starter."""
    from textual.widgets import Input

    from arkor_tui.tui.widgets.targets import TargetList

    app = driver.app
    await driver.to_run("triage-run")
    for kind in ("jsonl", "csv", "markdown"):
        await driver.press("x")
        await driver.choose(kind)
        await driver.pilot.pause(0.3)
    await driver.press("i")
    await driver.until(lambda: driver.on("ConsoleScreen"), "the console")
    await driver.until(lambda: len(app.screen.query_one(TargetList).targets) == 6, "targets")
    await driver.pilot.pause(0.3)
    await driver.ask_with(max_tokens="40")
    await driver.send("I can't log in to my account.")
    await driver.replies()
    await driver.press("ctrl+b")  # the base beside it, which is asked the same
    await driver.until(lambda: len(app.screen._answers) == 2, "two answers")
    await driver.replies()
    await driver.press("ctrl+b")
    app.screen.query_one(TargetList).select("checkpoint", 20)
    schema = {"type": "object", "properties": {"category": {"type": "string", "maxLength": 12}},
              "required": ["category"], "additionalProperties": False}  # fmt: skip
    await driver.ask_with(temperature="0.7", top_p="0.9", seed="11", stop="END|STOP",
                          constraint_kind="schema", constraint=json.dumps(schema))  # fmt: skip
    await driver.send("I was charged twice this month.")
    await driver.replies()
    app.screen.query_one(TargetList).select("final", None)
    plain = {"temperature": "0", "top_p": "", "seed": "", "stop": "", "constraint_kind": "",
             "constraint": ""}  # fmt: skip
    await driver.ask_with(**{**plain, "constraint_kind": "regex?", "constraint": "[a-z]+"})
    await driver.send("Which colour has the sky?")  # only judged, and found wrong
    await driver.replies()
    await driver.ask_with(**plain, tools=str(Path("orders.py").absolute()))
    await driver.send("Where is order 4711?")  # refused: no endpoint for automatic choice
    await driver.replies()
    await driver.ask_with(tool_choice="get_order")
    await driver.send("Where is order 4711?")
    await driver.replies()
    await driver.ask_with(tools="", tool_choice="", history="yes")
    await driver.send("Hello, who are you?")
    await driver.replies()
    await driver.send("And what else?")  # with the turn before it
    await driver.replies()
    await driver.ask_with(history="", constraint_kind="regex", constraint="[a-z ]{300,900}",
                          max_tokens="400")  # fmt: skip
    app.screen.query_one(TargetList).select("base", None)
    await driver.send("Tell me a long story.")
    await driver.until(lambda: app.screen._answers[0].pieces > 0, "the first words")
    await driver.press("escape")  # stops it
    await driver.until(lambda: app.screen._answers[0].done, "the end of a reply")
    await driver.pilot.pause(0.3)
    app.screen.query_one(TargetList).select("final", None)
    await driver.ask_with(max_tokens="40", constraint_kind="", constraint="")
    from arkor_tui.tui.widgets.talk import PromptArea

    area = app.screen.query_one(PromptArea)
    for text, name in (("I can't log in to my account.", "login"),
                       ("Mon colis n’est pas arrivé — où est-il ?", "Où est mon colis")):  # fmt: skip
        area.load_text(text)
        await driver.press("ctrl+s")
        await driver.answer(name)
        await driver.pilot.pause(0.2)
    area.load_text("I can't log in to my account.")
    await driver.press("ctrl+t")
    await driver.until(lambda: driver.on("TimeMachineScreen"), "the time machine")
    screen = app.screen
    await driver.until(lambda: all(one.done for one in screen.answers), "every checkpoint")
    await driver.pilot.pause(0.3)
    await driver.press("escape")
    await driver.until(lambda: driver.on("ConsoleScreen"), "the console")
    await driver.press("f5")
    await driver.until(lambda: driver.on("BlindScreen"), "the blind comparison")
    for number, vote in enumerate(("1", "2", "t")):
        screen = app.screen
        if number:
            screen.query_one(Input).focus()
            await driver.press("enter")
        await driver.until(lambda: screen._is_asked, "two answers")  # noqa: B023
        await driver.pilot.pause(0.2)
        await driver.press(vote)
        await driver.until(lambda: screen._votes == number + 1, "the vote")  # noqa: B023
    await driver.press("escape")
    await driver.until(lambda: driver.on("ConsoleScreen"), "the console")
    for kind in ("transcripts.md", "transcripts.jsonl"):
        await driver.press("ctrl+x")
        await driver.choose(kind)
        await driver.pilot.pause(0.3)
    return None


async def setup(driver: Driver) -> Any:
    """A run whose guards, golden prompts and notifications were typed into the form."""
    app = driver.app
    await driver.press("2")
    await driver.until(lambda: driver.on("SetupScreen"), "Setup")
    await driver.pilot.pause(0.5)
    await driver.fields(
        name="from-setup", model="arkor-tui/tiny", dataset="data/train.jsonl", lora_r="1",
        lora_alpha="2", max_length="256", max_steps="20", learning_rate="0.01", batch_size="4",
        warmup_steps="2", lr_scheduler_type="cosine", weight_decay="0.01", logging_steps="2",
        eval_steps="10", save_steps="10", seed="5", guard_ceiling="50", guard_window="5",
        guard_patience="500", guard_metric="eval_loss", guard_non_finite="yes",
        guard_action="checkpoint",
        prompts="I can't log in to my account. => auth\nIs \"this\" a question? => yes\nBe brief.",
        notify="webhook, bell",
    )  # fmt: skip
    await driver.press("ctrl+w")
    await driver.answer(str(Path("my_trainer.py").absolute()))
    await driver.until(Path("my_trainer.py").exists, "the trainer file")
    await driver.press("ctrl+s")
    await driver.until(lambda: driver.on("LiveScreen"), "Live")
    monitor = app.current
    await driver.until(lambda: monitor.record.is_terminal, "the end of the run")
    await driver.until(lambda: not list(_watchers().glob("*.lock")), "the supervisor's end")
    return None


async def cancel(driver: Driver) -> Any:
    """From a trainer file, changed in the form and with a guard of the form; cancelled on Live."""
    app = driver.app
    await driver.press("2")
    await driver.until(lambda: driver.on("SetupScreen") and app.screen._trainer is not None, "Setup")
    await driver.pilot.pause(0.5)
    await driver.fields(
        name="by-hand", max_steps="400", lora_r="1", logging_steps="2", guard_ceiling="60",
        prompts="I was charged twice this month.",
    )  # fmt: skip
    await driver.press("ctrl+s")
    await driver.until(lambda: driver.on("LiveScreen"), "Live")
    monitor = app.current
    await driver.until(lambda: monitor.record.checkpoints > 0, "a checkpoint")
    await driver.press("ctrl+g")  # a key of the settings
    await driver.until(lambda: driver.on("Confirm"), "the question")
    await driver.press("y")
    await driver.until(lambda: monitor.record.is_terminal, "the end of the run")
    await driver.until(lambda: not list(_watchers().glob("*.lock")), "the supervisor's end")
    return None


async def tag(driver: Driver, name: str, tags: str, note: str) -> Any:
    await driver.to_run(name)
    for key, text in (("t", tags), ("n", note)):
        if text:
            await driver.press(key)
            await driver.answer(text)
            await driver.pilot.pause(0.3)
    return None


async def queue(driver: Driver) -> Any:
    """A run that waits behind another, set up without a trainer file."""
    app = driver.app
    await driver.press("2")
    await driver.until(lambda: driver.on("SetupScreen"), "Setup")
    await driver.pilot.pause(0.5)
    await driver.fields(
        name="waiting", model="arkor-tui/tiny", dataset="data/train.jsonl", lora_r="1",
        lora_alpha="1", max_steps="6", learning_rate="0.01", batch_size="4", save_steps="3",
        logging_steps="1", guard_ceiling="40", guard_window="3",
        prompts="I can't log in to my account.",
    )  # fmt: skip
    await driver.press("ctrl+s")
    await driver.until(lambda: driver.on("LiveScreen"), "Live")
    await driver.until(lambda: len(list(_watchers().glob("*.lock"))) == 2, "its supervisor")
    await driver.pilot.pause(1.5)
    return app.current.record.identity.job_id


def _watchers() -> Path:
    return Path(os.environ["ARKOR_TUI_DATA_DIR"]) / "watchers"


STEPS = {"talk": talk, "setup": setup, "cancel": cancel, "tag": tag, "queue": queue}


def told_by_01(folder: str, recordings: str) -> dict[str, Any]:
    """What 0.1 itself makes of its files."""
    from dataclasses import asdict

    import arkor_tui
    import arkor_tui.recipes
    import arkor_tui.recipes.notify
    from arkor_tui.cli import COMMANDS
    from arkor_tui.cli.runs import as_json
    from arkor_tui.history.archive import Archive
    from arkor_tui.history.export import read_recording
    from arkor_tui.training.draft import from_settings
    from arkor_tui.training.draft_source import recall
    from arkor_tui.training.loading import load_tools, load_trainer
    from arkor_tui.tui.keymap import actions_of
    from arkor_tui.tui.places import bound_places
    from arkor_tui.tui.themes import load_themes
    from arkor_tui.workspace.credentials import read_credentials
    from arkor_tui.workspace.settings import read_settings
    from arkor_tui.workspace.state import read_state

    home = Path(folder)

    def trainer(file: Path) -> dict[str, Any]:
        os.chdir(file.parent)
        one = load_trainer(file)
        assert one.settings is not None
        return {
            "request": one.request().to_wire(),
            "callbacks": [type(each).__name__ for each in one.callbacks],
            "form": from_settings(one.settings),
            "recalled": recall(file.read_text("utf-8")),
        }

    actions: dict[str, dict[str, Any]] = {}
    for place in bound_places():
        for action, keys, text in actions_of(place):
            actions.setdefault(action, {"keys": keys.split(","), "does": text})
    settings = asdict(read_settings())
    settings["keys"] = dict(settings["keys"])
    credentials = read_credentials()
    themes = load_themes()
    with Archive.open() as archive:
        listed = [as_json(run) for run in archive.runs(limit=1_000)]
    files = [*sorted(home.glob("*/*trainer.py")),
             *(home / "triage-demo" / f"{n}.py" for n in ("guarded", "handwritten", "lost",
                                                          "small", "diverged", "badly")),
             *sorted(_watchers().glob("*.py"))]  # fmt: skip
    here = Path.cwd()
    found = {str(file): trainer(file) for file in files}
    os.chdir(here)
    return {
        "trainers": found,
        "tools": [one.name for one in load_tools(home / "triage-demo" / "orders.py")],
        "settings": settings,
        "theme": {"problems": themes.problems, "mine": asdict(themes.themes["mine"])},
        "credentials": asdict(credentials) if credentials is not None else None,
        "state": asdict(read_state(home / "cloud-demo")),  # type: ignore[arg-type]
        "recordings": {
            file.name: {"name": one.run.name, "status": one.run.status,
                        "jobId": one.run.identity.job_id, "events": len(list(one.events))}
            for file in sorted(Path(recordings).glob("*.jsonl"))
            for one in [read_recording(file)]
        },
        "listed": listed,
        "public": {
            "arkor_tui": sorted(arkor_tui.__all__),
            "arkor_tui.recipes": sorted(arkor_tui.recipes.__all__),
            "arkor_tui.recipes.notify": sorted(arkor_tui.recipes.notify.__all__),
        },
        "actions": actions,
        "commands": sorted(COMMANDS),
    }  # fmt: skip


def inside(words: list[str]) -> None:
    if words[0] == "tell":
        found: Any = told_by_01(*words[1:])
    else:
        found = asyncio.run(in_app(STEPS[words[0]], words[1:]))
    print(json.dumps(found, default=list))


# --- what comes out -------------------------------------------------------------------------------


def finish(machine: Machine, out: Path, source: Path) -> None:
    """Tidy up what would be another machine's, put the folders together, and say what is in them.

    The only changes of what 0.1 wrote: logs of SQLite folded in, secrets and process ids replaced,
    weights and copies of data taken away.
    """
    print("putting it together")
    root = machine.root
    tokens = without_secrets(machine)
    without_processes(machine)
    kept = without_weights(machine)
    for file in (machine.data / "history.db", machine.data / "local" / "backend.db"):
        db = sqlite3.connect(file)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            raise SystemExit(f"{file} is damaged")
        db.close()
    told = machine.inside("tell", machine.home, str(machine.home), str(root / "recordings"))
    expected = expectation(machine, told, kept)
    for name in ("home", "data", "config", "recordings", "credentials", "trainers"):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in ("home", "data", "config", "recordings"):
        shutil.copytree(root / name, out / name,
                        ignore=shutil.ignore_patterns("__pycache__", "*-wal", "*-shm"))  # fmt: skip
    for file in out.glob("home/*/.gitignore"):
        file.unlink()  # would keep .arkor out of whichever repository these folders get into
    for file in out.glob("home/*/data/heldout.jsonl"):
        file.unlink()
    trainers = out / "trainers"
    trainers.mkdir()
    setup_file = next(f for f, t in told["trainers"].items()
                      if "watchers" in f and t["request"]["name"] == "from-setup")  # fmt: skip
    shutil.copy(machine.home / "triage-demo" / "handwritten.py", trainers / "handwritten.py")
    shutil.copy(machine.home / "setup-demo" / "my_trainer.py", trainers / "saved_by_setup.py")
    shutil.copy(setup_file, trainers / "recipes_without_a_file.py")
    for name in ("triage", "translate", "redaction", "blank"):
        shutil.copy(source / "arkor_tui" / "starters" / name / "trainer.py",
                    trainers / f"starter_{name}.py")  # fmt: skip
    shutil.copytree(source / "examples", trainers / "examples",
                    ignore=shutil.ignore_patterns("__pycache__", "data"))  # fmt: skip
    other_credentials(out / "credentials")
    text = json.dumps(expected, indent=1, ensure_ascii=False, sort_keys=False)
    (out / "expected.json").write_text(text + "\n", "utf-8")
    (out / "README.md").write_text(readme(expected), "utf-8")
    check(out, tokens, (str(source), str((root / "site").resolve()), str(Path(__file__).parent)))


def fake(what: str) -> str:
    """No secret, though of the form of one."""
    return f"FAKE-{what}-not-a-secret-".ljust(TOKEN_SIGNS, "0")[:TOKEN_SIGNS]


def without_secrets(machine: Machine) -> list[str]:
    """Fake tokens of the same form, which still fit together; the real ones that were replaced."""
    local = machine.data / "local"
    token = (local / "token").read_text()
    path = machine.home / ".arkor" / "credentials.json"
    anonymous = json.loads(path.read_text())["token"]
    fakes = {token: fake("local-backend"), anonymous: fake("anonymous")}
    if token in fakes.values():
        return []  # that was done before
    for file, real in ((local / "token", token), (path, anonymous)):
        file.write_text(file.read_text().replace(real, fakes[real]))
    db = sqlite3.connect(local / "backend.db")
    with db:
        for real, other in fakes.items():
            db.execute("UPDATE identities SET token_hash = ? WHERE token_hash = ?",
                       [hashlib.sha256(t.encode()).hexdigest() for t in (other, real)])  # fmt: skip
    db.close()
    return list(fakes)


def without_processes(machine: Machine) -> None:
    for file in (machine.data / "local" / "backend.json", *machine.data.glob("watchers/*.json")):
        raw = file.read_text()
        file.write_text(re.sub(r'("pid": ?)\d+', rf"\g<1>{NO_PROCESS}", raw))


def without_weights(machine: Machine) -> dict[str, list[str]]:
    """Only two adapters keep their weights; by job, the files of these."""
    jobs = {row["job_id"]: row["name"] for row in machine.rows("SELECT job_id, name FROM runs")}
    keep = {("triage-run", "final"), ("lost", "checkpoints/step-10")}
    kept: dict[str, list[str]] = {}
    for file in sorted((machine.data / "local" / "jobs").glob("**/*.safetensors")):
        job, *rest = file.relative_to(machine.data / "local" / "jobs").parts
        name, path = jobs.get(job, ""), "/".join(rest)
        adapter = path.removesuffix("/" + file.name).removesuffix("/training_state")
        whole = name == "lost" or "training_state" not in path
        if (name, adapter) in keep and whole:
            kept.setdefault(job, []).append(path)
        elif "training_state" in path:
            shutil.rmtree(file.parent)
        else:
            file.unlink()
            (file.parent / "README.md").unlink()  # of PEFT, with nothing in it
    if sum(map(len, kept.values())) != 3:
        raise SystemExit(f"other adapters than expected: {kept}")
    return kept


def other_credentials(folder: Path) -> None:
    """In Arkor's format, as `arkor login` leaves them: an account, now and before July 2026."""
    folder.mkdir()
    account = {
        "mode": "oauth", "accessToken": fake("access"), "refreshToken": fake("refresh"),
        "expiresAt": 4102444800, "auth0Domain": "auth.example.com",
        "audience": "https://api.example.com", "clientId": "FAKE-client",
        "arkorCloudApiUrl": "https://api.example.com", "addedLater": {"kept": True},
    }  # fmt: skip
    old = {"mode": "auth0", "accessToken": fake("old-login"), "expiresAt": 1767225600}
    for name, raw in (("oauth.json", account), ("auth0.json", old)):
        (folder / name).write_text(json.dumps(raw, indent=2))
        (folder / name).chmod(0o600)


def expectation(
    machine: Machine, told: dict[str, Any], kept: dict[str, list[str]]
) -> dict[str, Any]:
    """Everything that is in the folders, read by SQL alone but for what ``told_by_01`` says."""
    runs = [run_of(machine, row) for row in machine.rows("SELECT * FROM runs ORDER BY key")]
    by_file = {one["watchFiles"]: one["name"] for one in runs}
    watchers: dict[str, dict[str, Any]] = {}
    for file in sorted((machine.data / "watchers").iterdir()):
        one = watchers.setdefault(file.stem, {"run": by_file[file.stem], "files": []})
        one["files"].append(file.name)
        if file.suffix == ".json":
            one["state"] = json.loads(file.read_text())
    prompts = [
        {k: row[k] for k in ("name", "prompt", "system")} | {"settings": json.loads(row["settings"])}
        for row in machine.rows("SELECT * FROM prompts ORDER BY id")
    ]
    store = machine.data / "local" / "backend.db"
    jobs = [
        {
            "id": row["id"], "org": row["org"], "project": row["project"], "name": row["name"],
            "status": row["status"], "error": row["error"],
            "events": read_rows(store, "SELECT count(*) FROM events WHERE job_id = ?",
                                row["id"])[0][0],
            "checkpoints": [r[0] for r in read_rows(
                store, "SELECT step FROM checkpoints WHERE job_id = ? ORDER BY step", row["id"])],
            "modelSource": json.loads(row["spec"])["model_source"],
            "weights": kept.get(row["id"], []),
        }
        for row in read_rows(store, "SELECT * FROM jobs ORDER BY created_at, rowid")
    ]  # fmt: skip
    return {
        "version": "0.1.0",
        "commit": COMMIT[:7],
        "root": str(machine.root),
        "archive": {
            "userVersion": machine.rows("PRAGMA user_version")[0][0],
            "tables": {
                name: machine.rows(f"SELECT count(*) FROM {name}")[0][0]  # noqa: S608
                for name in ("runs", "events", "points", "exchanges", "prompts", "samples",
                             "findings", "marks")
            },
        },
        "runs": runs,
        "prompts": prompts,
        "listed": told["listed"],
        "watchers": watchers,
        "backend": {
            "jobs": jobs,
            "projects": [dict(row) for row in read_rows(store, "SELECT * FROM projects")],
            "identities": [{"id": row["id"], "org": row["org"]}
                           for row in read_rows(store, "SELECT * FROM identities")],
            "info": json.loads((machine.data / "local" / "backend.json").read_text()),
            "token": (machine.data / "local" / "token").read_text(),
        },
        "recordings": told["recordings"],
        "settings": told["settings"],
        "theme": told["theme"],
        "credentials": told["credentials"],
        "state": told["state"],
        "trainers": told["trainers"],
        "tools": told["tools"],
        "actions": told["actions"],
        "commands": told["commands"],
        "public": told["public"],
    }  # fmt: skip


def run_of(machine: Machine, row: sqlite3.Row) -> dict[str, Any]:
    key = row["key"]

    def rows(query: str) -> list[sqlite3.Row]:
        return machine.rows(query, key)

    samples: dict[str, dict[str, Any]] = {}
    for one in rows("SELECT * FROM samples WHERE run = ? ORDER BY probe, prompt,"
                    " target = 'final', ifnull(step, -1)"):  # fmt: skip
        probe = samples.setdefault(
            one["probe"], {"count": 0, "passed": 0, "failed": 0, "unjudged": 0, "targets": []}
        )
        probe["count"] += 1
        how = {1: "passed", 0: "failed", None: "unjudged"}[one["passed"]]
        probe[how] += 1
        where = f"step {one['step']}" if one["target"] == "checkpoint" else one["target"]
        if where not in probe["targets"]:
            probe["targets"].append(where)
    exchanges = [
        {
            "target": one["target"], "step": one["step"],
            "prompt": json.loads(one["messages"])[-1]["content"],
            "messages": len(json.loads(one["messages"])), "reply": one["reply"],
            "settings": json.loads(one["settings"]), "finishReason": one["finish_reason"],
            "verdict": one["verdict"], "error": one["error"], "grouped": one["grp"] is not None,
        }
        for one in rows("SELECT * FROM exchanges WHERE run = ? ORDER BY id")
    ]  # fmt: skip
    identity = [row[name] for name in ("backend", "org", "project", "job_id")]
    return {
        "key": key, "name": row["name"], "jobId": row["job_id"], "backend": row["backend"],
        "org": row["org"], "project": row["project"], "status": row["status"],
        "error": row["error"], "reason": row["reason"], "model": row["model"],
        "dataset": row["dataset"], "origin": row["origin"], "trainerFile": row["trainer_file"],
        "recipes": row["recipes"], "tags": row["tags"].split(), "note": row["note"],
        "deletedAt": row["deleted_at"], "createdAt": row["created_at"],
        "startedAt": row["started_at"], "completedAt": row["completed_at"],
        "maxSteps": row["max_steps"], "lastStep": row["last_step"], "lastLoss": row["last_loss"],
        "bestLoss": row["best_loss"], "lastEvalLoss": row["last_eval_loss"],
        "bestEvalLoss": row["best_eval_loss"], "events": row["events"],
        "lastEventId": row["last_event_id"],
        "kinds": {one[0]: one[1] for one in rows(
            "SELECT kind, count(*) FROM events WHERE run = ? GROUP BY kind ORDER BY kind")},
        "checkpoints": row["checkpoints"],
        "checkpointSteps": [one[0] for one in rows(
            "SELECT step FROM events WHERE run = ? AND kind = 'checkpoint.saved' ORDER BY seq")],
        "losses": [[one[0], one[1]] for one in rows(
            "SELECT step, json_extract(data, '$.loss') FROM events"
            " WHERE run = ? AND kind = 'training.log' ORDER BY seq")],
        "series": [one[0] for one in rows(
            "SELECT DISTINCT name FROM points WHERE run = ? ORDER BY name")],
        "samples": samples,
        "transcripts": len(exchanges), "exchanges": exchanges,
        "findings": [
            {"kind": one["kind"], "name": one["name"], "step": one["step"],
             "data": json.loads(one["data"])}
            for one in rows("SELECT * FROM findings WHERE run = ? ORDER BY id")
        ],
        "marks": [one[0] for one in rows("SELECT mark FROM marks WHERE run = ? ORDER BY mark")],
        "watchFiles": hashlib.sha256("\0".join(identity).encode()).hexdigest()[:24],
        "config": json.loads(row["config"]),
    }  # fmt: skip


README = """\
# Data folders of arkor-tui 0.1

Made by `make.py` with the released commit {commit}, really used: its commands, and its app by keys
(Textual's pilot). Nobody wrote these files by hand but where it says so. They are for tests that
what 0.1 has left goes on working. `expected.json` says everything that is in them, read by SQL alone
and by 0.1 itself; this page is written by `make.py` too. {size} in all.

    python make.py SOURCE SITE_PACKAGES OUT    # a checkout of 0.1, its packages, this folder

`tests/support/data_of_0_1.py` puts a copy somewhere, with the paths of there.

Stored paths begin with `{root}`, where all of it was made; 0.1 itself lay in `{root}/lib` (so the
backend's jobs name the base model `{root}/lib/arkor_tui/local/tiny`: a copy of 0.1 that is
replaced by another version has that path no more). It changes the paths in a copy, sets
the modes (0600, 0700) that Git does not keep and without which tokens and addresses are refused, and has the
deleted run be deleted just now.

**Putting it into a repository:** `.arkor/` and perhaps `*.log` are ignored there, so `git add -f`.
Empty files (`*.lock`, `lock`, some logs) matter: they are what a killed process leaves.

## What was changed after 0.1 had written it

- SQLite's logs are folded in (`wal_checkpoint(TRUNCATE)`, `VACUUM`; both still are in WAL mode).
- Tokens are fake ones of the same form: that of the local backend ({token}), and the anonymous one
  of the credentials, whose hash in `backend.db` fits the fake one.
- Process ids in `backend.json` and `watchers/*.json` are {pid}, which is nobody's.
- Weights are left of two adapters only: the final one of `triage-run`, and checkpoint 10 of `lost`
  with its optimizer, from which a backend can go on. Of all others `adapter_config.json` is left,
  without weights, PEFT's README and optimizer. Events still name the files.
- `.gitignore` and `data/heldout.jsonl` of starter projects are gone. (Training data were cut to 60
  rows before anything was trained.)

## `data/`: the data folder

| file | what |
|---|---|
| `history.db` | the archive, schema version {version}: {tables} |
| `history.db.lock`, `history.db.broken-1` | what opening leaves; a file that was no database, set aside |
| `local/backend.db` | the embedded backend: {jobs} jobs with events and checkpoints, one anonymous identity with one project |
| `local/backend.json`, `token`, `lock`, `server.log`, `inference.log` | of a backend that was killed |
| `local/jobs/JOB/` | `train.log`, `checkpoints/step-N`, `final` |
| `watchers/HASH.*` | HASH is the SHA-256 of backend, org, project, job id, apart by NUL, 24 signs |

### Runs in the archive

{runs}

How each was made:

- **triage-run**: `init --template triage`, then in `trainer.py` r=1, 40 steps, a checkpoint every 10,
  a `PromptProbe` and an `EarlyStopping` that never fires; `arkor-tui start`. Its own callbacks of the
  starter ran too. Then `arkor-tui probe --prompts prompts.toml --all`, whose answers are the probe
  `prompts`. In the console {talk} prompts and replies: to the final adapter, the base beside it (a
  group), a schema that is enforced (checkpoint 20, with temperature, top-p, seed and stop words), a
  pattern that is only judged (and does not match), tools (refused with an error; then forced), with
  and without earlier turns, one stopped by Esc (`finish_reason` `stopped`), the time machine (a
  group of six) and three blind comparisons with a vote each (first, second, tie). One reply may
  hold control characters, as this model writes them. Tagged and noted in the list of runs.
- **guarded**: `EarlyStopping(ceiling=1.5, window=5, action="checkpoint")`; findings `armed`,
  `stopping`, `stopped`. A webhook took its messages; Slack (a server here) refused one with 404.
- **diverged**: learning rate 10; the losses of steps 4 and 5 are null; stopped at once.
- **badly-answered**: stopped by `SampleRule.failed()`; has the mark `EarlyStopping fired: sample`.
- **failing**: line 7 of its data is not JSON. No `training.started`, no start time.
- **cloud-run**: `login --anonymous` and `start --backend cloud`; a backend of 0.1 with
  `--allow-anonymous` and mapped names was the cloud.
- **from-setup**: everything typed into Setup, no trainer file: its recipes are
  `watchers/{setup_watch}.py`. ctrl+w had saved the same as `home/setup-demo/my_trainer.py`.
- **by-hand**: Setup filled in from `triage-demo/trainer.py`, then changed, with a guard and a prompt
  of the form: callbacks of both files, samples under `probe` and `probe 2`. Cancelled on Live.
- **handwritten**: `start handwritten.py --detach`; what its callbacks printed is in its `.log`.
- **thrown-away**: `start --dry-run`, then `runs delete`. Hidden; `runs undelete` brings it back.
- **translate-run**: made on another machine (other folders), tagged and noted there, exported, and
  imported here (`recordings/imported.jsonl`). One more tag was added here.
- **from-a-script**: `run_trainer` of a plain script: 0.1 archives no such run. The app has it from
  the backend's list alone; its {script_events} events are in `backend.db` only.
- **lost**: `start lost.py --detach`; training was halted after checkpoint 10, then supervisor, backend
  and training process were killed (SIGKILL). Its `.lock` is held by nobody, its `.json` says who had
  it. A backend that starts goes on with it from checkpoint 10 to step 30.
- **waiting**: set up in Setup without a trainer file behind `lost`; queued, its supervisor killed.

### Prompt library

`login` and `Où est mon colis` (not ASCII), both with the system prompt of the run.

## `config/`

`settings.toml` has every key of 0.1, none with its default; every address is of this machine. Keys
are a part of it (0.1 has no other keymap): `live.cancel` = `ctrl+g`, `view.runs` = `1`, `f9`,
`runs.tag` = `t`, `T`, `console.time` = `ctrl+t`, `f8`. `themes/mine.toml` is the theme `mine` that
the settings name: `arkor-dark` with other `accent`, `muted`, `diff-added`, and with `boost` and a
text style.

## `home/`

`.arkor/credentials.json` (anonymous, written by `login`), the projects `triage-demo`, `support-bot`,
`setup-demo`, and `cloud-demo` with the `.arkor/state.json` that 0.1 wrote. In `triage-demo` also: what
the app exported of `triage-run` (`.jsonl`, `.csv`, `.md`, `.talk.md`, `.talk.jsonl`), the JUnit report of
`probe`, `prompts.toml`, `orders.py` (tools), `forms.py` (a model class for `chat --model-type`).

`settings.toml` says `backend = "local"`; without it the credentials would make it the cloud.

## `recordings/`

{recordings}

## `trainers/`

- `handwritten.py`: by hand, in the style of README and docs; it imports everything public of
  `arkor_tui`, `arkor_tui.recipes` and `arkor_tui.recipes.notify`, and what the docs name beyond:
  `arkor_tui.errors`, `arkor_tui.plain`, `arkor_tui.training.tools`, `arkor_tui.training.typed`. It wants
  `data/train.jsonl` and `prompts.toml` beside it: `home/triage-demo` has them.
- `saved_by_setup.py` (ctrl+w) and `recipes_without_a_file.py` (of `watchers/`): the same text.
- `starter_*.py`: as `init` of 0.1 writes them. `examples/`: those of 0.1.

`expected.json` has the exact request of every trainer of `home/` and `watchers/`, its callbacks, the
form that Setup makes of it and what `recall` finds in it.

## `credentials/`

By hand, in Arkor's format: `oauth.json` (an account, with a field that 0.1 does not know), `auth0.json`
(from before July 2026, without refresh token and address).

## `expected.json`

| key | what |
|---|---|
| `runs` | every row of `runs`, the deleted one too, with losses by step, kinds of events, checkpoints, samples by probe, exchanges, findings, marks, name of its watch files |
| `listed` | what `runs --json` of 0.1 gives (not the deleted one; `duration` of a live run is of that moment) |
| `archive`, `prompts`, `watchers`, `backend`, `recordings` | what those files hold |
| `settings`, `theme`, `credentials`, `state` | as 0.1 reads them |
| `trainers`, `tools` | see above; functions of `orders.py` |
| `actions` | every action id of 0.1 with its keys: what a `[keys]` table may name |
| `commands`, `public` | commands, and the public names of three modules |

## What is not here

- `arkor-tui chat` archives nothing in 0.1: transcripts come from the app's console.
- Runs cannot be starred in 0.1; a user's keymap file does not exist.
- A guard whose stop was not confirmed (finding `failed`), a lost connection (`connection`), a run
  whose disk was full: not made.
- An archive of schema version 1: no released version had it.
- `serve.log`: of a backend that the app starts by itself; here `serve` was started by hand. Files
  of a backend of another data folder (`serve --data-dir`) have the form of `data/local`.
- A run at a URL (`--backend URL`): its `backend` would be the address.
"""


def readme(expected: dict[str, Any]) -> str:
    """What is in the folders, for people."""
    def loss(value: float | None) -> str:
        return "-" if value is None else f"{value:.4f}"

    lines = ["| name | status | backend, project | why | steps | last loss | events | checkpoints"
             " | samples | transcripts | tags; note |", "|" + " --- |" * 11]  # fmt: skip
    for run in expected["runs"]:
        why = run["reason"] or (run["error"] if run["status"] == "failed" else "")
        samples = ", ".join(f"{name}: {one['count']} ({one['passed']} passed)"
                            for name, one in run["samples"].items())  # fmt: skip
        status = run["status"] + (", deleted" if run["deletedAt"] else "")
        more = "; ".join(filter(None, (" ".join(run["tags"]), run["note"])))
        checkpoints = ", ".join(map(str, run["checkpointSteps"])) or "-"
        cells = (
            run["name"], status, f"{run['backend']}, {run['project']}", why or "",
            f"{run['lastStep'] or 0} of {run['maxSteps']}", loss(run["lastLoss"]),
            str(run["events"]), checkpoints, samples or "-", str(run["transcripts"]), more,
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    by_name = {run["name"]: run for run in expected["runs"]}
    jobs = expected["backend"]["jobs"]
    return README.format(
        commit=expected["commit"], root=expected["root"], size="About a megabyte", pid=NO_PROCESS,
        token=expected["backend"]["token"], version=expected["archive"]["userVersion"],
        tables=", ".join(f"{count} {name}" for name, count in expected["archive"]["tables"].items()),
        jobs=len(jobs), runs="\n".join(lines), talk=by_name["triage-run"]["transcripts"],
        setup_watch=by_name["from-setup"]["watchFiles"],
        script_events=next(j["events"] for j in jobs if j["name"] == "from-a-script"),
        recordings="\n".join(
            f"- `{name}`: {one['name']}, {one['status']}, {one['events']} events"
            for name, one in expected["recordings"].items()),
    )  # fmt: skip


def check(out: Path, secrets: list[str], places: tuple[str, ...]) -> None:
    """Neither a secret, nor a path of the machine that made this."""
    size = 0
    for file in sorted(out.rglob("*")):
        if file.is_file():
            content = file.read_bytes()
            size += len(content)
            for word in (*secrets, *places):
                if len(word) > 1 and word.encode() in content and file.suffix != ".pyc":
                    raise SystemExit(f"{file} holds {word}")
    print(f"{size:,} bytes in {out}")


def main() -> None:
    if sys.argv[1:2] == ["--inside"]:
        inside(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("site", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--root", type=Path, default=Path("/tmp/arkor-tui-01"))
    parser.add_argument(
        "--again", action="store_true", help="only put together what an earlier call left there"
    )
    args = parser.parse_args()
    head = subprocess.run(["git", "-C", str(args.source), "rev-parse", "HEAD"],
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    if not head.startswith(COMMIT[:7]):
        raise SystemExit(f"{args.source} is at {head[:7]}, not at the released {COMMIT[:7]}")
    os.umask(0o022)
    if args.again:
        root = args.root.absolute()
        machine = Machine(root, root / "venv" / "bin" / "python")
        finish(machine, args.out.absolute(), args.source.absolute())
    else:
        make(args)


if __name__ == "__main__":
    main()
