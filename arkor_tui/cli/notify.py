"""``arkor-tui notify``: where messages about runs go, and whether they arrive there."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from .interaction import emit, say

if TYPE_CHECKING:
    from arkor_tui.recipes.notify import Notifier

_VARIABLES = {
    "slack": "SLACK_WEBHOOK_URL",
    "discord": "DISCORD_WEBHOOK_URL",
    "webhook": "NOTIFY_WEBHOOK_URL",
    "apprise": "APPRISE_URL",
}
SERVICES = ("slack", "discord", "webhook", "apprise", "bell")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "List where messages about your runs can go: the addresses in environment variables and "
        "in the [notify] table of the settings file. --test sends one message to each, and ends "
        "with 1 if one did not arrive."
    )
    parser.add_argument(
        "--test",
        nargs="?",
        const="all",
        choices=(*SERVICES, "all"),
        metavar="SERVICE",
        help=f"send a test message to one of {', '.join(SERVICES)}, or to all that have an address",
    )
    parser.add_argument(
        "--env", metavar="NAME", help="take the address from this environment variable"
    )


def run(args: argparse.Namespace) -> int:
    """List or test; 1 if a test message did not arrive.

    Raises:
        UsageError: there is no address, or one that cannot be used.
    """
    from arkor_tui.errors import UsageError

    wanted = args.test or "all"
    if args.env is not None and wanted in ("all", "bell"):
        raise UsageError(
            "--env needs to know what the address is for.",
            hint="Name the service: arkor-tui notify --test slack --env NAME.",
        )
    notifiers = _found(wanted, args.env)
    if not notifiers and args.env is not None:
        raise UsageError(
            f"The environment variable {args.env} is not set, or it is empty.",
            hint=f"Set it to the address for {wanted}, or leave out --env to use "
            f"{_VARIABLES[wanted]} or the settings file.",
        )
    if not notifiers:
        raise UsageError(
            "No address is set to send messages to."
            if wanted == "all"
            else f"No address is set for {wanted}.",
            hint=_how(wanted),
        )
    if args.test is None:
        return _list(notifiers, args)
    return asyncio.run(_test(notifiers, args))


def _found(wanted: str, variable: str | None) -> list[Notifier]:
    """Those with an address; the environment goes before the settings file."""
    from arkor_tui.recipes import notify

    kinds = {
        "slack": notify.SlackNotifier,
        "discord": notify.DiscordNotifier,
        "webhook": notify.WebhookNotifier,
        "apprise": notify.AppriseNotifier,
    }
    if wanted == "bell":
        return [notify.BellNotifier()]
    found: list[Notifier] = []
    for name in kinds if wanted == "all" else [wanted]:
        notifier: Notifier = kinds[name].from_env(variable)
        if variable is None and not notifier.is_enabled:
            notifier = kinds[name].from_settings()
        if notifier.is_enabled:
            found.append(notifier)
    return found


def _how(wanted: str) -> str:
    from arkor_tui.config.settings import settings_path

    variables = ", ".join(_VARIABLES.values()) if wanted == "all" else _VARIABLES[wanted]
    one = "slack" if wanted == "all" else wanted
    return (
        f'Set an environment variable ({variables}), or write `{one} = "…"` under [notify] into '
        f"{settings_path()} and make it yours alone: chmod 600."
    )


def _list(notifiers: list[Notifier], args: argparse.Namespace) -> int:
    for notifier in notifiers:
        if args.json:
            emit("destination", {"service": notifier.service.lower(), "to": notifier.label})
        else:
            say(notifier.label)
    if not args.json:
        say("\n`arkor-tui notify --test` sends a test message to each.")
    return 0


async def _test(notifiers: list[Notifier], args: argparse.Namespace) -> int:
    from arkor_tui.recipes.notify import send_test

    outcomes = await asyncio.gather(*(send_test(notifier) for notifier in notifiers))
    for notifier, outcome in zip(notifiers, outcomes, strict=True):
        if args.json:
            emit(
                "test",
                {
                    "service": notifier.service.lower(),
                    "to": notifier.label,
                    "ok": outcome.ok,
                    "text": outcome.text,
                },
            )
        else:
            say(f"{'ok  ' if outcome.ok else 'fail'}  {outcome.text}")
    return 0 if all(outcome.ok for outcome in outcomes) else 1
