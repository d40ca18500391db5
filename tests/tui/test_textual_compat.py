"""Private names of Textual: all in one module, and there as that module expects them."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import textual._wait
import textual.drivers._writer_thread
import textual.keys
from textual.app import App
from textual.binding import BindingsMap
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.message_pump import MessagePump
from textual.notifications import Notification
from textual.widgets import Static

import arkor_tui.tui
from arkor_tui.tui import textual_compat

Shape = Callable[[Any], bool]


def takes(*names: str) -> Shape:
    """Something to call, with these parameters beside ``self``."""
    return lambda found: callable(found) and parameters(found)[: len(names)] == list(names)


def parameters(found: Callable[..., object]) -> list[str]:
    """Names of the parameters, beside ``self``."""
    return [name for name in inspect.signature(found).parameters if name != "self"]


def a(kind: Any) -> Shape:
    """A value of this type."""
    return lambda found: isinstance(found, kind)


IN_MODULES: tuple[tuple[Any, str, Shape], ...] = (
    (textual.drivers._writer_thread, "MAX_QUEUED_WRITES", a(int)),
    (textual.keys, "_character_to_key", takes("character")),
    (textual._wait, "SLEEP_GRANULARITY", a(float)),  # of the tests (conftest.py)
    (textual._wait, "SLEEP_IDLE", a(float)),
    (App, "_handle_exception", takes("error")),
    (App, "_fatal_error", takes()),
    (App, "_close_messages_no_wait", takes()),
    (LinuxDriver, "_sigtstp_application", takes()),
    (LinuxDriver, "_sigcont_application", takes()),
)
OF_AN_APP: dict[str, Shape] = {
    "_exit": a(bool),
    "_running": a(bool),
    "_context": lambda found: isinstance(found(), AbstractContextManager),
    "_driver": a(Driver),
    "_clipboard": a(str),
    "_notifications": lambda found: [type(one) for one in found] == [Notification],
    "_unnotify": takes("notification"),
    "_exception": a(type(None)),
    "_keymap": a(Mapping),
}
OF_A_WIDGET: dict[str, Shape] = {
    "_parent": a(MessagePump),
    "_bindings": lambda found: (
        isinstance(found, BindingsMap)
        and isinstance(found.copy().key_to_bindings, Mapping)
        and takes("keymap")(found.apply_keymap)
    ),
}
OF_A_DRIVER: dict[str, Shape] = {
    "_file": lambda found: callable(found.write) and callable(found.flush),
    "_loop": lambda found: callable(found.call_soon_threadsafe),
    "_app": a(App),
    "_auto_restart": a(bool),
    "_writer_thread": a(type(None)),
    "_key_thread": a(type(None)),
    "_must_signal_resume": a(bool),
}
OF_A_WRITER: dict[str, Shape] = {"_queue": lambda found: callable(found.qsize)}


def complaint(owner: object, name: str, shape: Shape) -> str | None:
    """What is wrong with a private name, if anything is."""
    kind = getattr(owner, "__name__", type(owner).__name__)
    if not hasattr(owner, name):
        return f"{kind}.{name} is gone"
    return None if shape(getattr(owner, name)) else f"{kind}.{name} has another shape"


async def test_textual_still_has_the_private_names_that_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The canary: after an upgrade of Textual it says what tui/textual_compat.py has to learn."""
    app = App[None]()
    async with app.run_test() as pilot:
        app.notify("one")
        pane = Static()
        await app.mount(pane)
        await pilot.pause()
        driver = LinuxDriver.__new__(LinuxDriver)
        monkeypatch.setattr("signal.signal", lambda *_: None)
        monkeypatch.setattr("sys.__stdin__", Path("/dev/null").open())  # noqa: ASYNC230, SIM115
        LinuxDriver.__init__(driver, app)
        writer = textual.drivers._writer_thread.WriterThread(driver._file)
        found = [complaint(*entry) for entry in IN_MODULES]
        for owner, names in (
            (app, OF_AN_APP), (pane, OF_A_WIDGET), (driver, OF_A_DRIVER), (writer, OF_A_WRITER),
        ):  # fmt: skip
            found += [complaint(owner, name, shape) for name, shape in names.items()]
    wrong = [text for text in found if text]
    assert not wrong, (
        f"Textual {version('textual')}: {'; '.join(wrong)}. Mend arkor_tui/tui/textual_compat.py, "
        "then this test, before the pin in pyproject.toml is moved."
    )


def test_the_canary_says_what_is_gone_and_what_has_changed() -> None:
    assert complaint(App, "_handle_exception", takes("error")) is None
    assert complaint(App, "_handle_error", takes("error")) == "App._handle_error is gone"
    assert complaint(App, "_handle_exception", takes("message")) == (
        "App._handle_exception has another shape"
    )
    assert complaint(textual.keys, "_key", a(str)) == "textual.keys._key is gone"


def test_the_canary_knows_every_private_name_of_the_compat_module() -> None:
    known = {name for _, name, _ in IN_MODULES}
    known |= {*OF_AN_APP, *OF_A_WIDGET, *OF_A_DRIVER, *OF_A_WRITER}
    tree = ast.parse(Path(inspect.getfile(textual_compat)).read_text("utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
             for alias in node.names}  # fmt: skip
    private = {name for name in used if name.startswith("_") and not name.startswith("__")}
    assert private
    assert private <= known


def test_no_other_module_uses_a_private_name_of_textual() -> None:
    """Neither an import of one, nor one of another object, nor one that a base class has."""
    wrong = [
        f"{name}: {text}"
        for name, module in every_module()
        if module is not textual_compat
        for text in (*private_imports(module), *private_uses(module))
    ]
    assert not wrong, "\n".join(wrong)


def every_module() -> Iterator[tuple[str, Any]]:
    """The modules of the terminal app."""
    for found in pkgutil.walk_packages(arkor_tui.tui.__path__, "arkor_tui.tui."):
        yield found.name, importlib.import_module(found.name)


def private_imports(module: Any) -> Iterator[str]:
    """Imports from private modules of Textual, or of private names."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("textual"):
            names = [alias.name for alias in node.names if alias.name.startswith("_")]
            if "._" in (node.module or "") or names:
                yield ast.unparse(node)


def private_uses(module: Any) -> Iterator[str]:
    """Private attributes that a class of Textual owns, used or redefined."""
    for cls in vars(module).values():
        if not inspect.isclass(cls) or cls.__module__ != module.__name__:
            continue
        theirs = {name for base in cls.__mro__ if base.__module__.startswith("textual")
                  for name in owned_by(base)}  # fmt: skip
        for node in ast.walk(tree_of(cls)):
            if isinstance(node, ast.Attribute) and node.attr in theirs:
                yield f"{cls.__name__} uses {ast.unparse(node)}"
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in theirs:
                yield f"{cls.__name__} defines {node.name}"
    strangers = OF_AN_APP.keys() | OF_A_WIDGET.keys() | OF_A_DRIVER.keys() | OF_A_WRITER.keys()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if not isinstance(node, ast.Attribute) or node.attr not in strangers:
            continue
        if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            yield f"uses {ast.unparse(node)}"


@functools.cache
def owned_by(cls: type) -> set[str]:
    """Private names that a class defines, in its body or on itself."""
    names = set(vars(cls))
    for node in ast.walk(tree_of(cls)):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            names.add(node.attr)
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


@functools.cache
def tree_of(cls: type) -> ast.AST:
    """The source of a class."""
    return ast.parse(textwrap.dedent(inspect.getsource(cls)))


@pytest.mark.parametrize("character", ["?", "_", "a", "Ä"])
def test_the_key_of_a_character_is_the_one_that_bindings_use(character: str) -> None:
    from textual.binding import Binding

    (binding,) = Binding.make_bindings([Binding(character, "x")])
    assert binding.key == textual_compat.key_of_character(character)
