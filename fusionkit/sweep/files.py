"""The names of the files that lie beside the run folders of a sweep."""

CONFIG = "sweep.yaml"
TABLE = "table.csv"
PAGE = "index.html"
