"""The settings and the state of a plugin reach each file of its export; the files pass their own linters."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from kit.notebook.setting import Setting
from kit.project import places, settings
from kit.project.export import TEMPLATE
from kit.project.folder import rendered

TOKEN = Setting("SHOP_TOKEN", "Cell 2, line 3", is_needed=True, at_import=True)
REGION = Setting("SHOP_REGION", "Cell 2, line 4", default='eu: `west` | "1"')
KEY = Setting("KEY", "conf.py, line 1", default="a" * 99, others=("OTHER_KEY",))
AWS = Setting("AWS_REGION", "Cell 3, line 1", is_needed=True)
PORT, HOME = Setting("PORT", "Cell 1, line 1"), Setting("HOME", "Cell 1, line 1", is_needed=True)
URL = Setting("DATABASE_URL", "Cell 1, line 2", is_needed=True)
ALL = (TOKEN, REGION, KEY, AWS, PORT, HOME)
STATE = "todos, a dict"


def files(*each: Setting, uses_database: bool = False, memory: str = "") -> dict[str, str]:
    fixed = {"NAME": "shop", "MODEL": "shop", "TITLE": "Shop", "PYTHON": "3.12", "NOTEBOOK": "shop.ipynb",
             "MANGUM": "mangum==0.22.0", "MEMORY": memory}  # fmt: skip
    needed = [it.name for it in settings.own(each) if it.is_needed]
    chosen = places.values(places.DEFAULT, needed, single=bool(memory))
    return rendered(
        TEMPLATE, defaultdict(str, {**fixed, **chosen, **settings.values("shop", each, uses_database)})
    )


KINDS: dict[str, dict[str, str]] = {
    f"{len(each)} settings, {'database' if uses else 'none'}, {memory or 'no state'}": files(
        *each, uses_database=uses, memory=memory
    )
    for each, uses, memory in itertools.product(((), ALL), (False, True), ("", STATE))
} | {"a database of its own": files(URL, TOKEN)}


def sam(text: str) -> Any:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, suffix, node: (suffix, getattr(node, "value", None)))
    return yaml.load(text, Loader)


def environment(document: str) -> dict[str, Any]:
    """The variables of the container of a Deployment."""
    deployment = next(it for it in yaml.safe_load_all(document) if it["kind"] == "Deployment")
    each = deployment["spec"]["template"]["spec"]["containers"][0].get("env") or []
    return {it["name"]: it.get("valueFrom", it) for it in each}


def test_a_setting_is_in_each_file() -> None:
    made = files(*ALL)
    assert "| `SHOP_TOKEN` | it does not start | Cell 2 |" in made["README.md"]
    assert "| `SHOP_REGION` | the code's default | Cell 2 |" in made["README.md"]
    assert "Fill in `SHOP_TOKEN`, `AWS_REGION` in `.env`" in made["README.md"]
    assert "\nSHOP_TOKEN=\n" in made[".env.example"]
    assert "\n# SHOP_REGION=eu" in made[".env.example"]
    assert "\n# KEY=\n" in made[".env.example"]  # a default that is long
    compose = yaml.safe_load(made["compose.yaml"])["services"]["plugin"]
    assert compose["environment"]["SHOP_TOKEN"].startswith("${SHOP_TOKEN:?")
    assert compose["environment"]["SHOP_REGION"] is None  # of .env, if it is there
    assert compose["env_file"][0]["path"] == ".env"
    pod = environment(made["kubernetes.yaml"])
    assert pod["SHOP_TOKEN"] == {"secretKeyRef": {"name": "shop", "key": "SHOP_TOKEN", "optional": False}}
    assert pod["SHOP_REGION"]["secretKeyRef"]["optional"] is True
    template = sam(made["template.yaml"])
    assert template["Parameters"]["ShopToken"]["NoEcho"] is True
    assert "Default" not in template["Parameters"]["ShopToken"]
    assert template["Parameters"]["ShopRegion"]["Default"] == ""
    function = template["Resources"]["Plugin"]["Properties"]["Environment"]["Variables"]
    assert function["SHOP_TOKEN"] == ("Ref", "ShopToken")
    assert function["SHOP_REGION"][0] == "If"
    assert "AWS_REGION" not in function  # Lambda sets it, and refuses a function that does
    for text in made.values():
        assert "HOME" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_is_where_there_is_one(kind: str) -> None:
    made, has_one = KINDS[kind], "none" not in kind
    texts = {name: text for name, text in made.items() if not name.startswith(("tests/", ".dockerignore"))}
    words = re.compile("postgres|DATABASE_URL|psycopg|/data|sqlite", re.IGNORECASE)
    naming = {name for name, text in texts.items() if words.search(text)}
    if not has_one:
        assert naming - {"build.py", "lambda_handler.py"} == set()
        return
    assert {"README.md", ".env.example", "compose.yaml", "kubernetes.yaml", "template.yaml"} <= naming
    assert environment(made["kubernetes.yaml"])["DATABASE_URL"]["secretKeyRef"]["optional"] is False
    parameter = sam(made["template.yaml"])["Parameters"]["DatabaseUrl"]
    assert "Default" not in parameter
    assert parameter["NoEcho"] is True
    assert yaml.safe_load(made["compose.yaml"])["services"]["database"]["image"].startswith("postgres:")
    is_ours = "of its own" not in kind
    assert ("\nDATABASE_URL=\n" in made[".env.example"]) != is_ours  # the code itself cannot do without
    assert ("`DATABASE_URL` | an SQLite file" in made["README.md"]) == is_ours
    assert ("/data" in made["Dockerfile"]) == is_ours  # the default of kit.database
    if is_ours:
        pattern = parameter["AllowedPattern"]
        assert re.fullmatch(pattern, "postgresql://a:b@host/name")
        assert not re.fullmatch(pattern, "")
        assert not re.fullmatch(pattern, "sqlite:///data.db")


@pytest.mark.parametrize("kind", KINDS)
def test_state_in_memory_is_one_process(kind: str) -> None:
    made, is_alone = KINDS[kind], STATE in kind
    several = ("--workers", "WEB_CONCURRENCY", "sam deploy")
    assert [word in made["README.md"] + made[".env.example"] for word in several] == [not is_alone] * 3
    assert (STATE in made["README.md"]) == is_alone
    deployment = next(yaml.safe_load_all(made["kubernetes.yaml"]))
    if is_alone:
        assert deployment["spec"]["replicas"] == 1
        assert deployment["spec"]["strategy"]["type"] == "Recreate"
        assert "HorizontalPodAutoscaler" not in made["kubernetes.yaml"]


@pytest.mark.parametrize("kind", [f"0 settings, none, {STATE}", "6 settings, database, no state"])
def test_the_files_pass_their_linters(kind: str, tmp_path: Path) -> None:
    for name in ("Dockerfile", "template.yaml", "kubernetes.yaml", "compose.yaml"):
        (tmp_path / name).write_text(KINDS[kind][name])
    tools = {
        "hadolint": ["Dockerfile"],
        "cfn-lint": ["--regions", "eu-central-1", "--", "template.yaml"],
        "kubernetes-validate": ["--strict", "kubernetes.yaml"],
        "check-jsonschema": ["--builtin-schema", "vendor.compose-spec", "compose.yaml"],
    }
    for tool, arguments in tools.items():
        program = shutil.which(tool, path=str(Path(sys.executable).parent)) or shutil.which(tool)
        if program is None:
            continue
        done = subprocess.run([program, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{tool}: {done.stdout}{done.stderr}"


def test_the_names_of_a_compose_variable_are_those_of_env(tmp_path: Path) -> None:
    """What compose.yaml asks for stands in .env.example, so that `cp` and filling in is enough."""
    for made in KINDS.values():
        asked = set(re.findall(r"\$\{(\w+):\?", made["compose.yaml"]))
        assert asked <= set(re.findall(r"^(?:# )?(\w+)=", made[".env.example"], re.MULTILINE))
