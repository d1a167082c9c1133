"""How a page of this machine reaches the reader's eyes: its address for their browser, and an IFrame."""

from __future__ import annotations

import os
import sys
from html import escape


def browser_url(port: int) -> str | None:
    """The address of a port of this machine for the reader's browser; None: it is the same machine.

    `KIT_BROWSER_URL` says it, `{port}` in it standing for the port; else JupyterHub's proxy.
    """
    template = os.environ.get("KIT_BROWSER_URL")
    if template:
        return template.replace("{port}", str(port)).rstrip("/")
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX")
    if prefix:
        return f"{prefix.rstrip('/')}/proxy/{port}"
    return None


class Frame:
    """A page in an IFrame. On Colab, the frame that Colab itself offers."""

    def __init__(self, url: str, port: int, height: int) -> None:
        self.url, self.port, self.height = url, port, height

    def __repr__(self) -> str:
        return self.url

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if "google.colab" in sys.modules and not os.environ.get("KIT_BROWSER_URL"):
            from google.colab import output

            output.serve_kernel_port_as_iframe(self.port, height=str(self.height))
            return
        url = escape(self.url)
        link = f'<a href="{url}" target="_blank">{url}</a>'
        frame = f'<iframe src="{url}" width="100%" height="{self.height}" frameborder="0"></iframe>'
        display({"text/html": f"{link}<br>{frame}", "text/plain": self.url}, raw=True)
