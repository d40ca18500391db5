"""A run every night, with the date in its name. The crontab line, at 02:30:

    30 2 * * * cd /srv/support-bot && .venv/bin/python examples/nightly.py >> nightly.log 2>&1

Cron mails what is printed and knows the exit code: 0 for a completed run, 1 for any other. The
guard stops a night that goes wrong, and Slack hears of it if SLACK_WEBHOOK_URL is set.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from arkor_tui import FileDataset, LoraConfig, Trainer, create_trainer, run_trainer
from arkor_tui.recipes import EarlyStopping, SlackNotifier

DATA = Path(__file__).parent / "data" / "tickets.jsonl"


def tonight(day: date, steps: int = 100) -> Trainer:
    """The trainer of one night."""
    return create_trainer(
        name=f"support-bot-{day:%Y-%m-%d}",
        model="arkor-tui/tiny",
        dataset=FileDataset(DATA),
        lora=LoraConfig(r=16, alpha=32),
        max_steps=steps,
        learning_rate=0.01,
        callbacks=[
            EarlyStopping(ceiling=8.0, window=10),
            SlackNotifier.from_env("SLACK_WEBHOOK_URL"),
        ],
        backend="local",
    )


def main() -> int:
    """Run it; the exit code says whether it completed."""
    parser = argparse.ArgumentParser(description="The nightly run.")
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()
    result = run_trainer(tonight(date.today(), args.steps))
    if result.reason:
        print(f"stopped because {result.reason}")
    return 0 if result.status == "completed" else 1


if __name__ == "__main__":
    sys.exit(main())
