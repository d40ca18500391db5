"""A trainer's settings, and the job request that they make (docs/protocol.md, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from arkor_tui.api.jobs import FileSource, JobConfig, JobCreate
from arkor_tui.api.wire import mistakes
from arkor_tui.datasets.sources import Dataset, LocalModel, model_name
from arkor_tui.errors import UsageError
from arkor_tui.params import ARGUMENTS, PARAMETERS, RunParameters, not_served
from arkor_tui.params import LoraConfig as LoraConfig


@dataclass(frozen=True, slots=True)
class TrainerInput:
    """Everything that a trainer sends. What is None or left out is left to the backend.

    ``parameters`` are those of :class:`~arkor_tui.params.RunParameters` (docs/parameters.md); each
    can be read as an attribute too: ``settings.max_steps``.
    """

    name: str
    model: str | LocalModel
    dataset: Dataset
    parameters: RunParameters = field(default_factory=RunParameters)

    @classmethod
    def of(
        cls, name: str, model: str | LocalModel, dataset: Dataset, parameters: Mapping[str, Any]
    ) -> TrainerInput:
        """Keep the parameters that are set.

        Raises:
            TypeError: there is no parameter of that name.
        """
        for unknown in parameters:
            if unknown not in ARGUMENTS:
                near = get_close_matches(unknown, ARGUMENTS, 1)
                also = f"; did you mean {near[0]!r}?" if near else ""
                raise TypeError(
                    f"create_trainer() got an unexpected keyword argument {unknown!r}{also}"
                )
        given = {key: value for key, value in parameters.items() if value is not None}
        return cls(name, model, dataset, cast("RunParameters", given))

    def __getattr__(self, name: str) -> Any:
        if name in ARGUMENTS:
            return self.parameters.get(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def changed(self, **changes: Any) -> TrainerInput:
        """A copy with other values."""
        own = {
            part: changes.pop(part, getattr(self, part)) for part in ("name", "model", "dataset")
        }
        return self.of(**own, parameters={**self.parameters, **changes})

    def job_request(self, folder: Path) -> JobCreate:
        """The request; relative paths are taken from ``folder``.

        Raises:
            UsageError: a setting has a type or shape that the wire does not know.
        """
        try:
            config = JobConfig.model_validate(
                {
                    "model": model_name(self.model, folder),
                    "dataset_source": self.dataset.source(folder),
                    **config_fields(self.parameters),
                }
            )
            return JobCreate(name=self.name, config=config)
        except ValidationError as error:
            raise UsageError(
                f"The trainer {self.name!r} has settings that cannot be sent: {mistakes(error)}.",
                hint="Correct them in the trainer file.",
            ) from None


def check_served(request: JobCreate, backend: str) -> None:
    """Refuse by name what ``backend`` (the kind of a connection) is known not to have.

    Raises:
        UsageError: Arkor's cloud has no such parameter, or cannot read a file of this machine.
    """
    if backend != "cloud":
        return
    if isinstance(request.config.dataset_source, FileSource):
        raise UsageError(
            "Arkor's cloud cannot read a file of this machine (FileDataset).",
            hint="Use HuggingFaceDataset or BlobDataset there, or train here: --backend local.",
        )
    missing = [found.path[-1] for found in not_served(request.config.to_wire(), "cloud")]
    if missing:
        raise UsageError(
            f"Arkor's cloud does not have {', '.join(missing)}.",
            hint=f"Leave {'it' if len(missing) == 1 else 'them'} out for the cloud, or train here: "
            "--backend local.",
        )


def config_fields(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a ``JobConfig`` for these arguments of ``create_trainer``."""
    found: dict[str, Any] = {}
    for parameter in PARAMETERS.values():
        argument, *inner = parameter.path
        value = arguments.get(argument)
        *objects, _ = parameter.wire.split(".")
        if value is None:
            continue
        if inner and objects:  # the same object here and there, whatever else is in it
            found[argument] = value
        elif inner:
            if (part := getattr(value, inner[0], None)) is not None:
                found[parameter.name] = part
        elif objects:
            found.setdefault(objects[0], {})[argument] = value
        else:
            found[argument] = value
    return found
