"""The slug of a project that is named after its folder."""

from __future__ import annotations

import re

_LONGEST = 40  # characters
_ODD = re.compile(r"[^a-z0-9-]")


def project_slug(name: str) -> str:
    """The slug for a folder called ``name`` (docs/protocol.md, section 2, rule 4).

    Lower case, each odd character a dash, outer dashes cut, the first 40 characters, else
    ``project``. The ``arkor`` command counts UTF-16 units: a character beyond the basic plane, such
    as an emoji, is two dashes, and must be here too, or the two would make two projects.
    """
    dashed = _ODD.sub(lambda odd: "--" if ord(odd[0]) > 0xFFFF else "-", name.lower())
    return dashed.strip("-")[:_LONGEST] or "project"
