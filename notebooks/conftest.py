"""The settings of nbmake here: the model's answers come from tapes, and a call that fails is red.

`KIT_MODEL=understudy` asks the understudy instead; `python tests/notebooks.py --record` makes the tapes anew.
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

STRICT = {"KIT_STRICT": "1"}  # a chat whose call fails, or that calls nothing unexpectedly, is an error
TAPES = {"KIT_TAPES": str(Path(__file__).parent.parent / "tests" / "tapes"), "KIT_RECORD": "none"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """While a notebook runs, and not for the other tests of this process. What the environment says stays."""
    settings = STRICT | ({} if "KIT_MODEL" in os.environ else TAPES)
    with pytest.MonkeyPatch.context() as patch:
        for name in settings.keys() - os.environ.keys():
            patch.setenv(name, settings[name])
        return (yield)
