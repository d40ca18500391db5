"""Jobs: their configuration as sent, and the job record as read (protocol reference, 3 and 4)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from arkor_tui.text.redact import redact_text

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


class DatasetSplit(WireWriter):
    """The held-out part; without one there is no eval loss, whatever ``evalSteps`` says."""

    enabled: bool
    test_size: Number | None = None
    seed: int | None = None


class DatasetFormat(WireWriter):
    """How rows are to be read.

    ``type`` is open (``chatml``, ``text``, ``sharegpt``, ``alpaca``, ``prompt_completion`` are
    known); ``column_mapping`` names the dataset's columns for the format's own.
    """

    type: str
    column_mapping: dict[str, str] | None = None


class JobConfig(WireWriter):
    """The ``config`` of ``POST /v1/jobs``. Everything but model and source is optional.

    Lengths are tokens, ``batch_size`` is per device. The client checks nothing that the server
    knows better: a server answers 400 for values that it does not take.
    """

    model: str
    dataset_source: DatasetSource
    lora_r: Number | None = None
    lora_alpha: Number | None = None
    max_length: Number | None = None
    load_in_4bit: bool | None = Field(default=None, alias="loadIn4bit")
    max_steps: Number | None = None
    num_train_epochs: Number | None = None
    learning_rate: Number | None = None
    batch_size: Number | None = None
    weight_decay: Number | None = None
    optim: str | None = None
    lr_scheduler_type: str | None = None
    warmup_steps: StepConfig | None = None
    logging_steps: StepConfig | None = None
    save_steps: StepConfig | None = None
    eval_steps: StepConfig | None = None
    dataset_split: DatasetSplit | None = None
    dataset_format: DatasetFormat | str | None = None
    train_on_responses_only: bool | dict[str, bool] | None = None
    gpu_types: list[str] | None = None
    dry_run: bool | None = None
    seed: int | None = None

    @field_validator("warmup_steps", "logging_steps", "save_steps", "eval_steps", mode="before")
    @classmethod
    def _plain_number(cls, value: object) -> object:
        """A plain number of steps is what people write; the cloud wants ``{"steps": n}``."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"steps": value}
        return value


class JobCreate(WireWriter):
    """Body of ``POST /v1/jobs``."""

    name: str
    config: JobConfig


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
