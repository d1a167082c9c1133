"""Text of others as data: what would act on a terminal or a page, or that nobody would see, is shown as an escape.

Control characters, bidirectional overrides, invisible characters and halves of characters become JSON's escapes
(`\\u001b`), so that a JSON text stays the same JSON. What languages and emoji need stays as it is: their letters, a joiner
between them, a mark of direction beside a letter written from the right, the tags of a flag.
"""

from __future__ import annotations

import re
from typing import Any

_RIGHT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"  # letters written from the right
_JOINED = r"[^\x00-\u02ff\u2000-\u20ff\u3164\ud800-\uf8ff\ufeff\uff00-\uffff\U000e0000-\U000e0fff]"  # letters of other scripts, and emoji
_LETTER = rf"[{_RIGHT}]"
_KEPT = (
    rf"(?<={_JOINED})[\u200c\u200d](?={_JOINED})",  # joiners: in Persian and Hindi, and in emoji of several
    rf"(?<={_LETTER})[\u200e\u200f\u061c]|[\u200e\u200f\u061c](?={_LETTER})",
    "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f",  # the flags of England, Scotland, Wales
    r"(?<=[#*0-9\u00a9\u00ae\u2010-\uffff\U00010000-\U000dffff])[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
    r"(?![\ufe00-\ufe0f\U000e0100-\U000e01ef])",  # one variation of a character
)
_SHOWN = (
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_UNSEEN = re.compile(f"(?P<kept>{'|'.join(_KEPT)})|{_SHOWN}")
_HALF = re.compile(r"[\ud800-\udfff]")


def visible(text: str) -> str:
    """A block of text: its lines and tabs stay, whatever else is not seen becomes an escape."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(_mark, text.replace("\r\n", "\n"))


def visible_line(text: str) -> str:
    """The same in one line: all space in it becomes single spaces."""
    return " ".join(visible(text).split())


def _mark(match: re.Match[str]) -> str:
    if match["kept"]:
        return match[0]
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def encodable(value: Any) -> Any:
    """`value` with no half of a character in its texts: UTF-8 has none, so that such a text cannot be sent.

    Two halves that belong together become their character, others a replacement character.
    """
    if isinstance(value, str):
        if not _HALF.search(value):
            return value
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    return [encodable(item) for item in value] if isinstance(value, list) else value
