"""Arguments that several commands share."""

from __future__ import annotations

import argparse


def add_config(command: argparse.ArgumentParser) -> None:
    """The config and ``--set``."""
    command.add_argument("config", metavar="CONFIG", help="a YAML file, or a name of 'fusionkit list configs'")
    add_set(command, "a value of the config (terms.tv.weight=0.2, solver.max_iterations=100)")


def add_set(command: argparse.ArgumentParser, what: str) -> None:
    """``--set``, which replaces ``what``."""
    command.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help=f"replace {what}")
