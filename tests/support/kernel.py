"""A real Jupyter kernel for tests: runs cells, with or without JupyterLab's cell ids, and interrupts them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from queue import Empty
from typing import Any

from jupyter_client.manager import KernelManager

TIMEOUT = 60.0


@dataclass
class Output:
    """The output of one run of a cell."""

    text: str = ""  # stdout
    errors: str = ""  # stderr
    error: str = ""  # name of the exception: its value
    displays: list[dict[str, Any]] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)
    prompt: int = 0  # the number that JupyterLab shows beside the cell


class Kernel:
    """Started with `with Kernel() as kernel`."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="python3")

    def __enter__(self) -> Kernel:
        try:
            self._start()
        except RuntimeError:
            # The manager looks for free ports, and the kernel listens there a second later: another worker's
            # kernel may have one of them by then, and this one ends. A fault of the kit's would end both.
            self.__exit__()
            self.manager = KernelManager(kernel_name="python3")
            self._start()
        return self

    def _start(self) -> None:
        self.manager.start_kernel()
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=TIMEOUT)

    def __exit__(self, *error: object) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)

    def send(self, code: str, cell: str = "") -> str:
        """Sends a cell without waiting; returns the id of its message."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        }
        message = self.client.session.msg(
            "execute_request", content, metadata={"cellId": cell} if cell else {}
        )
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def run(self, code: str, cell: str = "") -> Output:
        """Runs a cell to its end."""
        return self.collect(self.send(code, cell))

    def collect(self, identifier: str) -> Output:
        """The output of a cell that was sent, when it has ended."""
        output = Output()
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except Empty:
                continue
            if message["parent_header"].get("msg_id") != identifier:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                if content["name"] == "stdout":
                    output.text += content["text"]
                else:
                    output.errors += content["text"]
            elif kind == "execute_input":
                output.prompt = content["execution_count"]
            elif kind == "error":
                output.error = f"{content['ename']}: {content['evalue']}"
            elif kind == "display_data":
                output.displays.append(content["data"])
            elif kind == "update_display_data":
                output.updates.append(content["data"])
            elif kind == "execute_result":
                output.result = content["data"]
            elif kind == "status" and content["execution_state"] == "idle":
                return output
        raise TimeoutError(f"the cell did not end within {TIMEOUT} s: {output}")
