"""How the server talks to its child processes: one JSON object a line on stdin and stdout.

Both children are plain interpreters (spawned, never forked). Their real stdout is kept for these
lines alone; whatever a library prints goes to stderr, which is the job's log file. A child whose
stdin closes has lost its server and ends at once.

**Training child**, ``python -m arkor_tui.backend.engine.train``. The first line it reads is
``{"op": "train", "spec": <TrainingSpec as JSON object>, "folder": <job folder>,
"resume": <checkpoint folder or null>, "threads": n}``; later ``{"op": "cancel"}`` may come.
It writes, each with ``type``:

===================  ==============================================================================
``started``          ``metadata`` object (model, parameters, trainable, rows, heldOut, steps, …)
``log``              ``step``, ``loss``, ``evalLoss``, ``learningRate``, ``epoch``,
                     ``samplesPerSecond`` (absent where there is none), ``nonFinite`` object
``checkpoint``       ``step``, ``path`` (relative to the job folder), ``artifacts`` list; the folder
                     is complete and has its final name before this line is written
``completed``        ``step``, ``path`` of the final adapter, ``artifacts``, ``metrics`` object
``failed``           ``error`` text for people, ``step`` or null
``cancelled``        ``step``; nothing was saved beyond the last checkpoint
===================  ==============================================================================

**Inference child**, ``python -m arkor_tui.backend.engine.infer``. It writes ``{"type": "ready"}``
once, then serves any number of requests at a time:
``{"op": "chat", "id": …, "model_source": …, "adapter": <folder or null>, "request": {…}}`` where
``request`` is a :class:`ChatSpec` as JSON, ``{"op": "stop", "id": …}``. It writes

===================  ==============================================================================
``delta``            ``id``, ``text``
``done``             ``id``, ``finishReason`` (``stop``, ``length``, ``tool_calls``, ``aborted``),
                     ``text`` (all of it), ``toolCalls`` list or absent,
                     ``usage`` ``{promptTokens, completionTokens}``
``error``            ``id``, ``status`` (HTTP), ``error`` text, ``code`` or absent
===================  ==============================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Constraint:
    """What the reply must look like; enforced while decoding.

    ``kind`` json: ``value`` is a JSON schema object; json_object: any JSON object (``value`` None);
    regex, grammar (EBNF / Lark): a string; choice: a list of strings.
    ``options`` holds ``disable_any_whitespace``, ``disable_additional_properties`` and
    ``whitespace_pattern`` where they were sent.
    """

    kind: Literal["json", "json_object", "regex", "choice", "grammar"]
    value: Any = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChatSpec:
    """One checked chat request. ``temperature`` 0 means greedy."""

    messages: list[dict[str, Any]]
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 256
    stop: list[str] = field(default_factory=list)
    seed: int | None = None
    constraint: Constraint | None = None
    tools: list[dict[str, Any]] = field(default_factory=list)
    tool_choice: str | None = None
    """None, ``required``, or the name of the one function that must be called."""
