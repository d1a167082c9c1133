"""Write an AI plugin in a notebook cell, serve it from there, and let a model use it.

    import kit

    todo = kit.Plugin("todo", description_for_model="Keeps a list of things to do.")

    @todo.post("/todos")
    def add_todo(text: str) -> str: ...

    server = kit.serve(todo)
    chat = kit.Chat(server)
    chat("Add 'buy milk' to the list")

Names are imported on first use, so that `import kit` costs next to nothing.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from kit.names import HOME_OF, MODULES

if TYPE_CHECKING:
    from kit.auth import NoAuth as NoAuth
    from kit.auth import OAuth as OAuth
    from kit.auth import ServiceHttp as ServiceHttp
    from kit.auth import UserHttp as UserHttp
    from kit.chat.conversation import Chat as Chat
    from kit.chat.reply import Reply as Reply
    from kit.checking import check as check
    from kit.checking import render as render
    from kit.client.discovery import ainstall as ainstall
    from kit.client.discovery import install as install
    from kit.client.installed import CallResult as CallResult
    from kit.client.installed import InstalledPlugin as InstalledPlugin
    from kit.client.signin import SignIn as SignIn
    from kit.connections.connect import connect as connect
    from kit.connections.connection import Connection as Connection
    from kit.errors import AuthError as AuthError
    from kit.errors import CaseError as CaseError
    from kit.errors import ChatError as ChatError
    from kit.errors import ConnectError as ConnectError
    from kit.errors import DatabaseAway as DatabaseAway
    from kit.errors import DatabaseBusy as DatabaseBusy
    from kit.errors import DatabaseError as DatabaseError
    from kit.errors import DatabaseMisfit as DatabaseMisfit
    from kit.errors import ExpectationFailed as ExpectationFailed
    from kit.errors import ExportError as ExportError
    from kit.errors import Forbidden as Forbidden
    from kit.errors import InstallError as InstallError
    from kit.errors import KitError as KitError
    from kit.errors import ManifestError as ManifestError
    from kit.errors import NotebookError as NotebookError
    from kit.errors import OperationClash as OperationClash
    from kit.errors import OperationError as OperationError
    from kit.errors import PortInUse as PortInUse
    from kit.errors import ProjectError as ProjectError
    from kit.errors import ServeError as ServeError
    from kit.errors import SettingsError as SettingsError
    from kit.errors import SignInError as SignInError
    from kit.errors import SpecError as SpecError
    from kit.errors import TapeError as TapeError
    from kit.errors import UnknownHost as UnknownHost
    from kit.evals.cases import Case as Case
    from kit.evals.compare import Comparison as Comparison
    from kit.evals.compare import compare as compare
    from kit.evals.drafts import cases as cases
    from kit.evals.drafts import coverage as coverage
    from kit.evals.evaluation import Evaluation as Evaluation
    from kit.evals.run import evaluate as evaluate
    from kit.evals.tape import Tape as Tape
    from kit.evals.tape import record as record
    from kit.hosts.findings import Finding as Finding
    from kit.hosts.findings import Findings as Findings
    from kit.loop import nested as nested
    from kit.manifest import Manifest as Manifest
    from kit.notebook.target import load as load
    from kit.openapi.spec import Spec as Spec
    from kit.plugin.app import Plugin as Plugin
    from kit.plugin.databases import Database as Database
    from kit.plugin.databases import database as database
    from kit.plugin.guard import User as User
    from kit.plugin.guard import current_user as current_user
    from kit.plugin.jwt import JWTVerifier as JWTVerifier
    from kit.project.export import Export as Export
    from kit.project.export import export as export
    from kit.project.folder import Project as Project
    from kit.project.folder import new as new
    from kit.server.server import Server as Server
    from kit.server.server import serve as serve
    from kit.server.watch import Watch as Watch
    from kit.server.watch import watch as watch
    from kit.web.forms import Form as Form
    from kit.web.forms import form as form
    from kit.web.page import LocalChatGPT as LocalChatGPT
    from kit.web.page import chatgpt as chatgpt

__version__ = "0.1.0"

__all__ = sorted(HOME_OF)


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return importlib.import_module(f"kit.{MODULES[name]}")
    if name not in HOME_OF:
        from kit.words import did_you_mean  # late: nobody pays for a question that is not asked

        near = {it.casefold(): it for it in __all__}
        question = did_you_mean(near.get(name.casefold(), name), __all__)
        raise AttributeError(f"module 'kit' has no attribute {name!r}. {question}".strip())
    home = f"kit.{HOME_OF[name]}"
    try:
        module = importlib.import_module(home)
    except ModuleNotFoundError as error:
        if error.name != home:
            raise
        raise ImportError(
            f"kit.{name} is not in the part of the kit that serves: install the whole kit."
        ) from None
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, *MODULES]


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext kit`: adds the cell magic `%%record`."""
    importlib.import_module("kit.evals.notebook").load(shell)


# Under nbmake no cell says so: one tape for each notebook, in this folder.
if (
    "KIT_TAPES" in os.environ
    and (_ipython := sys.modules.get("IPython"))
    and (_shell := _ipython.get_ipython())
):
    load_ipython_extension(_shell)
