"""The drawings of the notebooks, as SVG: boxes with a background, to be readable in light and dark."""

from __future__ import annotations

from html import escape

from paths import NOTEBOOKS

IMAGES = NOTEBOOKS / "images"
STEPS = ["create|a project", "manifest", "spec", "operations", "describe", "try with|LangChain", "try with|ChatGPT",
         "deploy"]  # fmt: skip
INK, GROUND, LIT, LINE, NOTE = "#1f2430", "#e4e8f0", "#3652c8", "#8a8f9a", "#fff3d1"
FONT = "font-family='system-ui, sans-serif' text-anchor='middle'"


def svg(width: int, height: int, title: str, content: list[str]) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}'"
        f" role='img' {FONT}><title>{escape(title)}</title><defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4'"
        f" markerWidth='7' markerHeight='7' orient='auto-start-reverse'><path d='M0 0 8 4 0 8z' fill='{LINE}'/></marker>"
        f"</defs>{''.join(content)}</svg>\n"
    )


def box(
    x: float, y: float, width: float, height: float, text: str, fill: str = GROUND, size: int = 13
) -> str:
    """A box centered at (x, y); | separates lines, of which the first is bold if there are several."""
    lines = text.split("|")
    ink = "#ffffff" if fill == LIT else INK
    bold = " font-weight='600'"
    rows = "".join(
        f"<text x='{x}' y='{y + size * 0.36 + (n - (len(lines) - 1) / 2) * size * 1.25:.1f}' font-size='{size}'"
        f" fill='{ink}'{bold if n == 0 and len(lines) > 1 else ''}>{escape(line)}</text>"
        for n, line in enumerate(lines)
    )
    return f"<rect x='{x - width / 2}' y='{y - height / 2}' width='{width}' height='{height}' rx='7' fill='{fill}'/>{rows}"


def arrow(x1: float, y1: float, x2: float, y2: float, dashed: bool = False) -> str:
    dash = " stroke-dasharray='4 4'" if dashed else ""
    return f"<path d='M{x1} {y1}L{x2} {y2}' stroke='{LINE}' stroke-width='1.6' marker-end='url(#tip)'{dash}/>"


def flow(lit: int) -> str:
    """The eight steps in a row, with step `lit` filled."""
    content = []
    for n, step in enumerate(STEPS, 1):
        x = 52 + (n - 1) * 114
        content.append(box(x, 30, 92, 48, f"{n}|{step.replace('|', ' ')}" if "|" not in step else f"{n}  {step}",
                           LIT if n == lit else GROUND, 12))  # fmt: skip
        if n < len(STEPS):
            content.append(arrow(x + 48, 30, x + 65, 30))
    return svg(904, 60, f"The eight steps; this is step {lit}: {STEPS[lit - 1].replace('|', ' ')}", content)


def parts() -> str:
    """The three parts of a plugin, and what each is for."""
    content = [
        box(130, 50, 220, 64, "manifest|/.well-known/ai-plugin.json"),
        box(400, 50, 220, 64, "spec|/.well-known/openapi.json"),
        box(670, 50, 220, 64, "operations|your functions, as a web API"),
        arrow(242, 50, 286, 50), arrow(512, 50, 556, 50),
        box(130, 142, 220, 44, "who the plugin is", NOTE), box(400, 142, 220, 44, "what it can do", NOTE),
        box(670, 142, 220, 44, "doing it", NOTE),
        arrow(130, 84, 130, 116), arrow(400, 84, 400, 116), arrow(670, 84, 670, 116),
    ]  # fmt: skip
    return svg(800, 176, "A manifest points to a spec, which describes the operations", content)


def sequence() -> str:
    """One request, from the sentence to the answer."""
    actors = {"you": 70, "ChatGPT": 245, "manifest": 420, "spec": 585, "your API": 750}
    messages = [
        ("you", "ChatGPT", "install todo.example", False), ("ChatGPT", "manifest", "GET /.well-known/ai-plugin.json", False),
        ("ChatGPT", "spec", "GET /.well-known/openapi.json", False), ("you", "ChatGPT", "“Add buy milk to my list”", False),
        ("ChatGPT", "your API", "POST /sam/todos  {“todo”: “buy milk”}", False),
        ("your API", "ChatGPT", "200  {“number”: 1, …}", True), ("ChatGPT", "you", "“Done: buy milk is on your list”", True),
    ]  # fmt: skip
    height = 70 + len(messages) * 44 + 10
    content = [
        f"<path d='M{x} 44V{height}' stroke='{LINE}' stroke-dasharray='2 4'/>" for x in actors.values()
    ]
    content += [box(x, 28, 110, 34, name, LIT if name == "ChatGPT" else GROUND) for name, x in actors.items()]
    for n, (source, target, words, is_answer) in enumerate(messages):
        y, start, end = 90 + n * 44, actors[source], actors[target]
        middle = (start + end) / 2
        content.append(arrow(start, y, end, y, is_answer))
        content.append(box(middle, y - 13, len(words) * 6.3 + 14, 18, words, GROUND, 11))
    return svg(820, height + 10, "A request through ChatGPT, manifest, spec and API, in order", content)


def drawings() -> dict[str, str]:
    """All of them, by file name."""
    flows = {f"flow-{n}.svg": flow(n) for n in range(1, len(STEPS) + 1)}
    return {**flows, "parts.svg": parts(), "sequence.svg": sequence()}


def main() -> None:
    """Writes them."""
    IMAGES.mkdir(exist_ok=True)
    for name, content in drawings().items():
        (IMAGES / name).write_text(content)


if __name__ == "__main__":
    main()
