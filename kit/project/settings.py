"""The settings of a plugin as each file of an export names them: README, `.env`, Compose, Kubernetes, AWS SAM."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

from kit.notebook.setting import Setting

# The files have these already: they are the server's own.
_SERVER = frozenset(
    "PUBLIC_URL ALLOWED_HOSTS FORWARDED_ALLOW_IPS LOG_FORMAT WEB_CONCURRENCY HOST PORT ROOT_PATH METRICS MAX_BODY_BYTES "
    "MAX_HEADERS MAX_HEADER_BYTES MAX_CONNECTIONS HEADER_TIMEOUT REQUEST_TIMEOUT SHUTDOWN_TIMEOUT".split()
)
# The system sets these.
_SYSTEM = frozenset(
    "HOME HOSTNAME LANG LOGNAME PATH PWD PYTHONPATH SHELL TEMP TERM TMP TMPDIR TZ USER".split()
)
# Lambda sets these, and refuses a function that would (docs.aws.amazon.com, "Defined runtime environment variables").
_LAMBDA = re.compile(
    r"_HANDLER|_X_AMZN_TRACE_ID|AWS_(DEFAULT_)?REGION|AWS_EXECUTION_ENV|AWS_LAMBDA_\w+|AWS_ACCESS_KEY|AWS_ACCESS_KEY_ID"
    r"|AWS_SECRET_ACCESS_KEY|AWS_SESSION_TOKEN|LAMBDA_(TASK_ROOT|RUNTIME_DIR)|AWS_XRAY_\w+"
    r"|_\w*|\w"  # nor does it take names of this form
)
_POSTGRESQL = r"postgres(ql)?(\+psycopg)?://.+"
MAX_DEFAULT = 60  # characters that are shown of a default
DATABASE = "DATABASE_URL"


def own(settings: Iterable[Setting]) -> list[Setting]:
    """Those that are the plugin's: neither the server's, nor the system's, nor the database."""
    return [it for it in settings if it.name not in _SERVER | _SYSTEM | {DATABASE}]


def values(name: str, settings: Iterable[Setting], uses_database: bool) -> dict[str, str]:
    """What the templates name the settings by. `name` is the plugin's; with `uses_database` it stores by `kit.database`."""
    each = list(settings)
    database = next((it for it in each if it.name == DATABASE), None)
    needed = [it.name for it in each if it.is_needed and it.name not in _SERVER | _SYSTEM]
    each = own(each)
    has_database = uses_database or database is not None
    # what several machines share is not a file on one of them
    shared = [Setting(DATABASE, "", is_needed=True)] if has_database else []
    parameters = [it for it in [*shared, *each] if not _LAMBDA.fullmatch(it.name)]
    optional = [it for it in parameters if not it.is_needed]
    return {
        "DATABASE": DATABASE if has_database else "",
        "SQLITE": "sqlite:////data/plugin.db" if uses_database else "",
        "DATABASE_UNSET": _unset(database) if database else "an SQLite file, for one machine",
        "DATABASE_NEEDED": DATABASE if DATABASE in needed else "",
        "NEEDED": ", ".join(f"`{name}`" for name in needed),
        "SETTINGS": _lines(each, lambda it: [f"| `{it.name}` | {_unset(it)} | {_reader(it)} |"]),
        "SETTINGS_ENV": _lines(each, _example),
        "SETTINGS_COMPOSE": _lines(each, _composed),
        "COMPOSED": "yes" if each or has_database else "",
        "SETTINGS_KUBERNETES": _lines([*shared, *each], lambda it: _referenced(it, name)),
        "SETTINGS_PARAMETERS": _lines(parameters, lambda it: _parameter(it, uses_database)),
        "SETTINGS_CONDITIONS": _lines(
            optional, lambda it: [f'  Has{_camel(it)}: !Not [!Equals [!Ref {_camel(it)}, ""]]']
        ),
        "SETTINGS_VARIABLES": _lines(parameters, _variable),
    }


def _lines(settings: Iterable[Setting], write: Callable[[Setting], list[str]]) -> str:
    return "\n".join(line for it in settings for line in write(it))


def _reader(setting: Setting) -> str:
    where = setting.place.partition(",")[0]
    return f"{where}; `{'`, `'.join(setting.others)}` will do as well" if setting.others else where


def _unset(setting: Setting) -> str:
    if setting.is_needed:
        return "it does not start"
    default = _default(setting)
    return f"`{default}`" if default and "`" not in default and "|" not in default else "the code's default"


def _default(setting: Setting) -> str:
    return setting.default if len(setting.default) <= MAX_DEFAULT else ""


def _example(setting: Setting) -> list[str]:
    """A line of `.env`. One that is not needed is a comment: if it is unset, the code's default counts."""
    comment = "" if setting.is_needed else "# "
    return [
        "",
        f"# {setting.place.partition(',')[0]} reads it.",
        f"{comment}{setting.name}={_default(setting)}",
    ]


def _composed(setting: Setting) -> list[str]:
    """A line of Compose's `environment`. Without a value it is the one of the shell or of .env, if there is one."""
    text = f' "${{{setting.name}:?write {setting.name}=... into .env}}"' if setting.is_needed else ""
    return [f"      {setting.name}:{text}"]


def _referenced(setting: Setting, name: str) -> list[str]:
    """An entry of a container's `env`: all come from one Secret."""
    return [
        f"            - name: {setting.name}",
        "              valueFrom:",
        "                secretKeyRef:",
        f'                  name: "{name}"',
        f"                  key: {setting.name}",
        f"                  optional: {'false' if setting.is_needed else 'true'}",
    ]


def _parameter(setting: Setting, uses_database: bool) -> list[str]:
    """A parameter of SAM. No console shows it, since any of them may be a secret."""
    if setting.name == DATABASE:
        about = "postgresql://USER:PASSWORD@HOST/NAME, such as on Amazon RDS or Aurora"
        bounds = ["MinLength: 1"] + ([f"AllowedPattern: {json.dumps(_POSTGRESQL)}"] if uses_database else [])
    elif setting.is_needed:
        about, bounds = f"{setting.place} reads it", ["MinLength: 1"]
    else:
        default = f", {_default(setting)}" if _default(setting) else ""
        about, bounds = (
            f"{setting.place} reads it; empty for the code's default{default}",
            ['Default: ""'],
        )
    lines = ["Type: String", "NoEcho: true", *bounds, f"Description: {json.dumps(about, ensure_ascii=False)}"]
    return [f"  {_camel(setting)}:", *(f"    {line}" for line in lines)]


def _variable(setting: Setting) -> list[str]:
    reference = f"!Ref {_camel(setting)}"
    value = reference if setting.is_needed else f"!If [Has{_camel(setting)}, {reference}, !Ref AWS::NoValue]"
    return [f"          {setting.name}: {value}"]


def _camel(setting: Setting) -> str:
    """The name as SAM's parameters are called: letters and digits."""
    return "".join(part[:1].upper() + part[1:].lower() for part in setting.name.split("_")) or "Setting"
