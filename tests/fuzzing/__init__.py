"""Mutated inputs of every kind, which must give a result or one line, and no traceback, crash or hang.

A short run is part of the tests; ``PYTHONPATH=tests python -m fuzzing KIND ... --cases 10000`` makes a long one.
"""
