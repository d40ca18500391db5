"""Jobs: their configuration as sent, and the job record as read.

docs/protocol.md, sections 3 and 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from arkor_tui import params
from arkor_tui.text.jsonsafe import shown_as_sent
from arkor_tui.text.redact import redact_text

from .parameters import model_of
from .statuses import TERMINAL_STATUSES as TERMINAL_STATUSES
from .wire import Timestamp, WireReader, WireWriter

JobStatus = Literal["queued", "running", "completed", "failed", "cancelled"]

Number = int | float


class StepConfig(WireWriter):
    """How often, or for how long: a number of steps, or a share of all steps.

    Exactly one of ``steps`` (int >= 0) and ``ratio`` (0 <= r < 1) is set. The cloud refuses a bare
    number here although its published templates send one.
    """

    steps: Annotated[int, Field(ge=0)] | None = None
    ratio: Annotated[float, Field(ge=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> StepConfig:
        if (self.steps is None) == (self.ratio is None):
            raise ValueError("give exactly one of steps and ratio")
        return self


class HuggingFaceSource(WireWriter):
    """A dataset on the Hugging Face hub. No ``split`` means the split called ``train``."""

    type: Literal["huggingface"] = "huggingface"
    name: str
    split: str | None = None
    subset: str | None = None


class BlobSource(WireWriter):
    """JSON lines behind an HTTPS address; ``token`` is sent as bearer when it is fetched."""

    type: Literal["blob"] = "blob"
    url: str
    token: str | None = Field(default=None, repr=False)


class FileSource(WireWriter):
    """JSON lines in a file of the machine that the backend runs on.

    An extension of the embedded backend; Arkor's cloud has no such variant. ``path`` is absolute.
    """

    type: Literal["file"] = "file"
    path: str


DatasetSource = Annotated[HuggingFaceSource | BlobSource | FileSource, Field(discriminator="type")]


def _plain_number(value: object) -> object:
    """A plain number of steps is what people write; the cloud wants ``{"steps": n}``."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"steps": value}
    return value


_TYPES: dict[type, Any] = {
    params.Whole: Number,
    params.Real: Number,
    params.Share: Number,
    params.Flag: bool,
    params.Choice: str,
    params.Steps: Annotated[StepConfig, BeforeValidator(_plain_number)],
    params.Names: list[str],
    params.Columns: dict[str, str],
}


def _sent(parameter: params.Parameter) -> tuple[Any, Any]:
    """What may be sent: the server knows better what it takes."""
    kind = _TYPES[type(parameter.kind)]
    if parameter.kind == params.Flag(wrapped=True):
        kind = bool | dict[str, bool]
    return (kind, ...) if parameter.needed else (kind | None, None)


class _JobHead(WireWriter):
    model: str
    dataset_source: DatasetSource


if TYPE_CHECKING:

    class JobConfig(_JobHead):
        """The ``config`` of ``POST /v1/jobs``, with each parameter of ``arkor_tui.params``.

        The client checks nothing that the server knows better: a server answers 400 for values
        that it does not take.
        """

else:
    JobConfig = model_of(
        _JobHead,
        "JobConfig",
        _sent,
        lambda wire, model: model | str if wire == "datasetFormat" else model,
    )


class JobCreate(WireWriter):
    """Body of ``POST /v1/jobs``."""

    name: str
    config: JobConfig

    def body(self) -> bytes:
        """The request's body, as it is sent and as it is shown beforehand."""
        return shown_as_sent(self.to_wire()).encode()


class JobConfigView(WireReader):
    """A job's configuration as a server tells it: any model, any further field."""

    model: str


class Job(WireReader):
    """A training job, as the server tells it. Times are ISO-8601 strings or None.

    Addresses in ``error`` have lost login and query, which may be a dataset's secrets.
    """

    id: str
    org_id: str
    project_id: str
    name: str
    status: JobStatus
    config: JobConfigView
    error: Annotated[str, AfterValidator(redact_text)] | None = None
    created_at: Timestamp
    started_at: Timestamp = None
    completed_at: Timestamp = None

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in TERMINAL_STATUSES


class JobEnvelope(WireReader):
    """Answer of ``POST /v1/jobs``."""

    job: Job


class JobDetail(WireReader):
    """Answer of ``GET /v1/jobs/:id``; ``events`` is there only on some servers."""

    job: Job
    events: list[dict[str, Any]] | None = None


class JobList(WireReader):
    """Answer of ``GET /v1/jobs``: every job of the scope, unpaged, in the server's order."""

    jobs: list[Job]
