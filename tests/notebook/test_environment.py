"""The settings that code reads are found without running it; what is said of them is true when it runs."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

import kit
from kit.notebook.environment import load_file, read_file, require_settings, settings_of
from kit.notebook.modules import code_with_modules
from kit.notebook.setting import Setting
from kit.notebook.source import Notebook

# code -> the settings it needs when it is imported, and the others with their defaults
IMPORTED: dict[str, tuple[str, set[str], dict[str, str]]] = {
    "a subscript": ("import os\nx = os.environ['SHOP']", {"SHOP"}, {}),
    "other names of os": ("import os as system\nx = system.environ['SHOP']", {"SHOP"}, {}),
    "other names of environ": ("from os import environ as e, getenv as g\nx = e['A1'], g('B1', 'b')", {"A1"}, {"B1": "b"}),
    "everything of os": ("from os import *\nx = environ['A1'], getenv('B1')", {"A1"}, {"B1": ""}),
    "a name for it": ("import os\nenv = os.environ\nget = env.get\nx = env['A1'], get('B1', '2')", {"A1"}, {"B1": "2"}),
    "get and keywords": (
        "import os\nx = os.environ.get('A1'), os.getenv('B1', default='b'), os.getenv(key='C1')", set(),
        {"A1": "", "B1": "b", "C1": ""}),
    "pop and setdefault": (
        "import os\nx = os.environ.pop('A1'), os.environ.pop('B1', ''), os.environ.setdefault('C1', 'c')", {"A1"},
        {"B1": "", "C1": "c"}),
    "constants and texts made of them": (
        "import os\nP = 'SHOP_'\nK = 'KEY'\nx = os.environ[K], os.environ[P + 'A'], os.environ[f'{P}B']",
        {"KEY", "SHOP_A", "SHOP_B"}, {}),
    "loops over names": (
        "import os\nfor n in ('A1', 'B1'):\n    os.environ[n]\nN = ['C1']\nx = {n: os.environ[n] for n in N}",
        {"A1", "B1", "C1"}, {}),
    "what is caught": (
        "import os, contextlib\ntry:\n    x = os.environ['A1']\nexcept KeyError:\n    x = ''\n"
        "with contextlib.suppress(KeyError):\n    y = os.environ['B1']", set(), {"A1": "", "B1": ""}),
    "what is not caught": ("import os\ntry:\n    x = os.environ['A1']\nexcept ValueError:\n    x = ''", {"A1"}, {}),
    "only under a condition": (
        "import os\nif os.getenv('MODE', 'dev') == 'prod':\n    x = os.environ['A1']\ny = os.environ['B1'] if 'B1' in os.environ"
        " else ''\nz = os.getenv('C1') or 'c'", set(), {"MODE": "dev", "A1": "", "B1": "", "C1": ""}),
    "what is refused": (
        "import os, sys\nA = os.getenv('A1')\nif not A:\n    raise RuntimeError('no')\nB = os.environ.get('B1')\nassert B\n"
        "if 'C1' not in os.environ or os.getenv('D1') is None:\n    sys.exit('no')\nC = os.environ['C1'], os.getenv('D1')",
        {"A1", "B1", "C1", "D1"}, {}),
    "a helper": (
        "import os\ndef need(name):\n    value = os.environ.get(name)\n    if not value:\n        raise RuntimeError(name)\n"
        "    return value\ndef take(name, default=None):\n    return os.environ.get(name, default)\n"
        "x = need('A1'), take('B1', 'b'), take(name='C1')", {"A1"}, {"B1": "b", "C1": ""}),
    "a helper of another module": (
        "import conf\nfrom conf import need as must\nx = must('A1'), conf.need('B1')", {"A1", "B1", "IN_CONF"}, {}),
    "a module in a package": ("from pack.inner import VALUE", {"INNER", "IN_CONF"}, {}),
    "numbers and flags": ("import os\nx = int(os.getenv('A1', 3)), os.getenv('B1', None)", set(), {"A1": "3", "B1": ""}),
    "what it sets itself": ("import os\nos.environ['A1'] = 'x'\ndel os.environ['A1']", set(), {}),
    "a name that is not known": ("import os, sys\nx = os.environ.get(sys.argv[0])", set(), {}),
    "only as a script": ("import os\nif __name__ == '__main__':\n    os.environ['A1']", set(), {}),
    "fields": (
        "from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    token: str\n    size: int = 3\n"
        "    flag: bool = True\n    items: list[str] = []\ns = S()", {"TOKEN"}, {"SIZE": "3", "FLAG": "true", "ITEMS": ""}),
    "fields with a prefix and aliases": (
        "import pydantic_settings as ps\nfrom pydantic import AliasChoices, Field\nfrom typing import Annotated, ClassVar\n"
        "class S(ps.BaseSettings):\n    model_config = ps.SettingsConfigDict(env_prefix='shop_', extra='ignore')\n"
        "    KIND: ClassVar[str] = 'x'\n    a: str = Field(min_length=1)\n    b: str = Field(alias='B_ONE')\n"
        "    c: str = Field(..., validation_alias=AliasChoices('C_ONE', 'C_TWO'))\n    d: Annotated[str, Field(max_length=9)] = 'd'\n"
        "    e: dict = Field(default_factory=dict)\n    f: str = Field('f')\ns = S()",
        {"SHOP_A", "B_ONE", "C_ONE"}, {"SHOP_D": "d", "SHOP_E": "", "SHOP_F": "f"}),
    "fields of a base, and given ones": (
        "from pydantic_settings import BaseSettings as Base\nclass Mine(Base, env_prefix='M_'):\n    one: str\n"
        "class S(Mine):\n    two: str\n    three: str\ns = S(three='3')", {"M_ONE", "M_TWO"}, {"M_THREE": ""}),
    "fields whose case counts": (
        "from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    model_config = {'case_sensitive': True}\n"
        "    lower: str\ns = S()", {"lower"}, {}),
    "fields in fields": (
        "from pydantic import BaseModel\nfrom pydantic_settings import BaseSettings, SettingsConfigDict\n"
        "class Mail(BaseModel):\n    host: str\n    port: int = 25\nclass S(BaseSettings):\n"
        "    model_config = SettingsConfigDict(env_nested_delimiter='__')\n    mail: Mail\ns = S()",
        {"MAIL__HOST"}, {"MAIL__PORT": "25"}),
    "settings that nothing makes": (
        "from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    token: str", set(), {}),
}  # fmt: skip
# code -> the settings it needs in a request, the others
ASKED: dict[str, tuple[str, set[str], set[str]]] = {
    "in an operation": ("import os\ndef op():\n    return os.environ['A1']", {"A1"}, set()),
    "in a function in it": ("import os\nasync def op():\n    return [lambda: os.environ['A1']]", {"A1"}, set()),
    "asked for first": ("import os\ndef op():\n    if 'A1' not in os.environ:\n        return\n    return os.environ['A1']",
        set(), {"A1"}),
    "made in a request": (
        "from functools import lru_cache\nfrom pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    key: str\n"
        "@lru_cache\ndef settings():\n    return S()", {"KEY"}, set()),
    "a parameter of the same name": (
        "import os\nfor name in ('A1',):\n    os.environ.get(name)\ndef op(name):\n    return os.environ[name]", set(), {"A1"}),
}  # fmt: skip


def found(folder: Path, source: str) -> dict[str, Setting]:
    (folder / "conf.py").write_text(
        "import os\nHERE = os.environ['IN_CONF']\ndef need(name):\n    return os.environ[name]\n"
    )
    (folder / "pack").mkdir(exist_ok=True)
    (folder / "pack" / "__init__.py").write_text("")
    (folder / "pack" / "inner.py").write_text("import os, conf\nVALUE = os.environ['INNER']\n")
    (folder / "pack" / "unused.py").write_text("import os\nos.environ['UNUSED']\n")
    (folder / "plugin.py").write_text(source)
    return {it.name: it for it in settings_of(code_with_modules(Notebook(folder / "plugin.py")))}


def run(folder: Path, **variables: str) -> None:
    """Runs it as an import would, in an environment of these variables alone."""
    before, path, modules = dict(os.environ), list(sys.path), set(sys.modules)
    os.environ.clear()
    os.environ.update(variables)
    try:
        sys.path.insert(0, str(folder))
        runpy.run_path(str(folder / "plugin.py"))
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.path[:] = path
        for name in {"conf", "pack", "pack.inner"} & set(sys.modules) - modules:
            del sys.modules[name]


@pytest.mark.parametrize("kind", IMPORTED)
def test_what_is_needed_to_import_it(tmp_path: Path, kind: str) -> None:
    if "pydantic_settings" in IMPORTED[kind][0]:
        pytest.importorskip("pydantic_settings")
    source, needed, others = IMPORTED[kind]
    settings = found(tmp_path, source)
    assert {name for name, it in settings.items() if it.is_needed} == needed
    assert {name: it.default for name, it in settings.items() if not it.is_needed} == others
    assert all(it.at_import for it in settings.values() if it.is_needed)
    run(tmp_path, **dict.fromkeys(needed, "1"))  # nothing else is needed
    for name in needed:
        lacking: Any = Exception if "sys.exit" not in source else (Exception, SystemExit)
        with pytest.raises(lacking):
            run(tmp_path, **dict.fromkeys(needed - {name}, "1"))


@pytest.mark.parametrize("kind", ASKED)
def test_what_a_request_needs(tmp_path: Path, kind: str) -> None:
    source, needed, others = ASKED[kind]
    settings = found(tmp_path, source)
    assert {name for name, it in settings.items() if it.is_needed} == needed
    assert {name for name, it in settings.items() if not it.is_needed} == others
    assert not any(it.at_import for it in settings.values())


def test_all_that_are_missing_are_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found(tmp_path, "import os, conf\nA = os.environ['A1']\ndef op():\n    return os.environ['B1']\n")
    monkeypatch.setenv("A1", "")  # what `cp .env.example .env` leaves
    notebook = Notebook(tmp_path / "plugin.py")
    with pytest.raises(kit.SettingsError) as caught:
        require_settings(notebook)
    assert caught.value.setting == "A1, B1, IN_CONF"
    assert "A1 (plugin.py, line 2); B1 (plugin.py, line 4); IN_CONF (conf.py, line 2)" in str(caught.value)
    for name in ("A1", "B1", "IN_CONF"):
        monkeypatch.setenv(name, "1")
    require_settings(notebook)


def test_a_name_that_does_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, _, _ = IMPORTED["fields with a prefix and aliases"]
    found(tmp_path, source)
    for name in ("shop_a", "b_one", "C_TWO"):
        monkeypatch.setenv(name, "1")
    require_settings(Notebook(tmp_path / "plugin.py"))


def test_a_file_that_pydantic_settings_reads_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found(
        tmp_path,
        "from pydantic_settings import BaseSettings, SettingsConfigDict\nclass S(BaseSettings):\n"
        "    model_config = SettingsConfigDict(env_file='.env')\n    token: str\ns = S()\n",
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kit.SettingsError, match="TOKEN"):
        require_settings(Notebook("plugin.py"))
    (tmp_path / ".env").write_text("TOKEN=\nMY_TOKEN=1\n")
    with pytest.raises(kit.SettingsError, match="TOKEN"):
        require_settings(Notebook("plugin.py"))
    (tmp_path / ".env").write_text("token=1\n")
    require_settings(Notebook("plugin.py"))


def test_a_file_of_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text("# a note\n\nA_1=one two \nB1='$HOME #x'\r\nexport C1=a=b\nD1=\n E1 = \"x\n", newline="")
    assert read_file(file) == {"A_1": "one two", "B1": "$HOME #x", "C1": "a=b", "D1": "", "E1": '"x'}
    monkeypatch.setenv("A_1", "mine")
    for name in ("B1", "C1", "D1", "E1"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    load_file(file)
    assert os.environ["A_1"] == "mine"
    assert os.environ["C1"] == "a=b"
    file.write_text("A1=1\nhunter2\n")
    with pytest.raises(kit.SettingsError, match="line 2, is not NAME=VALUE") as caught:
        read_file(file)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(kit.SettingsError, match=r"cannot be read.*\n.*cp \.env\.example \.env"):
        read_file(tmp_path / "none")
