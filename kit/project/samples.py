"""One small file of each usual kind, for an operation that takes a file and of which the notebook shows no call."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Mapping
from functools import cache

_CSV = "name,value\na,1\nb,2\n"
_PNG = (  # one grey pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
_PDF = (
    "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)
# The parts without which no program opens a workbook (ECMA-376, "Office Open XML").
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_SHEETS = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_ROWS: tuple[tuple[str | int, ...], ...] = (("name", "value"), ("a", 1), ("b", 2))


@cache
def samples() -> Mapping[str, bytes]:
    """The files by their names, the plainest first."""
    return {
        "sample.csv": _CSV.encode(),
        "sample.json": b'[{"name": "a", "value": 1}, {"name": "b", "value": 2}]',
        "sample.png": base64.b64decode(_PNG),
        "sample.xlsx": _zipped(_workbook()),
        "sample.pdf": _PDF.encode(),
        "sample.zip": _zipped({"sample.csv": _CSV}),
    }


def _workbook() -> dict[str, str]:
    rows = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in _ROWS)
    relation = '<Relationship Id="rId1" Type="{}/{}" Target="{}"/>'
    relations = f'<Relationships xmlns="{_PACKAGE}/relationships">{relation}</Relationships>'
    return {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_SHEETS}.sheet.main+xml"/>'
        f'<Override PartName="/xl/sheet1.xml" ContentType="{_SHEETS}.worksheet+xml"/></Types>',
        "_rels/.rels": relations.format(_OFFICE, "officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        '<sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": relations.format(_OFFICE, "worksheet", "sheet1.xml"),
        "xl/sheet1.xml": f'<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData></worksheet>',
    }


def _cell(value: str | int) -> str:
    return (
        f"<c><v>{value}</v></c>"
        if isinstance(value, int)
        else f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    )


def _zipped(files: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)  # without a time: the same bytes each time
    return out.getvalue()
