"""Finished runs: the record of a run, ``result.h5`` and ``summary.json``, and reading both back."""
