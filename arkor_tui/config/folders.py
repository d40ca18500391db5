"""Where things lie. Every function reads the environment when it is called."""

from __future__ import annotations

import os
from pathlib import Path

from arkor_tui.errors import UsageError

from .atomic import make_private_folder

_APP = "arkor-tui"


def home_folder() -> Path:
    """The user's home folder.

    Raises:
        UsageError: the system knows none.
    """
    try:
        return Path.home()
    except RuntimeError as error:
        raise UsageError(
            "Cannot tell where the home folder is.", hint="Set HOME to your home folder."
        ) from error


def data_dir(*, create: bool = True) -> Path:
    """``ARKOR_TUI_DATA_DIR``, else the platform's folder for application data; mode 0700.

    Raises:
        WriteFailedError: it cannot be created.
    """
    return _folder("ARKOR_TUI_DATA_DIR", "user_data_path", create=create)


def config_dir(*, create: bool = True) -> Path:
    """``ARKOR_TUI_CONFIG_DIR``, else the platform's folder for settings; mode 0700.

    Raises:
        WriteFailedError: it cannot be created.
    """
    return _folder("ARKOR_TUI_CONFIG_DIR", "user_config_path", create=create)


def local_backend_dir(*, create: bool = True) -> Path:
    """Where the embedded backend keeps its jobs, token and address: ``local`` in the data folder.

    Raises:
        WriteFailedError: it cannot be created.
    """
    folder = data_dir(create=create) / "local"
    return make_private_folder(folder) if create else folder


def _folder(variable: str, platform_folder: str, *, create: bool) -> Path:
    given = os.environ.get(variable)
    if given:
        folder = Path(given).expanduser().absolute()
    else:
        import platformdirs  # only where it is needed: a command that sets the variable is faster

        found: Path = getattr(platformdirs, platform_folder)(_APP, appauthor=False)
        folder = found
    return make_private_folder(folder) if create else folder
