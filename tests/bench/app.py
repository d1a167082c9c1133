"""The plugin of the benchmarks, as in an exported folder: `kit serve app.py`, `uvicorn app:plugin`."""

from servers import kit_app

plugin = kit_app()
