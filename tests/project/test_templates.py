"""Templates: values and sections, and that those of the kit hold no mark that nothing fills in."""

import re

import pytest

from kit.project.folder import filled, rendered

PLACE = """\
spec:
  {{#STATE}}
  replicas: 1
  {{/STATE}}
{{^STATE}}
  replicas: {{REPLICAS}}
  {{#DATABASE}}
  secret: {{NAME}}
  {{/DATABASE}}
{{/STATE}}
end: ${{ matrix.python }}
"""


def test_a_section_is_kept_where_its_value_is_not_empty():
    values = {"STATE": "todos, a dict", "REPLICAS": "2", "DATABASE": "yes", "NAME": "todo"}
    assert filled(PLACE, values) == "spec:\n  replicas: 1\nend: ${{ matrix.python }}\n"


def test_a_section_may_hold_others():
    values = {"STATE": "", "REPLICAS": "2", "DATABASE": "yes", "NAME": "todo"}
    assert filled(PLACE, values) == "spec:\n  replicas: 2\n  secret: todo\nend: ${{ matrix.python }}\n"
    assert "secret" not in filled(PLACE, {**values, "DATABASE": ""})


def test_a_value_is_no_template():
    assert filled("{{NAME}}\n", {"NAME": "{{#A}}\nx\n{{/A}}"}) == "{{#A}}\nx\n{{/A}}\n"


def test_the_last_line_may_lack_its_end():
    assert filled("{{#A}}\nx\n{{/A}}", {"A": "1"}) == "x\n"


@pytest.mark.parametrize(
    "text", ["{{#A}}\nx\n", "x\n{{/A}}\n", "{{#A}}x{{/A}}\n", "{{#B}}\n{{/B}}\n", "{{B}}"]
)
def test_a_mark_without_its_other_half_or_its_value_is_an_error(text):
    with pytest.raises(KeyError):
        filled(text, {"A": "1"})


@pytest.mark.parametrize("kind", ["export", "new"])
@pytest.mark.parametrize("value", ["", "x"])
def test_no_template_of_the_kit_keeps_a_mark(kind, value):
    from kit.project import folder

    class Known(dict):
        def __missing__(self, name):
            assert re.fullmatch("[A-Z_]+", name), name
            return value

    for name, text in rendered(folder.TEMPLATE.parent / kind, Known()).items():
        assert not re.search(r"\{\{[#^/]?[A-Z_]+\}\}", text), name
