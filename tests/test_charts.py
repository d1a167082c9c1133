"""Bar charts: lengths in proportion, words for those who cannot see them, untrusted names as text."""

from __future__ import annotations

from xml.etree import ElementTree

from kit.diagrams import Bars

SVG = "{http://www.w3.org/2000/svg}"


def test_a_bar_is_as_long_as_its_number() -> None:
    chart = Bars("Calls", {"one": {"right": 10, "wrong": 5}, "two": {"right": 0, "wrong": 2.5}}, "calls")
    rects = [int(node.get("width", 0)) for node in ElementTree.fromstring(chart.svg).iter(f"{SVG}rect")][1:]
    assert rects == [420, 210, 1, 105]
    assert repr(chart).splitlines()[0] == "Calls (calls)"
    assert repr(chart).splitlines()[2].split() == ["one", "10", "5"]
    html = chart._repr_html_()
    assert 'alt="Calls. one: 10 right, 5 wrong; two: 0 right, 2.50 wrong"' in html
    assert html.count("<tr>") == 3


def test_names_stay_text_and_nothing_is_drawn_of_nothing() -> None:
    evil = "<script>alert(1)</script>"
    chart = Bars(evil, {evil: {evil: 1}})
    assert not list(ElementTree.fromstring(chart.svg).iter(f"{SVG}script"))
    assert "<script" not in chart._repr_html_()
    assert repr(Bars("Nothing", {})).startswith("Nothing")
    ElementTree.fromstring(Bars("Nothing", {}).svg)
