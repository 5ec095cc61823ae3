"""``weight: auto``: weights from the data alone, chosen before the solve."""
