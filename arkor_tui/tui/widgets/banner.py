"""The failure banner: what happened, and what to do next."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from arkor_tui.session.updates import Problem
from arkor_tui.text.sanitize import plain


class FailureBanner(Static):
    """Hidden while nothing is wrong."""

    DEFAULT_CSS = """
    FailureBanner {
        display: none; height: auto; max-height: 6; padding: 0 1;
        border-left: thick $error; background: $error 15%; color: $text;
    }
    """

    def show(self, problem: Problem | None) -> None:
        """Show a problem, or that there is none."""
        self.display = problem is not None
        if problem is not None:
            text = Content.styled(plain(problem.message, limit=600), "bold")
            if problem.hint:
                text = text + Content("\n" + plain(problem.hint, limit=300))
            self.update(text)
