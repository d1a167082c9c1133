"""Write an AI plugin in a notebook cell, serve it from there, and let a model use it.

    import kit

    todo = kit.Plugin("todo", description_for_model="Keeps a list of things to do.")

    @todo.post("/todos")
    def add_todo(text: str) -> str: ...

    server = kit.serve(todo)
    chat = kit.Chat(server)
    chat("Add 'buy milk' to the list")

Names are imported when they are first used, so that `import kit` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit.chat import Chat
    from kit.checking import check, render
    from kit.databases import Database, database
    from kit.discovery import ainstall, install
    from kit.errors import (
        ChatError,
        DatabaseBusy,
        DatabaseError,
        ExportError,
        InstallError,
        KitError,
        ManifestError,
        NotebookError,
        OperationClash,
        OperationError,
        PortInUse,
        ProjectError,
        ServeError,
        SettingsError,
        SpecError,
        UnknownHost,
    )
    from kit.exporting import Export, export
    from kit.findings import Finding, Findings
    from kit.installed import CallResult, InstalledPlugin
    from kit.loop import nested
    from kit.manifest import Manifest, NoAuth, OAuth, ServiceHttp, UserHttp
    from kit.notebook import load
    from kit.plugin import Plugin
    from kit.project import Project, new
    from kit.reply import Reply
    from kit.server import Server, serve
    from kit.spec import Spec
    from kit.watching import Watch, watch
    from kit.web.page import LocalChatGPT, chatgpt

__version__ = "0.1.0"

_HOMES = {
    "chat": ("Chat",),
    "checking": ("check", "render"),
    "databases": ("Database", "database"),
    "discovery": ("ainstall", "install"),
    "errors": (
        "ChatError",
        "DatabaseBusy",
        "DatabaseError",
        "ExportError",
        "InstallError",
        "KitError",
        "ManifestError",
        "NotebookError",
        "OperationClash",
        "OperationError",
        "PortInUse",
        "ProjectError",
        "ServeError",
        "SettingsError",
        "SpecError",
        "UnknownHost",
    ),
    "exporting": ("Export", "export"),
    "findings": ("Finding", "Findings"),
    "installed": ("CallResult", "InstalledPlugin"),
    "loop": ("nested",),
    "manifest": ("Manifest", "NoAuth", "OAuth", "ServiceHttp", "UserHttp"),
    "notebook": ("load",),
    "plugin": ("Plugin",),
    "project": ("Project", "new"),
    "reply": ("Reply",),
    "server": ("Server", "serve"),
    "spec": ("Spec",),
    "watching": ("Watch", "watch"),
    "web.page": ("LocalChatGPT", "chatgpt"),
}
_MODULES = ("endpoint", "tunnels", "understudy")
HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "CallResult",
    "Chat",
    "ChatError",
    "Database",
    "DatabaseBusy",
    "DatabaseError",
    "Export",
    "ExportError",
    "Finding",
    "Findings",
    "InstallError",
    "InstalledPlugin",
    "KitError",
    "LocalChatGPT",
    "Manifest",
    "ManifestError",
    "NoAuth",
    "NotebookError",
    "OAuth",
    "OperationClash",
    "OperationError",
    "Plugin",
    "PortInUse",
    "Project",
    "ProjectError",
    "Reply",
    "ServeError",
    "Server",
    "ServiceHttp",
    "SettingsError",
    "Spec",
    "SpecError",
    "UnknownHost",
    "UserHttp",
    "Watch",
    "ainstall",
    "chatgpt",
    "check",
    "database",
    "export",
    "install",
    "load",
    "nested",
    "new",
    "render",
    "serve",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"kit.{name}")
    if name not in HOME_OF:
        raise AttributeError(f"module 'kit' has no attribute {name!r}")
    home = f"kit.{HOME_OF[name]}"
    try:
        module = importlib.import_module(home)
    except ModuleNotFoundError as error:
        if error.name != home:
            raise
        raise ImportError(
            f"kit.{name} is not in the part of the kit that serves: install the whole."
        ) from None
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, *_MODULES]
