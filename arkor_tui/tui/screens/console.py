"""Console: talk to the base model, to any checkpoint, to the final adapter, or to several."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static
from textual.worker import Worker

from arkor_tui.archive.records import Prompt, RunRecord
from arkor_tui.chat.asking import Answer, AskSettings, settings_from
from arkor_tui.chat.target import label_of
from arkor_tui.session.asking import ask, targets_of
from arkor_tui.session.monitor import RunMonitor
from arkor_tui.session.updates import Update
from arkor_tui.starters import starter_of
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.widgets.asksettings import DEFAULTS, AskSettingsScreen
from arkor_tui.tui.widgets.dialogs import Ask, Choose, ChooseSeveral
from arkor_tui.tui.widgets.talk import ExchangeView, PromptArea, TalkPane
from arkor_tui.tui.widgets.targets import MOST_TARGETS, TargetList

from .base import BaseScreen

DRAW_SECONDS = 0.06
"""Between drawings of a reply that is coming in."""


TOLD = (
    ("top_p", "top-p"), ("seed", "seed"), ("stop", "stop"), ("history", "remember"),
    ("constraint_kind", "constraint"), ("tools", "tools"),
)  # fmt: skip
"""Settings that the head names where they are set."""


_TARGETS_HEAD = " Talk to          {}"


class ConsoleScreen(BaseScreen):
    """One conversation with one or several targets."""

    ABOUT = (
        "Enter sends, ctrl+j breaks the line, up brings earlier prompts back to be edited. "
        "Esc stops a reply, then leaves the prompt; Enter returns to it."
    )
    CSS = """
    ConsoleScreen #console-head {
        height: 1; background: $panel; text-wrap: nowrap; text-overflow: ellipsis;
    }
    ConsoleScreen #console-panes { height: 1fr; }
    ConsoleScreen #targets-pane { width: 26; border-right: solid $panel; }
    ConsoleScreen.-narrow #targets-pane { display: none; }
    ConsoleScreen #targets { height: 1fr; }
    ConsoleScreen #talk-pane { width: 1fr; }
    ConsoleScreen #talk { height: 1fr; padding: 0 1; }
    ConsoleScreen #prompt {
        height: auto; min-height: 3; max-height: 10; padding: 0 1;
        border: none; border-top: solid $primary 50%; background: $surface;
    }
    ConsoleScreen #prompt:focus { border: none; border-top: solid $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+k", "target", "target", id="console.target", priority=True),
        Binding("ctrl+b", "beside_base", "base", id="console.base", priority=True),
        Binding("ctrl+t", "time_machine", "time machine", id="console.time", priority=True),
        Binding("ctrl+o", "settings", "settings", id="console.settings", priority=True),
        Binding("ctrl+r", "retry", "retry", id="console.retry", priority=True),
        Binding("ctrl+l", "library", "prompts", id="console.library", priority=True, show=False),
        Binding("ctrl+s", "keep_prompt", "keep prompt", id="console.keep", priority=True,
                show=False),
        Binding("ctrl+f", "transcripts", "transcripts", id="console.search", priority=True,
                show=False),
        Binding("f5", "blind", "blind A/B", id="console.blind", priority=True, show=False),
        Binding("f6", "bisect", "bisect", id="console.bisect", priority=True, show=False),
        Binding("ctrl+x", "export", "export", id="console.export", priority=True, show=False),
        Binding("ctrl+y", "copy", "copy reply", id="console.copy", priority=True, show=False),
        Binding("ctrl+n", "clear", "new talk", id="console.clear", priority=True, show=False),
        Binding("escape", "escape", "stop/back", id="console.escape"),
        Binding("tab", "app.focus_next", "next pane", show=False),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.run: RunRecord | None = None
        self._texts = dict(DEFAULTS)
        self._suited = ""  # the system prompt that came with the run, and was not typed
        self._settings = AskSettings()
        self._messages: list[dict[str, Any]] = []
        self._remembered = False  # whether the last exchange is among them
        self._prompts: list[str] = []
        self._recalled = 0
        self._last_prompt = ""
        self._asking: Worker[None] | None = None
        self._answers: list[Answer] = []
        self._ask_again = False

    def content(self) -> ComposeResult:
        """Targets, conversation, prompt."""
        yield Static(id="console-head", markup=False)
        with Horizontal(id="console-panes"):
            with Vertical(id="targets-pane"):
                yield Static(_TARGETS_HEAD.format("loss"), id="targets-head",
                             classes="pane-title", markup=False)  # fmt: skip
                yield TargetList(id="targets")
            with Vertical(id="talk-pane"):
                yield TalkPane(id="talk")
                yield PromptArea(id="prompt")

    AUTO_FOCUS = "#prompt"

    def on_resize(self) -> None:
        """Another width has room for more of a long name."""
        if self.run is not None:
            self._show_head()

    def on_screen_resume(self) -> None:
        """Another run or checkpoint may be wanted."""
        super().on_screen_resume()
        self._take_up()

    @work(group="targets", exclusive=True)
    async def _take_up(self) -> None:
        # both stay as they are until all is done: what is new of a run begins this once more
        wanted = self.host.to_ask
        current = self.host.current
        run = wanted[0] if wanted is not None else (current.record if current else None)
        if run is not None and (self.run is None or run.key != self.run.key):
            self._suit(run, await self.session.system_prompt(run))
            self._forget()
        self.run = run or self.run
        await self._load_targets()
        targets = self.query_one(TargetList)
        if wanted is not None:
            targets.select(wanted[1])
            self.query_one(PromptArea).focus()
        if self.host.to_ask is wanted:
            self.host.to_ask = None
        self._show_head()

    async def _load_targets(self) -> None:
        run = self.run
        if run is None:
            return
        self.run = run = await self.session.runs.fresh(run)
        rows = await self.session.runs.checkpoints(run.key)
        targets = (await targets_of(self.session, run)).all
        held_out = any(row.eval_loss is not None for row in rows)
        self.query_one("#targets-head", Static).update(
            Content(_TARGETS_HEAD.format("eval" if held_out else "loss"))
        )
        losses = {row.step: row.eval_loss if held_out else row.loss for row in rows}
        self.query_one(TargetList).show_targets(targets, losses)

    def _suit(self, run: RunRecord, system: str) -> None:
        """Begin with the system prompt that the run was trained with. One that was typed stays
        where the run has none; that of another run does not."""
        if system or self._texts["system"] == self._suited:
            self._suited = plain(system)
            self._keep_settings({**self._texts, "system": self._suited})
        prompt, starter = self.query_one(PromptArea), starter_of(run.name)
        if starter is not None and system == starter.system_prompt and not prompt.text:
            prompt.load_text(starter.example_prompt)
            prompt.select_all()  # what is typed takes its place

    def _forget(self) -> None:
        self._messages.clear()
        self._remembered = False
        self._answers.clear()
        self.query_one(TargetList).marked.clear()
        self.query_one(TalkPane).clear()

    def monitor_changed(self, monitor: RunMonitor, update: Update) -> None:
        """New checkpoints appear while one talks."""
        super().monitor_changed(monitor, update)
        record = monitor.record
        ours = record is not None and self.run is not None and record.key == self.run.key
        if ours and (update.checkpoints or update.ended):
            self._take_up()

    def _show_head(self) -> None:
        asked = self.query_one(TargetList).asked()
        who = " + ".join(target.label for target in asked) or "—"
        facts = [f"temperature {self._texts['temperature'] or 'default'}"]
        facts.append(f"max {self._texts['max_tokens'] or 'default'} tokens")
        for key, label in TOLD:
            if self._texts[key]:
                facts.append(f"{label} {plain(self._texts[key], limit=20, newlines=False)}")
        system = plain(self._texts["system"], limit=60, newlines=False)
        rest = Content.assemble((who, "bold $accent"), (f" · {' · '.join(facts)}", "$muted"))
        name = Content(plain(self.run.name, limit=200, newlines=False) if self.run else "no run")
        room = self.app.size.width - len(" Console ·  · ")
        name = name.truncate(max(min(room - rest.cell_length, 40), room // 4), ellipsis=True)
        text = Content.assemble((" Console", "bold"), " · ", name, " · ", rest)
        if system:
            text = text + Content.styled(f"\n system: {system}", "$muted")
        head = self.query_one("#console-head", Static)
        head.styles.height = 2 if system else 1
        head.update(text)

    @on(TargetList.Moved, "#targets")
    def _target_moved(self) -> None:
        self._show_head()

    @on(TargetList.Chosen, "#targets")
    def _target_chosen(self) -> None:
        self.query_one(PromptArea).focus()
        self._show_head()

    # asking

    @on(PromptArea.Sent)
    def _sent(self, message: PromptArea.Sent) -> None:
        if self._asking is not None and self._asking.is_running:
            self.notify("A reply is still coming; Esc stops it.", timeout=3)
            return
        if not self.query_one(TargetList).asked():
            self.notify("There is nothing to talk to yet: open a run first (1).", timeout=4)
            return
        self.query_one(PromptArea).clear()
        self._prompts.append(message.text)
        self._recalled = len(self._prompts)
        self._send(message.text)

    def _send(self, prompt: str) -> None:
        self._last_prompt = prompt
        self._asking = self._ask(prompt)

    @work(group="ask")
    async def _ask(self, prompt: str) -> None:
        targets = self.query_one(TargetList).asked()
        answers = [Answer(target) for target in targets]
        self._remembered = False
        self._answers = answers
        view = ExchangeView(prompt, answers)
        talk = self.query_one(TalkPane)
        await talk.add(view)
        talk.scroll_end(animate=False)
        messages = [*self._history(len(targets) == 1), {"role": "user", "content": prompt}]
        group = uuid.uuid4().hex if len(targets) > 1 else None
        dirty: set[int] = set()

        def changed(answer: Answer) -> None:
            if answer.done:
                draw(answer)  # the last words are never left to a timer
            elif id(answer) not in dirty:
                dirty.add(id(answer))
                self.set_timer(DRAW_SECONDS, lambda: draw(answer))

        def draw(answer: Answer) -> None:
            dirty.discard(id(answer))
            if view.is_attached:
                view.show(answer)
                talk.scroll_end(animate=False)

        async with asyncio.TaskGroup() as tasks:
            for answer in answers:
                tasks.create_task(
                    ask(
                        self.session, self.run, answer, messages, self._settings,
                        on_change=changed, group=group,
                    )
                )  # fmt: skip
        if len(answers) == 1 and answers[0].error is None:
            self._messages += [
                {"role": "user", "content": prompt},
                {"role": "assistant", "content": answers[0].text},
            ]
            self._remembered = True
        if self._ask_again:
            self._ask_again = False
            self.call_later(self._send, prompt)

    # looking for differences

    def _prompt_at_hand(self) -> str:
        return self.query_one(PromptArea).text.strip() or self._last_prompt

    def action_blind(self) -> None:
        """Compare two targets without knowing whose answer is whose."""
        from .blind import BlindScreen

        targets = self.query_one(TargetList)
        pair = targets.asked()
        if len(pair) != 2 and targets.current is not None:
            base = [target for target in targets.targets if target.kind == "base"]
            pair = [*base, targets.current]
        if self.run is None or len(pair) != 2 or pair[0].label == pair[1].label:
            self.notify("Mark two targets with space, or choose a checkpoint.", timeout=4)
            return
        two = (pair[0], pair[1])
        self.app.push_screen(
            BlindScreen(self.session, self.run, two, self._prompt_at_hand(), self._settings)
        )

    @work(group="bisect", exclusive=True)
    async def action_bisect(self) -> None:
        """Find the checkpoint from which on an answer holds a text."""
        from .bisect import BisectScreen

        targets = self.query_one(TargetList)
        if self.run is None or len(targets.targets) < 2:
            self.notify("There is nothing to search: the run has no checkpoint.", timeout=4)
            return
        found = await self.app.push_screen_wait(
            BisectScreen(
                self.session, self.run, list(targets.targets), self._prompt_at_hand(),
                self._settings,
            )
        )  # fmt: skip
        if found is not None:
            targets.marked.clear()
            targets.select(found)
            targets.refresh()
            self._show_head()

    def _history(self, single: bool) -> list[dict[str, Any]]:
        system = self._settings.system
        messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
        return messages + (self._messages if single and self._remembers else [])

    @property
    def _remembers(self) -> bool:
        """Small models trained on single turns do worse with a history; so it is asked for."""
        return self._texts.get("history") == "yes"

    def action_retry(self) -> None:
        """The last prompt once more, to whoever is chosen now."""
        if self._last_prompt and not (self._asking is not None and self._asking.is_running):
            if self._remembered:
                del self._messages[-2:]
            self._send(self._last_prompt)

    def action_escape(self) -> None:
        """Stop the reply; else leave the prompt; else go back."""
        if self._asking is not None and self._asking.is_running:
            self._ask_again = False
            self._asking.cancel()
        elif isinstance(self.focused, PromptArea):
            self.query_one(TalkPane).focus()
        else:
            self.host.go_back()

    @on(PromptArea.Recall)
    def _recall(self, message: PromptArea.Recall) -> None:
        place = self._recalled + message.by
        if 0 <= place <= len(self._prompts) and self._prompts:
            self._recalled = place
            text = self._prompts[place] if place < len(self._prompts) else ""
            prompt = self.query_one(PromptArea)
            prompt.load_text(text)
            prompt.move_cursor(prompt.document.end)

    # keys

    @work(group="dialog", exclusive=True)
    async def action_target(self) -> None:
        """Choose whom to talk to."""
        targets = self.query_one(TargetList)
        options = [
            (
                str(place),
                f"{target.label:<10} {targets.loss_of(target):>8}  "
                f"{plain(target.run, limit=40, newlines=False)}",
            )
            for place, target in enumerate(targets.targets)
        ]
        marked = [
            str(place) for place, target in enumerate(targets.targets) if target in targets.marked
        ]
        title = f"Talk to (Tab marks up to {MOST_TARGETS} to ask side by side)"
        chosen = await self.app.push_screen_wait(
            ChooseSeveral(title, options, marked=marked, most=MOST_TARGETS)
        )
        if chosen:
            targets.take([int(place) for place in chosen])
            self.query_one(PromptArea).focus()
            self._show_head()

    def action_beside_base(self) -> None:
        """Ask the base model too; asks the last prompt again if there was one."""
        if self.query_one(TargetList).beside_base():
            if self._asking is not None and self._asking.is_running:
                self._ask_again = True  # as soon as the reply that is coming has come
            elif self._last_prompt:
                self._send(self._last_prompt)
        self._show_head()

    @work(group="dialog", exclusive=True)
    async def action_settings(self) -> None:
        """System prompt, sampling, constraint."""
        texts = await self.app.push_screen_wait(AskSettingsScreen(self._texts))
        if texts is not None:
            self._keep_settings(texts)
            self._show_head()

    def _keep_settings(self, texts: dict[str, str]) -> None:
        settings, _ = settings_from(texts)
        if settings is not None:
            self._texts, self._settings = {**DEFAULTS, **texts}, settings

    def action_time_machine(self) -> None:
        """One prompt to the base and to every checkpoint."""
        prompt = self.query_one(PromptArea).text.strip() or self._last_prompt
        targets = self.query_one(TargetList).targets
        if not prompt or self.run is None or len(targets) < 2:
            self.notify("Type a prompt first, and have a run with a checkpoint.", timeout=4)
            return
        from .timemachine import TimeMachineScreen

        messages = [*self._history(False), {"role": "user", "content": prompt}]
        self.app.push_screen(
            TimeMachineScreen(self.session, self.run, targets, prompt, messages, self._settings)
        )

    @work(group="dialog", exclusive=True)
    async def action_library(self) -> None:
        """Take a prompt from the library."""
        prompts = await self.session.prompts.all()
        if not prompts:
            self.notify("The library is empty; ctrl+s keeps a prompt in it.", timeout=4)
            return
        options = [
            (str(p.id), plain(f"{p.name}: {p.prompt}", limit=100, newlines=False)) for p in prompts
        ]
        choice = await self.app.push_screen_wait(Choose("Prompts", options))
        found = next((p for p in prompts if str(p.id) == choice), None)
        if found is not None:
            area = self.query_one(PromptArea)
            area.load_text(plain(found.prompt))
            area.move_cursor(area.document.end)
            if found.system:
                self._keep_settings({**self._texts, "system": plain(found.system)})
            area.focus()
            self._show_head()

    @work(group="dialog", exclusive=True)
    async def action_keep_prompt(self) -> None:
        """Put the prompt that is typed, or was sent last, into the library."""
        text = self.query_one(PromptArea).text.strip() or self._last_prompt
        if not text:
            return
        name = await self.app.push_screen_wait(
            Ask(
                "Name of the prompt",
                value=text[:40],
                check=lambda t: None if t.strip() else "empty",
            )
        )
        if name:
            prompt = Prompt(name.strip(), text, self._settings.system)
            await self.session.prompts.keep(prompt)
            self.notify("Kept; ctrl+l opens the library.", timeout=3)

    @work(group="dialog", exclusive=True)
    async def action_transcripts(self) -> None:
        """Look for something that was said before; Enter copies it."""
        key = self.run.key if self.run is not None else None
        found = await self.session.transcripts.of_run(key)
        options = []
        for exchange in found:
            asked = exchange.messages[-1].get("content", "") if exchange.messages else ""
            who = label_of(exchange.target, exchange.step)
            text = f"{who} › {asked} ‹ {exchange.reply}"
            options.append((str(exchange.id), plain(text, limit=300, newlines=False)))
        choice = await self.app.push_screen_wait(Choose("Transcripts: Enter copies", options))
        chosen = next((e for e in found if str(e.id) == choice), None)
        if chosen is not None:
            self.host.copy(plain(chosen.reply))

    def action_export(self) -> None:
        """Write this run's transcripts into files."""
        if self.run is not None:
            self.host.export_transcripts(self.run)

    def action_copy(self) -> None:
        """Copy the last reply."""
        texts = [answer.text for answer in self._answers if answer.text]
        if texts:
            self.host.copy(plain("\n\n".join(texts)))

    def action_clear(self) -> None:
        """Begin a new conversation; the old one stays archived."""
        self._forget()
        self._show_head()
