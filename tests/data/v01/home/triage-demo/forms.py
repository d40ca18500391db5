"""For `arkor-tui chat latest "I can't log in." --model-type forms.py:Triage`."""

from typing import Literal

from pydantic import BaseModel


class Triage(BaseModel):
    category: Literal["auth", "billing", "bug", "feature_request", "other"]
    urgency: Literal["low", "medium", "high"]
    summary: str
    next_action: str | None = None
