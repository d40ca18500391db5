"""Texts that try to reach the terminal, a reader or a parser; values that no parser expects."""

# ruff: noqa: E501

from __future__ import annotations

import random
import unicodedata
from typing import Any

from hypothesis import strategies as st

ESC, BEL, ST, CSI8, OSC8, DCS8 = "\x1b", "\x07", "\x1b\\", "\x9b", "\x9d", "\x90"
MEGABYTE = 1_000_000

FAMILIES: dict[str, tuple[str, ...]] = {
    "clipboard": (f"{ESC}]52;c;ZXZpbA=={BEL}", f"{ESC}]52;p;ZXZpbA=={ST}", f"{OSC8}52;c;QQ==\x9c"),
    "link": (f"{ESC}]8;;https://evil.example{ST}click{ESC}]8;;{ST}", f"{OSC8}8;;file:///\x9cx"),
    "title": (f"{ESC}]0;owned{BEL}", f"{ESC}]2;owned{ST}", f"{ESC}]9;7;calc{BEL}"),
    "device": (f"{ESC}P+q544e{ST}", f"{ESC}P1$r0m{ST}", f"{DCS8}q#0\x9c", f"{ESC}Ptmux;{ESC}{ESC}c{ST}"),
    "application": (f"{ESC}_Gf=24,s=1;AAAA{ST}", "\x9fGa=d\x9c", f"{ESC}^privacy{ST}", f"{ESC}Xsos{ST}"),
    "cursor": (f"{ESC}[2J{ESC}[H", f"{ESC}[999;999H", f"{ESC}[1A{ESC}[2K", f"{ESC}7{ESC}8", "\b\b\b\r"),
    "mode": (f"{ESC}[?1049l", f"{ESC}[?25h", f"{ESC}c", f"{ESC}(0", f"{ESC}#8", f"{ESC}[?2004h", f"{ESC}[!p"),
    "query": (f"{ESC}[6n", f"{ESC}[c", f"{ESC}[>q", f"{ESC}]11;?{BEL}", f"{ESC}[?2026$p", f"{CSI8}6n", "\x05"),
    "unterminated": (f"{ESC}]52;c;QUFB", f"{ESC}P", f"{ESC}_", f"{ESC}[38;2", ESC, CSI8, OSC8, f"{ESC}]0;"),
    "eight bit": (f"{CSI8}31m", f"{CSI8}2J", "\x85\x84\x8d", "\x80\x8e\x8f\x96\x97\x9a"),
    "eight bit in utf-8": ("\u00c2\u009b31m", "Â\x9b2J"),
    "two in one": (f"{ESC}{ESC}[31m[31m", f"{ESC}]0;{ESC}]0;x{BEL}{BEL}", f"{ESC}[{ESC}[31m31m", f"{ESC}\x9b]{BEL}"),
    "direction": ("\u202egnp.exe\u202c", "\u2066\u2067\u2068x\u2069", "\u061c\u200e\u200f", "\u202a\u202b\u202d"),
    "invisible": ("a\u200bd\ufeffm\u2060in", "\U000e0041\U000e0042\U000e007f", "\u180e\u2063", "\u00ad", "\U0001bca0\U0001d173"),
    "line ends": ("a\u2028b\u2029c", "a\x0bb\x0cc", "a\r\nb\rc", "a\x1cb\x1dc\x1e\x1f"),
    "surrogate": ("\ud800", "x\udfffy", "\ude00\ud83d"),
    "nul and delete": ("a\x00b", "\x7f\x7f", "\x00"),
    "markup": ("[@click=app.quit]x[/]", "[link=https://evil.example]x[/link]", "[b]evil[/b]", "[/]", "[red", "[$text]",
               "[@click=\"app.bell\"]x[/@click]", "\\[b]", "[blink reverse on red]x", ":skull:", "{0.__class__} %s %n"),
    "prompt": ("\nroot@host:~# ", "\r\n[sudo] password for root: ", "\n\nLeave it running [Enter], [c]ancel? ",
               "\njob_0000  fine  completed"),
    "document": ("</pre><script>alert(1)</script>", "![x](https://evil.example/t.png)", "&#x202e;", "| a | b |\n|---|",
                 "```\n# head", "=1+1", "+1+1", "-2+3", "@SUM(1)", "\t=1", "＝1", "a;=1", "]]>", "<!--", "\ufffe\uffff"),
    "stacked marks": ("Z" + "\u0351\u0346\u0315" * 40, "\u0489" * 60),
    "ordinary": ("naïve café", "日本語のログ", "👩‍👩‍👧 🏳️‍🌈 ✅", "नमस्ते", "مرحبا", "a\tb", "e\u0301", "x" * 300),
}  # fmt: skip
"""Every family of payloads, by name."""

EVERY = tuple(text for texts in FAMILIES.values() for text in texts)


def hostile_strings(count: int, seed: int = 1) -> list[str]:
    """So many strings, none twice: each payload alone, then seeded mixtures of them with words."""
    dice = random.Random(seed)
    found: dict[str, None] = dict.fromkeys(EVERY)
    while len(found) < count:
        parts = [dice.choice(EVERY) for _ in range(dice.randint(1, 4))]
        parts.insert(dice.randint(0, len(parts)), f"w{len(found)}")
        if dice.random() < 0.3:
            cut = dice.randrange(len(parts))
            parts[cut] = parts[cut][: dice.randint(0, len(parts[cut]))]
        found.setdefault("".join(parts)[:900])
    return list(found)[:count]


ALLOWED_CONTROLS = frozenset("\n\t")
_FORBIDDEN_FORMATS = frozenset(
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2028\u2029\ufeff"
    + "".join(map(chr, (*range(0x202A, 0x202F), *range(0x2060, 0x2070), *range(0xFFF9, 0xFFFC))))
    + "".join(
        map(chr, (*range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE0080)))
    )
)


def forbidden(text: str) -> set[str]:
    """What of a text may not reach a terminal, escaped for messages."""
    return {
        f"U+{ord(char):04X}"
        for char in set(text)
        if (unicodedata.category(char) in ("Cc", "Cs") and char not in ALLOWED_CONTROLS)
        or char in _FORBIDDEN_FORMATS
    }


# dense in what matters, so that sequences, halves of them and cut payloads come up
hostile_text = st.lists(
    st.sampled_from(EVERY)
    | st.text(st.characters() | st.sampled_from("\x1b\x07\x9b\x9c\x9d\x90[]\\;52cPX^_\r\n\t m1")),
    max_size=4,
).map("".join)
valid_text = hostile_text.map(lambda text: text.encode("utf-8", "replace").decode())

numbers: st.SearchStrategy[Any] = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, -1, 2**53, 2**63, -(2**63) - 1, 10**40, 10**400, 1e308, 1e-320, -0.0])
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | hostile_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(hostile_text, inner, max_size=4),
    max_leaves=12,
)
"""Anything that ``json.dumps`` can write, NaN, infinities and lone surrogates included."""
