"""``python -m fusionkit``: the command line."""

import sys

from fusionkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
