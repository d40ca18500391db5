"""Prompt and replies on screen."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static, TextArea

from arkor_tui.chat.asking import Answer
from arkor_tui.chat.tools import ToolCall
from arkor_tui.text.sanitize import plain

LONGEST = 40_000
"""Characters of a reply that are shown; all of it is archived."""


class PromptArea(TextArea):
    """Several lines; Enter sends, ctrl+j or alt+enter breaks the line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "send", id="prompt.send", priority=True),
        Binding(
            "ctrl+j,alt+enter,shift+enter", "newline", "new line", id="prompt.newline", show=False
        ),
    ]

    class Sent(Message):
        """Enter was pressed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Recall(Message):
        """Up or down at the edge of the text: an earlier or later prompt is wanted."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            id=id, compact=True, highlight_cursor_line=False, placeholder="Ask something …"
        )
        self.cursor_blink = False

    def action_send(self) -> None:
        """Hand the text to the screen."""
        if self.text.strip():
            self.post_message(self.Sent(self.text))

    def action_newline(self) -> None:
        """Break the line."""
        self.insert("\n")

    def on_key(self, event: events.Key) -> None:
        """Up in the first line and down in the last go through earlier prompts."""
        row = self.cursor_location[0]
        if event.key == "up" and row == 0:
            event.stop()
            event.prevent_default()
            self.post_message(self.Recall(-1))
        elif event.key == "down" and row == self.document.line_count - 1:
            event.stop()
            event.prevent_default()
            self.post_message(self.Recall(1))


def facts_of(answer: Answer) -> str:
    """Times and the end of a reply in few words."""
    facts = []
    if answer.first_token_s is not None:
        facts.append(f"first token {answer.first_token_s * 1000:.0f} ms")
    speed = answer.tokens_per_second
    if speed is not None:
        facts.append(f"{speed:.0f} tokens/s")
    if answer.stopped:
        facts.append("stopped")
    elif answer.done and answer.finish_reason not in (None, "stop"):
        facts.append(plain(answer.finish_reason, limit=30, newlines=False))
    return " · ".join(facts)


def verdict_mark(passed: bool | None) -> tuple[str, str]:
    """Sign and colour: passed, failed, or could not be judged."""
    if passed is None:
        return "●", ""
    return ("✓", "$success") if passed else ("✗", "$error")


class AnswerView(Static):
    """One reply as it grows."""

    DEFAULT_CSS = """
    AnswerView { width: 1fr; height: auto; padding: 0 1; border-left: outer $panel; }
    AnswerView.-asking { border-left: outer $accent; }
    AnswerView.-failed { border-left: outer $error; }
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(markup=False)
        self.answer = answer
        self.add_class("-asking")

    def on_mount(self) -> None:
        """Show the head at once."""
        self.show()

    def show(self) -> None:
        """Draw what there is."""
        answer = self.answer
        name = plain(answer.target.run, limit=30, newlines=False)
        head = Content.assemble(
            (answer.target.label, "bold $accent"), (f" {name}", "$muted"),
            (f"  {facts_of(answer)}", "$muted"),
        )  # fmt: skip
        body = Content(plain(answer.text, limit=LONGEST))
        if not answer.text and not answer.done:
            body = Content.styled("…", "$muted")
        elif not answer.text and answer.done and answer.error is None:
            body = Content.styled("(an empty reply)", "$muted")
        parts = [head, *(_call(call) for call in answer.calls), body]
        if answer.error is not None:
            text = plain(answer.error, limit=600)
            hint = plain(answer.hint, limit=300)
            parts.append(Content.styled(text + (f"\n{hint}" if hint else ""), "$error"))
        if answer.verdict:
            mark, colour = verdict_mark(answer.passed)
            verdict = plain(answer.verdict, limit=300, newlines=False)
            parts.append(Content.styled(f"{mark} {verdict}", colour))
        self.update(Content("\n").join(parts))
        self.set_class(not answer.done, "-asking")
        self.set_class(answer.error is not None, "-failed")


def _call(call: ToolCall) -> Content:
    """A function that the model called, and what came of it."""
    name = plain(call.name, limit=60, newlines=False)
    arguments = plain(call.arguments, limit=200, newlines=False)
    line = Content.assemble(("→ ", "$accent"), f"{name}({arguments})")
    if call.result is None:
        return line + Content.styled(" …", "$muted")
    result = plain(call.result, limit=300, newlines=False)
    return line + Content.styled(f"\n← {result}", "$error" if call.failed else "$muted")


class ExchangeView(Vertical):
    """A prompt with the replies to it, side by side."""

    DEFAULT_CSS = """
    ExchangeView { height: auto; margin-bottom: 1; }
    ExchangeView .prompt { color: $primary; padding: 0 1; height: auto; }
    ExchangeView Horizontal { height: auto; }
    """

    def __init__(self, prompt: str, answers: list[Answer]) -> None:
        super().__init__()
        self.prompt, self.answers = prompt, answers

    def compose(self) -> ComposeResult:
        """Prompt above, replies below."""
        text = plain(self.prompt, limit=LONGEST)
        yield Static(Content.assemble(("› ", "bold"), text), classes="prompt", markup=False)
        with Horizontal():
            for answer in self.answers:
                yield AnswerView(answer)

    def show(self, answer: Answer) -> None:
        """Draw one reply again."""
        for view in self.query(AnswerView):
            if view.answer is answer:
                view.show()


HINTS = (
    ("prompt.newline", "breaks the line; up brings earlier prompts back"),
    ("console.target", "chooses whom to talk to, up to four side by side"),
    ("console.base", "asks the base model too"),
    ("console.settings", "system prompt, sampling, stop words, constraint, tools"),
    ("console.time", "asks every checkpoint, to go through along the loss curve"),
    ("console.blind", "compares two without saying whose answer is whose"),
    ("console.bisect", "finds the checkpoint from which on an answer is right"),
    ("console.library", "prompts that were kept"),
    ("console.search", "what was said before"),
    ("app.help-always", "all keys"),
)
"""Actions, and what an empty conversation says that they are for."""


class TalkPane(VerticalScroll, can_focus=True):
    """The exchanges so far; before the first, what can be done here."""

    DEFAULT_CSS = """
    TalkPane .hints { height: auto; color: $muted; padding: 1 0 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,i", "write", "write", id="console.write"),
    ]

    def compose(self) -> ComposeResult:
        """The hints."""
        yield Static(classes="hints", markup=False)

    def on_mount(self) -> None:
        """Keys may be the person's own, so the bindings are asked."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self._hint())
        self._hint()

    def _hint(self) -> None:
        hints = self.query_one(".hints", Static)
        if not hints.display or not self.screen.is_current:
            return
        keys: dict[str, str] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.id and active.binding.id not in keys:
                keys[active.binding.id] = self.app.get_key_display(active.binding)
        lines = [
            Content.assemble((f"{keys[action]:>5}", "bold $accent"), f"  {text}")
            for action, text in HINTS
            if action in keys
        ]
        if lines and "prompt.newline" in keys:
            hints.update(Content("\n").join(lines))

    async def add(self, view: ExchangeView) -> None:
        """One more exchange."""
        self.query_one(".hints").display = False
        await self.mount(view)

    def clear(self) -> None:
        """Begin anew."""
        self.query(ExchangeView).remove()
        self.query_one(".hints").display = True
        self._hint()

    def action_write(self) -> None:
        """Back to the prompt."""
        self.screen.query_one(PromptArea).focus()
