"""Bar charts: a few measured numbers side by side, as a picture with a table beneath."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from kit.markup import columns, escape, short, table

COLORS = ("#2f6db3", "#c25b1e", "#5a8f3c", "#8a5aa8")  # told apart by brightness too, and named beside
_LEFT, _WIDTH, _BAR, _GAP = 190, 420, 20, 16  # pixels


class Bars:
    """Numbers by group and series. `unit` is what they count. Shows itself as a chart."""

    def __init__(self, title: str, groups: Mapping[str, Mapping[str, float]], unit: str = "") -> None:
        self.title, self.unit = title, unit
        self.groups = {name: dict(values) for name, values in groups.items()}
        self.series = list(dict.fromkeys(name for values in self.groups.values() for name in values))

    @property
    def svg(self) -> str:
        """The chart as one SVG document, with a ground of its own: it is read on light and dark alike."""
        most = max((value for values in self.groups.values() for value in values.values()), default=0) or 1
        y, parts = 44, []
        for group, values in self.groups.items():
            parts.append(
                _text(_LEFT - 10, y + (_BAR * len(self.series)) // 2 + 4, short(group, 28), "end", 600)
            )
            for number, name in enumerate(self.series):
                value = values.get(name, 0)
                width = round(_WIDTH * value / most)
                color = COLORS[number % len(COLORS)]
                parts.append(
                    f'<rect x="{_LEFT}" y="{y}" width="{max(width, 1)}" height="{_BAR - 3}" fill="{color}"/>'
                )
                words = f"{_number(value)} {self.unit}".rstrip() + (f", {name}" if name else "")
                parts.append(_text(_LEFT + width + 6, y + 13, words, "start"))
                y += _BAR
            y += _GAP
        head = _text(12, 24, self.title, "start", 600)
        width = _LEFT + _WIDTH + 260
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}" '
            'font-family="system-ui,sans-serif" font-size="12" fill="#222">'
            f'<rect width="{width}" height="{y}" rx="8" fill="#fff" stroke="#bbb"/>{head}{"".join(parts)}</svg>'
        )

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
        source = "data:image/svg+xml," + quote(self.svg, safe="/:=,;()")
        words = "; ".join(
            f"{group}: " + ", ".join(f"{_number(value)} {name}" for name, value in values.items())
            for group, values in self.groups.items()
        )
        image = f'<img src="{source}" alt="{escape(f"{self.title}. {words}")}" style="max-width:100%">'
        return image + table((self.unit, *map(escape, self.series)), rows)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.2f}"


def _text(x: int, y: int, words: str, anchor: str, weight: int = 400) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>'
