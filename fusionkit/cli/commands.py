"""The table of commands: a module each, in the order in which ``fusionkit --help`` shows them.

A module has ``add(command)``, which gives the command's parser its arguments, and ``run(arguments)``, which returns the
exit status; ``arguments.said`` is the list of the warnings so far. Both the table and the top of each module import
nothing heavy, so that ``--help`` answers at once.
"""

from __future__ import annotations

# name: (module, what --help says)
COMMANDS = {
    "run": ("fusionkit.cli.run", "solve a problem and write its result"),
    "validate": ("fusionkit.cli.validate", "read config and data, say what would run, run nothing"),
    "sweep": ("fusionkit.cli.sweep", "run a config over lists and ranges of its values"),
    "batch": ("fusionkit.cli.batch", "run a config on several files"),
    "compare": ("fusionkit.cli.compare", "finished runs beside each other, as a table and as a page"),
    "export": ("fusionkit.cli.export", "write the maps of a finished run for HyperSpy or ImageJ"),
    "inspect": ("fusionkit.cli.inspect", "list what recordings hold; write a config that runs on them"),
    "list": ("fusionkit.cli.list", "what can be named in a config"),
    "simulate": ("fusionkit.cli.simulate", "write a simulated recording with its ground truth"),
    "completion": ("fusionkit.cli.completion", "print a script for the shell that completes commands and names"),
}
