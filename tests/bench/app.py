"""The plugin of the benchmarks as an exported folder has it: `kit serve app.py`, `uvicorn app:plugin`."""

from servers import kit_app

plugin = kit_app()
