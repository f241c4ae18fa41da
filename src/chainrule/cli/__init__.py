"""The command line: `chainrule --help`."""

from chainrule.cli.app import main

__all__ = ["main"]
