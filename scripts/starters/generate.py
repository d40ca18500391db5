"""Write the starters' training and held-out rows.

python -m scripts.starters.generate            # writes arkor_tui/starters/*/data/*.jsonl
python -m scripts.starters.generate --check    # only says whether the files are up to date
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from scripts.lexicon.formats import KEY_SETS, Row, compact, make_rows

FOLDER = Path(__file__).parents[2] / "arkor_tui" / "starters"
SEED = "starters-1"
TRAIN_ROWS, HELDOUT_ROWS = 800, 100


def sentences(row: Row) -> set[str]:
    text = row["messages"][1]["content"]
    parts = re.split(r"(?<=[.!?])\s+|(?<=[。！？])", text)
    return {part.strip().lower() for part in parts if part.strip()}


def build(starter: str) -> dict[str, str]:
    train = make_rows(starter, TRAIN_ROWS, SEED, heldout=False)
    heldout = make_rows(starter, HELDOUT_ROWS, SEED, heldout=True)
    shared = set().union(*map(sentences, train)) & set().union(*map(sentences, heldout))
    assert not shared, f"{starter}: in both parts: {sorted(shared)[:3]}"
    return {
        f"{starter}/data/{name}.jsonl": "".join(compact(row) + "\n" for row in rows)
        for name, rows in (("train", train), ("heldout", heldout))
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    stale = []
    for starter in KEY_SETS:
        for name, content in build(starter).items():
            path = FOLDER / name
            if args.check:
                if not path.is_file() or path.read_bytes() != content.encode():
                    stale.append(name)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.encode())
    for name in stale:
        print(f"out of date: {name}; run python -m scripts.starters.generate", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
