"""A conversation in which a model uses plugins.

Takes installed plugins and the user's messages. Returns a `Reply` for each turn, or streams its events. Calls the
model with the `openai` client, over either of its APIs.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, NoReturn


class _Package(ModuleType):
    def __call__(self, *plugins: Any, **options: Any) -> NoReturn:
        raise TypeError("kit.chat is a package. A conversation is kit.Chat(plugin).")


sys.modules[__name__].__class__ = _Package
