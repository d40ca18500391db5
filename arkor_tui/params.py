"""The table of run parameters: each setting of a run is declared here, and nowhere else.

:class:`RunParameters` is what a user may pass to ``create_trainer``; a type checker reads it as it
stands. Everything else is read from the same lines: the request's and the backend's models
(``api.parameters``), the form, the trainer file that Setup writes, ``docs/parameters.md``. Imports
nothing heavy: the command line starts with it.
"""

# no "from __future__ import annotations": the table is read from the annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal, Protocol, TypedDict, get_args

Optimizer = Literal["adamw_torch", "adamw", "sgd", "adafactor"]
Scheduler = Literal["linear", "cosine", "constant", "constant_with_warmup"]
FormatType = Literal["chatml", "sharegpt", "alpaca", "prompt_completion", "text"]
Served = Literal["cloud", "embedded", "both"]
LARGEST_SEED = 2**32 - 1


# kinds: ``words`` completes "must be …"


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number; without ``high``, the model sets the limit."""

    low: int
    high: int | None = None

    @property
    def words(self) -> str:
        """What a value must be."""
        end = f"from {self.low} to {self.high}" if self.high is not None else f"from {self.low}"
        return f"a whole number {end}"


@dataclass(frozen=True, slots=True)
class Real:
    """A finite number from ``low`` to ``high``; with ``above``, ``low`` itself is none."""

    low: float
    high: float
    above: bool = False

    @property
    def words(self) -> str:
        """What a value must be."""
        return f"a number {'above' if self.above else 'from'} {self.low:g}, at most {self.high:g}"


@dataclass(frozen=True, slots=True)
class Share:
    """A share below 1, or a whole number of rows."""

    @property
    def words(self) -> str:
        """What a value must be."""
        return "a share below 1 or a whole number of rows"


@dataclass(frozen=True, slots=True)
class Flag:
    """Yes or no; ``wrapped``: also as an object with ``enabled``."""

    wrapped: bool = False

    @property
    def words(self) -> str:
        """What a value must be."""
        return 'true, false or {"enabled": …}' if self.wrapped else "true or false"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of ``names``. A cloud has a list of its own, so that only the backend checks it, unless
    ``closed``. ``means`` maps other names of the same thing; ``refused`` says why not."""

    names: tuple[str, ...]
    closed: bool = False
    means: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """What a value must be."""
        return f"one of {', '.join(self.names)}"


@dataclass(frozen=True, slots=True)
class Steps:
    """How often, or for how long: ``n``, ``{"steps": n}`` or ``{"ratio": r}`` of all steps."""

    zero_ratio: bool = False

    @property
    def words(self) -> str:
        """What a value must be."""
        return 'a whole number from 0 to 1000000, {"steps": n} or {"ratio": r} with r below 1'


@dataclass(frozen=True, slots=True)
class Names:
    """A list of texts."""

    @property
    def words(self) -> str:
        """What a value must be."""
        return "a list of names"


@dataclass(frozen=True, slots=True)
class Columns:
    """The format's own column names, each with the dataset's."""

    @property
    def words(self) -> str:
        """What a value must be."""
        return "an object that maps column names to column names"


Kind = Whole | Real | Share | Flag | Choice | Steps | Names | Columns


@dataclass(frozen=True, slots=True)
class Parameter:
    """One setting: what it may be, what it means, and its name in each place.

    ``about`` is for the docs, ``label`` and ``hint`` for the form, where ``group`` is its part.
    ``default`` is what the embedded backend takes where nothing is sent, ``otherwise`` the same in
    words where it is not one value. ``refusal`` says why the embedded backend does not serve it.
    """

    kind: Kind
    group: str
    label: str
    hint: str
    about: str
    default: Any = None
    otherwise: str = ""
    served: Served = "both"
    refusal: str = ""
    typed: Kind | None = None
    """What the form takes, where that is narrower."""
    start: str = ""
    """What a new form holds."""
    wire: str = ""
    """The name on the wire; a dot leads into an object. In camel case if empty."""
    name: str = ""
    """The name in the form, of which no two are alike."""
    spec: str | None = ""
    """The engine's name (0.1's stored jobs have it); the same if empty; None: no setting of the
    engine."""
    needed: bool = False
    """Whether the object that it stands in cannot be without it."""
    path: tuple[str, ...] = ()
    """The way to it from the arguments of ``create_trainer``."""

    @property
    def in_form(self) -> bool:
        """Whether the form has a field of its own for it."""
        return bool(self.label)

    @property
    def choices(self) -> tuple[str, ...]:
        """What a field of the form offers."""
        if isinstance(self.kind, Flag):
            return ("yes", "no")
        return self.kind.names if isinstance(self.kind, Choice) else ()


class StepsLike(Protocol):
    """What holds steps or a ratio, such as ``api.jobs.StepConfig``."""

    @property
    def steps(self) -> int | None: ...

    @property
    def ratio(self) -> float | None: ...


StepsValue = int | float | Mapping[str, Any] | StepsLike
"""A number of steps, ``{"steps": n}``, or ``{"ratio": r}`` of all steps."""


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """The adapter: rank ``r``, scaling ``alpha``; ``max_length`` is tokens per example.

    ``load_in_4bit`` keeps the base weights in four bits, which saves memory on Arkor's GPUs. The
    embedded backend refuses True.
    """

    r: Annotated[int, Parameter(
        Whole(1, 512), "LoRA", "rank r", "size of the adapter, 8 to 64",
        "Rank of the adapter: how much it can learn.", 16, start="16", wire="loraR", name="lora_r",
        spec="lora_r",
    )]  # fmt: skip
    alpha: Annotated[float, Parameter(
        Real(0, 4096, above=True), "LoRA", "alpha", "scaling, often r or 2r",
        "Scaling of the adapter; what counts is alpha divided by the rank.", 16.0, start="32",
        wire="loraAlpha", name="lora_alpha", spec="lora_alpha",
    )]  # fmt: skip
    max_length: Annotated[int | None, Parameter(
        Whole(8), "LoRA", "max length", "tokens of an example",
        "Longest example in tokens; longer ones are cut. More than the model has positions is "
        "taken as that many.",
        512, "512, or the model's length where that is less", wire="maxLength",
    )] = None  # fmt: skip
    load_in_4bit: Annotated[bool | None, Parameter(
        Flag(), "LoRA", "4-bit", "yes: four-bit base weights, in the cloud",
        "Keep the base weights in four bits, which saves GPU memory.", False, wire="loadIn4bit",
        refusal="cannot be true here: 4-bit weights need a CUDA GPU, and this backend trains on "
        "the CPU", spec=None,
    )] = None  # fmt: skip


class DatasetSplit(TypedDict, total=False):
    """The held-out part; without one there is no eval loss, whatever ``eval_steps`` says."""

    enabled: Annotated[bool, Parameter(
        Flag(), "Dataset", "", "", "Whether rows are held out for the eval loss.", False,
        name="split_enabled", spec=None, needed=True,
    )]  # fmt: skip
    test_size: Annotated[int | float, Parameter(
        Share(), "Dataset", "held out", "share for the eval loss, 0.1; 0: none",
        "How much is held out: a share, or a number of rows.", 0.1, start="0.1", name="test_size",
        spec=None,
    )]  # fmt: skip
    seed: Annotated[int, Parameter(
        Whole(0, LARGEST_SEED), "Dataset", "held-out seed", "which rows are held out",
        "Which rows are held out: the same seed, the same rows.", 42, name="split_seed", spec=None,
    )]  # fmt: skip


class DatasetFormat(TypedDict, total=False):
    """How rows are read; without one, the columns of the first row tell it."""

    type: Annotated[str, Parameter(
        Choice(get_args(FormatType), closed=True), "Dataset", "format", "how rows are read",
        "How rows are laid out.", otherwise="told by the first row", start="chatml",
        name="dataset_format", spec=None, needed=True,
    )]  # fmt: skip
    column_mapping: Annotated[Mapping[str, str], Parameter(
        Columns(), "Dataset", "columns", "format's=dataset's: prompt=question",
        "The dataset's names of the format's columns, where they differ.", name="column_mapping",
        spec=None,
    )]  # fmt: skip


class RunParameters(TypedDict, total=False):
    """Every optional setting of a run, as ``create_trainer`` takes it; None is as if left out."""

    dataset_format: Annotated[DatasetFormat | Mapping[str, Any] | str | None, DatasetFormat]
    dataset_split: Annotated[DatasetSplit | Mapping[str, Any] | None, DatasetSplit]
    train_on_responses_only: Annotated[bool | None, Parameter(
        Flag(wrapped=True), "Dataset", "answers only", "yes: learn the answers; no: all text",
        "Take the loss over the assistant's tokens only.", False, start="yes",
        spec="responses_only",
    )]  # fmt: skip
    lora: Annotated[LoraConfig | None, LoraConfig]
    max_steps: Annotated[int | None, Parameter(
        Whole(1, 1_000_000), "Training", "max steps", "optimiser steps",
        "Optimiser steps of the run; wins over epochs.", otherwise="as the epochs say",
        start="100",
    )]  # fmt: skip
    num_train_epochs: Annotated[float | None, Parameter(
        Real(0, 10_000, above=True), "Training", "epochs", "instead of steps",
        "Passes over the data, where no steps are given.", 1.0, spec="epochs",
    )]  # fmt: skip
    learning_rate: Annotated[float | None, Parameter(
        Real(0, 1e6, above=True), "Training", "learning rate", "tiny model 1e-2, large 2e-4",
        "Highest learning rate.", 2e-4, "0.01 for `arkor-tui/tiny`, else 0.0002",
        typed=Real(0, 10, above=True), start="0.0002",
    )]  # fmt: skip
    batch_size: Annotated[int | None, Parameter(
        Whole(1, 1024), "Training", "batch size", "examples a step",
        "Examples per step and device.", 8, start="16",
    )]  # fmt: skip
    warmup_steps: Annotated[StepsValue | None, Parameter(
        Steps(zero_ratio=True), "Training", "warm-up", "steps of rising rate; 0.1: a tenth",
        "How long the learning rate rises.", 0, start="10", spec="warmup",
    )]  # fmt: skip
    lr_scheduler_type: Annotated[str | None, Parameter(
        Choice(get_args(Scheduler)), "Training", "schedule", "of the learning rate",
        "Course of the learning rate after the warm-up.", "linear", spec="scheduler",
    )]  # fmt: skip
    optim: Annotated[str | None, Parameter(
        Choice(get_args(Optimizer), means={"adamw": "adamw_torch"}, refused={
            "adamw_8bit": "needs a GPU library that is not here"
        }), "Training", "optimiser", "adamw_torch, sgd; cloud: adamw_8bit",
        "Optimiser. `adamw` is another name of `adamw_torch`.", "adamw_torch", spec="optimizer",
    )]  # fmt: skip
    weight_decay: Annotated[float | None, Parameter(
        Real(0, 10), "Training", "weight decay", "0 is common for LoRA",
        "How much weights are drawn towards 0.", 0.0,
    )]  # fmt: skip
    max_grad_norm: Annotated[float | None, Parameter(
        Real(0, 1e6), "Training", "max gradient", "longer ones are cut to it; 0: never",
        "Longest gradient: a longer one is cut to this length before a step; 0: never.", 1.0,
        served="embedded",
    )]  # fmt: skip
    logging_steps: Annotated[StepsValue | None, Parameter(
        Steps(), "Training", "log every", "steps",
        "How often there is a log event; the last step always has one.", 1, start="5",
        spec="log_every",
    )]  # fmt: skip
    eval_steps: Annotated[StepsValue | None, Parameter(
        Steps(), "Training", "eval every", "steps", "How often there is an eval loss; 0: never.",
        0, start="25", spec="eval_every",
    )]  # fmt: skip
    save_steps: Annotated[StepsValue | None, Parameter(
        Steps(), "Training", "save every", "steps: a checkpoint to talk to",
        "How often there is a checkpoint; 0: never. The final adapter is kept in any case.", 0,
        start="25", spec="save_every",
    )]  # fmt: skip
    seed: Annotated[int | None, Parameter(
        Whole(0, LARGEST_SEED), "Training", "seed", "the same seed, the same run",
        "Seed of every random choice in training. What Arkor's cloud does with it is not known.",
        42, start="42",
    )]  # fmt: skip
    gpu_types: Annotated[list[str] | None, Parameter(
        Names(), "Training", "GPU types", "for the cloud, best first: h200, h100",
        "GPUs by their slugs, in order of preference.", served="cloud",
        refusal="cannot be chosen here: this backend trains on this machine", spec=None,
    )]  # fmt: skip
    dry_run: Annotated[bool | None, Parameter(
        Flag(), "Training", "dry run", "yes: a few steps on a few rows",
        "A short real run, to see that everything fits: the embedded backend takes the first 50 "
        "rows and at most 10 steps.", False,
    )]  # fmt: skip


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def _declared(home: type, path: tuple[str, ...] = ()) -> Iterator[Parameter]:
    """The parameters of a declaration, in its order."""
    if hasattr(home, "__dataclass_fields__"):
        notes: dict[str, Any] = {item.name: item.type for item in fields(home)}
    else:
        notes = home.__annotations__
    for name, note in notes.items():
        meant, where = note.__metadata__[0], (*path, name)
        if isinstance(meant, Parameter):
            wire = meant.wire or ".".join(map(_camel, where))
            spec = name if meant.spec == "" else meant.spec
            yield replace(meant, name=meant.name or name, path=where, wire=wire, spec=spec)
        else:
            yield from _declared(meant, where)


PARAMETERS: dict[str, Parameter] = {found.name: found for found in _declared(RunParameters)}
"""Every parameter by its name in the form, in the order of the declarations."""
ARGUMENTS: tuple[str, ...] = tuple(RunParameters.__annotations__)
"""The names that ``create_trainer`` takes."""


def at_path(value: object, path: tuple[str, ...]) -> Any:
    """What stands at ``path``, through objects and mappings; None where nothing does.

    A mapping may name its parts in snake case or in camel case.
    """
    for name in path:
        if isinstance(value, Mapping):
            value = value[name] if name in value else value.get(_camel(name))
        else:
            value = getattr(value, name, None)
    return value


def in_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What each parameter is in these arguments of ``create_trainer``, by its name."""
    return _leaves(arguments, {name: found.path for name, found in PARAMETERS.items()})


def in_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """What each parameter is in a job's configuration as it is sent, by its name."""
    return _leaves(config, {n: tuple(p.wire.split(".")) for n, p in PARAMETERS.items()})


def _leaves(values: Mapping[str, Any], paths: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """``dataset_format: "text"`` is short for its type."""
    found = {}
    for name, path in paths.items():
        value = at_path(values, path)
        if (
            value is None
            and path[-1] == "type"
            and isinstance(short := at_path(values, path[:-1]), str)
        ):
            value = short
        if value is not None:
            found[name] = value
    return found


def not_served(config: Mapping[str, Any], backend: Literal["cloud", "embedded"]) -> list[Parameter]:
    """The parameters of a request that this backend does not have."""
    return [
        PARAMETERS[name]
        for name in in_config(config)
        if PARAMETERS[name].served not in (backend, "both")
    ]
