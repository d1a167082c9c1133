"""Pictures with a text alternative: sequence diagrams, bar charts of measured numbers, matrices of counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from kit.markup import columns, escape, short, table

MOST = 40  # exchanges that are drawn, the latest
_LANE, _ROW, _TOP, _LEFT = 220, 30, 58, 66  # pixels


@dataclass(frozen=True)
class Exchange:
    """One request and its answer. `start` is in seconds since the beginning, `seconds` how long it took.

    `answer` is what came back, in a word or two; empty if none was expected.
    """

    source: str
    target: str
    text: str
    start: float
    seconds: float = 0.0
    answer: str = ""
    ok: bool = True


class Sequence:
    """Exchanges in order. Shows itself as a diagram, with a table as a fallback."""

    def __init__(self, exchanges: Iterable[Exchange], participants: Iterable[str] = ()) -> None:
        self.exchanges = sorted(exchanges, key=lambda exchange: exchange.start)
        ends = (name for exchange in self.exchanges for name in (exchange.source, exchange.target))
        self.participants = list(dict.fromkeys([*participants, *ends]))

    @property
    def svg(self) -> str:
        """The diagram as one SVG document, with a background of its own, so readable in light and dark."""
        return _svg(self)

    @property
    def words(self) -> str:
        """The diagram in words: one sentence for each exchange."""
        lines = []
        for exchange in self.exchanges[-MOST:]:
            answer = f" ({exchange.answer})" if exchange.answer else ""
            lines.append(f"{exchange.source} to {exchange.target}: {exchange.text}{answer}.")
        return " ".join(lines) or "Nothing was sent yet."

    def _rows(self) -> list[tuple[str, str, str, str, str]]:
        return [
            (
                duration(exchange.start).rjust(7),
                f"{exchange.source} → {exchange.target}",
                short(exchange.text, 100),
                exchange.answer,
                duration(exchange.seconds).rjust(7) if exchange.answer else "",
            )
            for exchange in self.exchanges
        ]

    def __repr__(self) -> str:
        return columns(self._rows()) if self.exchanges else "Nothing was sent yet."

    def _repr_html_(self) -> str:
        if not self.exchanges:
            return "Nothing was sent yet."
        heads = ("at", "from → to", "what", "answer", "took")
        rows = [tuple(map(escape, row)) for row in self._rows()]
        return f"{self.picture()}{table(heads, rows)}"

    def picture(self) -> str:
        """The diagram as an HTML image, with its words as the alternative text."""
        return _image(self.svg, short(self.words, 600))


def duration(seconds: float) -> str:
    """A readable duration: `12 ms`, `1.4 s`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _svg(sequence: Sequence) -> str:
    names, shown = sequence.participants, sequence.exchanges[-MOST:]
    # Each exchange is two events, there and back, in the order they happened.
    events: list[tuple[float, int, int, Exchange]] = []
    for number, exchange in enumerate(shown):
        events.append((exchange.start, number, 0, exchange))
        if exchange.answer:
            events.append((exchange.start + exchange.seconds, number, 1, exchange))
    events.sort(key=lambda event: event[0])
    left = len(sequence.exchanges) - len(shown)
    width = _LEFT + _LANE * max(1, len(names) - 1) + 110
    height = _TOP + _ROW * len(events) + 22 + (18 if left else 0)
    x = {name: _LEFT + 44 + _LANE * lane for lane, name in enumerate(names)}
    parts = []
    if left:
        parts.append(
            _text(10, height - 12, f"{left} earlier ones are not drawn", anchor="start", color="#666")
        )
    for name in names:
        parts.append(f'<path d="M{x[name]} 40V{height - 28}" stroke="#bbb" stroke-dasharray="3 3"/>')
        parts.append(_text(x[name], 28, _fit(name, 27), weight=600))
    begun: dict[int, int] = {}
    for row, (at, number, back, exchange) in enumerate(events):
        y = _TOP + _ROW * row + 12
        color = "#222" if exchange.ok else "#b3261e"
        if not back:
            begun[number] = y
            parts.append(_text(8, y + 4, duration(at), anchor="start", color="#666", size=11))
            parts += _arrow(x[exchange.source], x[exchange.target], y, exchange.text, color)
        else:
            parts.append(
                f'<rect x="{x[exchange.target] - 4}" y="{begun[number]}" width="8" height="{y - begun[number]}" '
                'fill="#dfe7f5" stroke="#8aa"/>'
            )
            words = f"{exchange.answer}, {duration(exchange.seconds)}"
            parts += _arrow(x[exchange.target], x[exchange.source], y, words, color, is_answer=True)
    return _document(width, height, "".join(parts))


def _arrow(start: int, end: int, y: int, words: str, color: str, is_answer: bool = False) -> list[str]:
    dash = ' stroke-dasharray="4 3"' if is_answer else ""
    if start == end:  # a message to itself
        return [
            f'<circle cx="{start}" cy="{y}" r="4" fill="{color}"/>',
            _text(start + 10, y + 4, _fit(words, 60), "start", color),
        ]
    way = 1 if end > start else -1
    start, end = start + 5 * way, end - 5 * way
    room = max(12, int(abs(end - start) / 6.4))
    return [
        f'<path d="M{start} {y}H{end}" stroke="{color}"{dash}/>',
        f'<path d="M{end} {y}l{-7 * way} -4v8z" fill="{color}"/>',
        _text((start + end) // 2, y - 5, _fit(words, room), color=color),
    ]


# -- bar charts ---------------------------------------------------------------

COLORS = ("#2f6db3", "#c25b1e", "#5a8f3c", "#8a5aa8")  # different in brightness too, and labelled
_BARS_LEFT, _BARS_WIDTH, _BAR, _GAP = 190, 420, 20, 16  # pixels


class Bars:
    """Numbers by group and series. `unit` is what they count. Shows itself as a chart."""

    def __init__(self, title: str, groups: Mapping[str, Mapping[str, float]], unit: str = "") -> None:
        self.title, self.unit = title, unit
        self.groups = {name: dict(values) for name, values in groups.items()}
        self.series = list(dict.fromkeys(name for values in self.groups.values() for name in values))

    @property
    def svg(self) -> str:
        """The chart as one SVG document, with a background of its own, so readable in light and dark."""
        most = max((value for values in self.groups.values() for value in values.values()), default=0) or 1
        y, parts = 44, []
        for group, values in self.groups.items():
            parts.append(
                _text(
                    _BARS_LEFT - 10,
                    y + (_BAR * len(self.series)) // 2 + 4,
                    short(group, 28),
                    "end",
                    weight=600,
                )
            )
            for number, name in enumerate(self.series):
                value = values.get(name, 0)
                width = round(_BARS_WIDTH * value / most)
                color = COLORS[number % len(COLORS)]
                parts.append(
                    f'<rect x="{_BARS_LEFT}" y="{y}" width="{max(width, 1)}" height="{_BAR - 3}" fill="{color}"/>'
                )
                words = f"{_number(value)} {self.unit}".rstrip() + (f", {name}" if name else "")
                parts.append(_text(_BARS_LEFT + width + 6, y + 13, words, "start", weight=400))
                y += _BAR
            y += _GAP
        head = _text(12, 24, self.title, "start", weight=600)
        width = _BARS_LEFT + _BARS_WIDTH + 260
        return _document(width, y, head + "".join(parts))

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (group, *(_number(values[name]) if name in values else "" for name in self.series))
            for group, values in self.groups.items()
        ]

    def __repr__(self) -> str:
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.title}{unit}\n{columns([('', *self.series), *self._rows()], '  ')}"

    def _repr_html_(self) -> str:
        rows = [tuple(map(escape, row)) for row in self._rows()]
        words = "; ".join(
            f"{group}: " + ", ".join(f"{_number(value)} {name}" for name, value in values.items())
            for group, values in self.groups.items()
        )
        return _image(self.svg, f"{self.title}. {words}") + table(
            (self.unit, *map(escape, self.series)), rows
        )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.2f}"


# -- matrices of counts -------------------------------------------------------

_CELL, _SIDE = 34, 210  # pixels: a cell, and the names of the rows
MOST_NAMES = 30  # rows and columns that are drawn


class Matrix:
    """Counts by (row, column), both of the same names: what was expected, and what came. The diagonal is right."""

    def __init__(
        self, title: str, rows: str, columns: str, counts: Mapping[tuple[str, str], int], order: Iterable[str]
    ) -> None:
        self.title, self.rows, self.columns = title, rows, columns
        self.counts = {pair: count for pair, count in counts.items() if count}
        seen = {name for pair in self.counts for name in pair}
        self.names = [name for name in dict.fromkeys(order) if name in seen]
        self.names += sorted(seen - {*self.names})

    @property
    def svg(self) -> str:
        """The matrix as one SVG document, with a background of its own, so readable in light and dark."""
        names = self.names[:MOST_NAMES]
        most, size = max(self.counts.values(), default=1), _CELL * len(names)
        left, top = _SIDE, 46 + 130
        parts = [
            _text(12, 24, self.title, "start", weight=600),
            _text(12, top - 8, f"{self.rows} ↓", "start", "#666"),
        ]
        parts.append(_text(left + size + 8, top - 8, f"← {self.columns}", "start", "#666"))
        for place, name in enumerate(names):
            middle = place * _CELL + _CELL // 2
            parts.append(_text(left - 8, top + middle + 4, _fit(name, 28), "end"))
            turned = _text(0, 0, _fit(name, 22), "start")
            parts.append(f'<g transform="translate({left + middle + 4} {top - 20}) rotate(-55)">{turned}</g>')
        for row, wanted in enumerate(names):
            for column, called in enumerate(names):
                count, x, y = self.counts.get((wanted, called), 0), left + column * _CELL, top + row * _CELL
                color = COLORS[0] if row == column else COLORS[1]
                shade = f"{0.25 + 0.75 * count / most:.2f}" if count else "0"
                parts.append(
                    f'<rect x="{x}" y="{y}" width="{_CELL - 2}" height="{_CELL - 2}" fill="{color}" '
                    f'fill-opacity="{shade}" stroke="#bbb"/>'
                )
                if count:
                    ink = "#fff" if count / most > 0.4 else "#222"
                    parts.append(
                        _text(x + _CELL // 2 - 1, y + _CELL // 2 + 4, str(count), color=ink, weight=600)
                    )
        rest = len(self.names) - len(names)
        if rest:
            parts.append(_text(12, top + size + 18, f"{rest} more names are not drawn", "start", "#666"))
        return _document(left + size + 130, top + size + (30 if rest else 14), "".join(parts))

    @property
    def words(self) -> str:
        """The matrix in words, what is wrong first."""
        pairs = sorted(self.counts.items(), key=lambda item: (item[0][0] == item[0][1], -item[1]))
        said = (
            f"{count} times {wanted}, rightly" if wanted == called else f"{count} times {called} for {wanted}"
            for (wanted, called), count in pairs
        )
        return "; ".join(said)

    def __repr__(self) -> str:
        return f"{self.title}\n{self.words}"

    def _repr_html_(self) -> str:
        return _image(self.svg, f"{self.title}. {short(self.words, 600)}")


# -- shared parts -------------------------------------------------------------


def _document(width: int, height: int, content: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="system-ui,sans-serif" font-size="12" fill="#222">'
        f'<rect width="{width}" height="{height}" rx="8" fill="#fff" stroke="#bbb"/>{content}</svg>'
    )


def _image(svg: str, words: str) -> str:
    source = "data:image/svg+xml," + quote(svg, safe="/:=,;()")
    return f'<img src="{source}" alt="{escape(words)}" style="max-width:100%">'


def _text(
    x: int, y: int, words: str, anchor: str = "middle", color: str = "#222", weight: int = 0, size: int = 12
) -> str:
    more = (f' fill="{color}"' if color != "#222" else "") + (f' font-weight="{weight}"' if weight else "")
    more += f' font-size="{size}"' if size != 12 else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def _fit(words: str, characters: int) -> str:
    return short("".join(c if c.isprintable() else " " for c in words), characters)
