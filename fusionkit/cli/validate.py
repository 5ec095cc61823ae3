"""``fusionkit validate``: check a config and describe its problem."""

import argparse

from fusionkit.cli import DONE
from fusionkit.cli.parser import add_config


def add(command: argparse.ArgumentParser) -> None:
    """The arguments of ``validate``."""
    add_config(command)


def run(arguments: argparse.Namespace) -> int:
    """Read config and data, build the problem and print its description."""
    from fusionkit.config import load_config
    from fusionkit.reconstruct import prepare

    loaded = load_config(arguments.config, arguments.set)
    for line in prepare(loaded, search=False).describe():
        print(line)
    print(f"output: {loaded.output_folder()}")
    return DONE
