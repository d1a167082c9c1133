"""`python -m kit` is the `kit` command: all of it, or `kit serve` in the part of the kit that serves."""

try:
    from kit.cli import main
except ModuleNotFoundError as error:
    if error.name != "kit.cli":
        raise
    from kit.runner.command import main

main()
