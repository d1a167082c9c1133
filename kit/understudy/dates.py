"""Dates and times of day as people say them: `tomorrow`, `next Friday`, `24 December`, `since Monday`, `half past seven`.

What may be a date is found here, by its words; which day it is says dateparser, counted from a clock that is given.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?"
_DAY_NUMBER = r"(?:0?[1-9]|[12]\d|3[01])"
_MANY = r"(?:\d+|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|a couple of|a few)"
_UNIT = r"(?:day|week|fortnight|month|year)s?"
_FEAST = r"christmas(?: eve| day)?|new year'?s(?: eve| day)?|valentine'?s(?: day)?|halloween"
_DATES = (
    r"\d{4}[-./]\d{1,2}[-./]\d{1,2}",
    r"\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})",
    rf"{_DAY_NUMBER}(?:st|nd|rd|th)?(?:\s+of)?\s+{_MONTH}(?:,?\s+\d{{4}})?(?!\d)",
    rf"{_MONTH}\s+{_DAY_NUMBER}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?(?![\d:])",
    r"(?:the\s+)?day\s+(?:after\s+tomorrow|before\s+yesterday)",
    r"tomorrow|today|tonight|yesterday",
    rf"(?:(?:next|this|last|coming|past)\s+)?{_DAY}(?:\s+(?:next\s+week|in\s+{_MANY}\s+weeks?))?",
    rf"in\s+{_MANY}\s+{_UNIT}|{_MANY}\s+{_UNIT}\s+(?:ago|from\s+(?:now|today))",
    r"(?:next|last|this)\s+(?:week(?:end)?|month|year)",
    r"(?:the\s+)?end\s+of\s+(?:the|this|next)\s+(?:week|month|year)",
    rf"(?:{_FEAST})(?:\s+\d{{4}})?",
    r"(?<=on\s)the\s+\d{1,2}(?:st|nd|rd|th)\b(?!\s+\w+\s+of)",
)
DATE = re.compile(rf"(?<![\w/.-])(?:{'|'.join(_DATES)})(?![\w/-])", re.IGNORECASE)
_PART = r"\s+(?:in\s+the\s+)?(?:morning|afternoon|evening)|\s+(?:at\s+night|tonight)"
_HOUR = r"(?:[01]?\d|2[0-3])"
_HOUR_WORD = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\d{1,2})"
TIME = re.compile(
    rf"(?<![\w:.])(?:{_HOUR}[:.][0-5]\d(?::[0-5]\d)?\s?[ap]\.?m\b\.?|{_HOUR}:[0-5]\d(?::[0-5]\d)?(?:{_PART})?"
    rf"|(?:1[0-2]|[1-9])\s?[ap]\.?m\b\.?|{_HOUR_WORD}\s+o['’]clock(?:{_PART})?|(?:half\s+past|(?:a\s+)?quarter\s+(?:past|to))\s+{_HOUR_WORD}(?:{_PART})?"
    rf"|(?:noon|midday|midnight)\b|{_HOUR_WORD}(?:{_PART})|(?<=at\s){_HOUR}(?=\s*(?:[,;?!]|\.(?!\d)|$|on\b|tomorrow|today|tonight|for\b)))",
    re.IGNORECASE,
)
_HOURS = {
    w: n for n, w in enumerate("one two three four five six seven eight nine ten eleven twelve".split(), 1)
}
_NAMED_TIMES = {"noon": "12:00", "midday": "12:00", "midnight": "00:00"}
_FEASTS = {"christmas": (12, 25), "christmas eve": (12, 24), "christmas day": (12, 25), "new years": (1, 1),
           "new years day": (1, 1), "new years eve": (12, 31), "valentines": (2, 14), "valentines day": (2, 14),
           "halloween": (10, 31)}  # fmt: skip
PAST = frozenset("since last past from ago was were did had after".split())


def dates(text: str, now: datetime) -> Iterator[tuple[int, int, str]]:
    """(start, end, YYYY-MM-DD) of each date in a text."""
    for match in DATE.finditer(text):
        before = re.findall(r"[a-z]+", text[: match.start()].lower())[-1:]
        if found := parse_date(match[0], now, is_past=bool(PAST & {*before})):
            yield *match.span(), found


def parse_date(text: str, now: datetime, *, is_past: bool = False) -> str | None:
    """The day that is meant as YYYY-MM-DD, None if there is no such day. `is_past`: `since Monday` is the last one."""
    low = re.sub(r"[’']|^the\s+|^(?:coming|this)\s+(?=\w+day)|\s+from\s+(?:now|today)$", "", text.lower())
    if re.fullmatch(r"\d+ \w+", low) and low != text.lower():
        low = f"in {low}"  # `3 days from now`
    is_iso = re.match(r"\d{4}", low)
    found = _named(low, now.date()) or (None if is_iso else _parsed(low, now, is_past))
    return found.isoformat() if found else None


def _named(low: str, today: date) -> date | None:
    """The days that dateparser does not know; those of ISO 8601, which it would take for others if they do not exist."""
    if written := re.fullmatch(r"(\d{4})[-./](\d{1,2})[-./](\d{1,2})", low):
        try:
            return date(*map(int, written.groups()))
        except ValueError:
            return None
    feast, _, year = low.partition(" 2")
    if feast in _FEASTS:
        day = date(int(f"2{year}") if year else today.year, *_FEASTS[feast])
        return day if year or day >= today else day.replace(year=day.year + 1)
    if low.endswith("weekend"):
        saturday = today + timedelta((5 - today.weekday()) % 7)
        return saturday + timedelta(7 * (low.startswith("next") - low.startswith("last")))
    if match := re.fullmatch(r"end of (the|this|next) (week|month|year)", low):
        return _end(match[2], today, match[1] == "next")
    if match := re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)", low):
        months = (today.replace(day=1) + timedelta(32 * n) for n in range(3))
        days = (m.replace(day=int(match[1])) for m in months if 0 < int(match[1]) <= _length(m))
        return next((day for day in days if day >= today), None)
    if match := re.fullmatch(r"(\w+day)s? (?:next week|in (\w+) weeks?)", low):
        start = today - timedelta(today.weekday())
        weeks = (
            {**_HOURS, "a": 1}.get(match[2], 1) if match[2] and not match[2].isdigit() else int(match[2] or 1)
        )
        return start + timedelta(7 * weeks + [d.lower() for d in calendar.day_name].index(match[1]))
    return None


def _length(month: date) -> int:
    return calendar.monthrange(month.year, month.month)[1]


def _end(unit: str, today: date, is_next: bool) -> date:
    if unit == "week":
        return today + timedelta(6 - today.weekday() + 7 * is_next)
    if unit == "year":
        return date(today.year + is_next, 12, 31)
    month = (today.replace(day=1) + timedelta(32)) if is_next else today
    return month.replace(day=_length(month))


def _parsed(low: str, now: datetime, is_past: bool) -> date | None:
    import dateparser  # late: only who says a date pays for it

    low = re.sub(r"\ba few\b", "3", re.sub(r"\ba couple of\b", "2", low)).replace("fortnight", "14 days")
    low = re.sub(r"(?<=day)s$", "", low)
    order = "DMY" if re.match(r"\d{1,2}\.", low) or re.match(r"(?:1[3-9]|2\d|3[01])[-/]", low) else "MDY"
    settings = {
        "RELATIVE_BASE": now.replace(tzinfo=None),
        "PREFER_DATES_FROM": "past" if is_past else "future",
        "DATE_ORDER": order,
        "REQUIRE_PARTS": ["day"] if re.search(r"\d", low) else [],
    }
    found = dateparser.parse(low, languages=["en"], settings=settings)
    return found.date() if found else None


def times(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, HH:MM) of each time of day in a text."""
    for match in TIME.finditer(text):
        start, end = match.span()
        while text[end - 1].isspace():
            end -= 1
        if found := parse_time(
            match[0], evening=bool(re.search(r"\b(?:tonight|evening)\b", text, re.IGNORECASE))
        ):
            yield start, end, found


def parse_time(text: str, *, evening: bool = False) -> str | None:
    """A time of day as HH:MM, or HH:MM:SS if it has seconds. `evening`: an hour without am or pm is one after noon."""
    low = text.lower().strip()
    if low in _NAMED_TIMES:
        return _NAMED_TIMES[low]
    numbers = re.findall(r"\d+", low) or [str(_HOURS[w]) for w in re.findall(r"[a-z]+", low) if w in _HOURS]
    if not numbers:
        return None
    hour, rest = int(numbers[0]), numbers[1:] or ["00"]
    if "half past" in low:
        rest = ["30"]
    elif "quarter" in low:
        rest, hour = (["15"], hour) if "past" in low else (["45"], hour - 1)
    half = re.search(r"(?<![a-z])([ap])\.?m\b", low)
    if half:
        hour = hour % 12 + (12 if half[1] == "p" else 0)
    elif (evening or re.search(r"afternoon|evening|night", low)) and hour < 12:
        hour += 12
    return ":".join([f"{hour % 24:02d}", *rest])
