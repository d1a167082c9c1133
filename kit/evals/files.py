"""The files of an evaluation: JSON with everything, CSV with a row for each case, JUnit's XML for a CI."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from kit.errors import KitError
from kit.redaction import hide

if TYPE_CHECKING:
    from kit.evals.evaluation import Evaluation


def write(evaluation: Evaluation, path: Path) -> Path:
    """Writes the evaluation in the format of the file's ending. Secrets are hidden."""
    writers = {".json": _json, ".csv": _csv, ".xml": _junit}
    if path.suffix not in writers:
        raise KitError(f"{path.name} has an ending of no known format.", "Use .json, .csv or .xml (JUnit).")
    path.write_text(writers[path.suffix](evaluation), encoding="utf-8", newline="")
    return path


def _json(evaluation: Evaluation) -> str:
    score = evaluation.score
    data = {
        "title": evaluation.title,
        "models": evaluation.models,
        "right": score.right,
        "total": score.total,
        "accuracy": score.share,
        "interval": score.interval,
        "by_operation": {
            name: {"right": it.right, "total": it.total} for name, it in evaluation.by_operation.items()
        },
        "confusion": [
            {"expected": expected, "called": called, "count": count}
            for (expected, called), count in evaluation.confusion.items()
        ],
        "input_tokens": evaluation.usage.input_tokens,
        "output_tokens": evaluation.usage.output_tokens,
        "cost": evaluation.cost,
        "outcomes": [outcome.as_data() for outcome in evaluation.outcomes],
    }
    return json.dumps(hide(data), indent=2, ensure_ascii=False, default=str) + "\n"


def _csv(evaluation: Evaluation) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        ("case", "model", "right", "misfits", "calls", "seconds", "input_tokens", "output_tokens")
    )
    for outcome in evaluation.outcomes:
        data = hide(outcome.as_data())
        calls = json.dumps(data["calls"], ensure_ascii=False, default=str)
        misfits = "; ".join(data["misfits"])
        row = (outcome.case.title, outcome.model, data["right"], misfits, calls, data["seconds"])
        # a cell that begins like a formula is one for a spreadsheet
        cells = [f"'{cell}" if isinstance(cell, str) and cell[:1] in tuple("=+-@") else cell for cell in row]
        writer.writerow((*cells, data["input_tokens"], data["output_tokens"]))
    return out.getvalue()


def _junit(evaluation: Evaluation) -> str:
    suite = ElementTree.Element(
        "testsuite",
        name=evaluation.title,
        tests=str(len(evaluation.outcomes)),
        failures=str(len(evaluation.wrong)),
        errors="0",
        time=f"{sum(outcome.seconds for outcome in evaluation.outcomes):.3f}",
    )
    for outcome in evaluation.outcomes:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"{evaluation.title}.{outcome.model}",
            name=_xml(outcome.case.title),
            time=f"{outcome.seconds:.3f}",
        )
        if not outcome.right:
            failure = ElementTree.SubElement(case, "failure", message=_xml("; ".join(hide(outcome.misfits))))
            failure.text = _xml("\n\n".join(map(repr, outcome.replies)))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _xml(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return "".join(
        c if c in "\t\n\r" or " " <= c < "\ud800" or "\ue000" <= c < "\ufffe" or c > "\uffff" else "�"
        for c in text
    )
