"""Any other server that takes JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from .http import HttpNotifier
from .message import Message


class WebhookNotifier(HttpNotifier):
    """Posts one JSON object with stable keys to a server of yours.

    The keys are ``event``, ``run``, ``job``, ``status``, ``step``, ``loss``, ``eval_loss``,
    ``artifacts``, ``reason``, ``error``, ``at`` and ``text``; all are always there, and null where
    unknown. The header ``Idempotency-Key`` is the same however often one message is tried.
    """

    service = "Webhook"
    default_env = "NOTIFY_WEBHOOK_URL"

    def payload(self, message: Message) -> dict[str, Any]:
        """The object."""
        return {
            "event": message.event,
            "run": message.run or None,
            "job": message.job or None,
            "status": message.status or None,
            "step": message.step,
            "loss": message.loss,
            "eval_loss": message.eval_loss,
            "artifacts": message.artifacts,
            "reason": message.reason,
            "error": message.error,
            "at": message.at,
            "text": message.text,
        }

    def headers(self, message: Message) -> Mapping[str, str]:
        """A key by which the server can know a message that it was sent twice."""
        key = f"{message.job}:{message.event}:{message.id}".encode("utf-8", "replace")
        return {"Idempotency-Key": hashlib.sha256(key).hexdigest()[:32]}
