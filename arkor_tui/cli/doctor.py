"""``arkor-tui doctor``: look at everything that a run needs, and say what to do."""

from __future__ import annotations

import argparse
from collections import Counter

from .interaction import emit, say


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Check terminal, folders, credentials, backend and engine. Sends nothing to the cloud. "
        "Ends with 1 if something fails; warnings alone do not count."
    )
    parser.add_argument(
        "--keys", action="store_true", help="list the app's actions, their ids and keys instead"
    )


def run(args: argparse.Namespace) -> int:
    """Print one line a check, as soon as it is done; 1 if any failed."""
    if args.keys:
        return _list_keys(args)
    from .check import Check
    from .checks import all_checks

    def show(check: Check) -> None:
        if args.json:
            emit(
                "check",
                {
                    "name": check.name,
                    "status": check.status,
                    "detail": check.detail,
                    "hint": check.hint,
                },
            )
            return
        say(f"{check.status:<4}  {check.name:<17}  {check.detail}")
        if check.hint is not None:
            say(f"{'':25}{check.hint}")

    count: Counter[str] = Counter()
    for check in all_checks():
        count[check.status] += 1
        show(check)
    failed = count["fail"]
    if args.json:
        emit(
            "result",
            {
                "status": "fail" if failed else "ok",
                "ok": count["ok"],
                "warn": count["warn"],
                "fail": failed,
            },
        )
    elif failed:
        say(f"\n{failed} failed, {count['warn']} to look at.")
    else:
        say(f"\nNothing failed; {count['warn']} to look at.")
    return 1 if failed else 0


def _list_keys(args: argparse.Namespace) -> int:
    """What the ``keys`` table of the settings may name."""
    from arkor_tui.tui.app import ArkorApp
    from arkor_tui.tui.keymap import actions_of

    seen: set[str] = set()
    for place in ArkorApp.bound_places():
        for action, keys, text in actions_of(place):
            if action in seen:
                continue
            seen.add(action)
            if args.json:
                emit("key", {"action": action, "keys": keys.split(","), "does": text})
            else:
                say(f"{action:<24}  {keys:<30}  {text}")
    return 0
