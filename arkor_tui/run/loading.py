"""Finding the trainer in a Python file (docs/protocol.md, section 1, entry file discovery)."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from arkor_tui.chat.tools import Tool
from arkor_tui.errors import ArkorTuiError, UsageError
from arkor_tui.text.sanitize import plain

from .manifest import is_arkor, is_trainer
from .trainer import Trainer

DEFAULT_ENTRY = "trainer.py"


class TrainerFileError(UsageError):
    """The file is missing, does not run, or holds no trainer."""


def load_trainer(path: str | Path = DEFAULT_ENTRY) -> Trainer:
    """Run the file and return its trainer; first hit wins.

    A variable ``arkor`` (a manifest that holds a trainer), a variable ``trainer``, a variable
    ``default`` that is either of them, or a ``default`` object (or mapping) with a ``trainer``.

    Raises:
        TrainerFileError: with the line of the file that is to blame, where there is one.
    """
    file = Path(path).expanduser().absolute()
    if file.is_dir():
        file = file / DEFAULT_ENTRY
    if not file.is_file():
        raise TrainerFileError(
            f"There is no trainer file {file}.",
            hint="`arkor-tui init` writes a starter project; or name the file to use.",
        )
    trainer = find_trainer(run_file(file), file)
    if isinstance(trainer, Trainer):
        trainer.file, trainer.folder = file, file.parent
    return trainer


def find_trainer(module: ModuleType, file: Path) -> Trainer:
    """The trainer among a module's variables, in the order of :func:`load_trainer`.

    Raises:
        TrainerFileError: there is none.
    """
    default = getattr(module, "default", None)
    inner = default.get("trainer") if isinstance(default, Mapping) else None
    for candidate in (
        getattr(module, "arkor", None),
        getattr(module, "trainer", None),
        default,
        inner if inner is not None else getattr(default, "trainer", None),
    ):
        if is_arkor(candidate):
            candidate = candidate.trainer
        if is_trainer(candidate):
            return candidate
    raise TrainerFileError(
        f"{file} holds no trainer.",
        hint="It must set one of: arkor = create_arkor(trainer=…), trainer = create_trainer(…), "
        "default = either of them, or default = an object with a trainer.",
    )


def load_tools(path: str | Path) -> list[Tool]:
    """Run the file and return its functions that are marked with ``@tool``, in their order.

    Raises:
        TrainerFileError: the file is missing, does not run, or marks no function.
    """
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise TrainerFileError(f"There is no file {file}.", hint="Check its name.")
    values = vars(run_file(file)).values()
    found = list({id(value): value for value in values if isinstance(value, Tool)}.values())
    if not found:
        raise TrainerFileError(
            f"{file} marks no function with @tool.",
            hint="from arkor_tui import tool; then @tool above a function.",
        )
    return found


def run_file(file: Path) -> ModuleType:
    """Run a Python file as a module of its own; its folder can be imported from meanwhile.

    Raises:
        TrainerFileError: with the line of the file that is to blame, where there is one.
    """
    name = f"arkor_trainer_{abs(hash(str(file))):x}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise TrainerFileError(f"{file} is not a Python file.", hint="A trainer file ends in .py.")
    module = importlib.util.module_from_spec(spec)
    folder = str(file.parent)
    sys.modules[name] = module  # dataclasses and pydantic look their module up
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except ArkorTuiError as error:
        raise TrainerFileError(
            f"{file}{_line_of(error, file)}: {error.message}", hint=error.hint
        ) from error
    except SyntaxError as error:
        # it may be in a module that the file imports
        where = f", line {error.lineno}" if error.lineno else ""
        raise TrainerFileError(
            f"{error.filename or file}{where}: {error.msg}.",
            hint="Correct the file and start again.",
        ) from error
    except (Exception, SystemExit) as error:
        text = plain(f"{type(error).__name__}: {error}", limit=500)
        raise TrainerFileError(
            f"{file}{_line_of(error, file)}: {text}",
            hint="The file raises when it is read. `--debug` shows the whole traceback.",
        ) from error
    finally:
        with suppress(ValueError):  # the file may have taken it out itself
            sys.path.remove(folder)
    return module


def _line_of(error: BaseException, file: Path) -> str:
    """The last line of ``file`` itself in the traceback."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(file)
    ]
    return f", line {lines[-1]}" if lines else ""
