"""Files of microscopes: read through RosettaSciIO, spectrum images to counts, what a file holds, a config for it.

RosettaSciIO, HyperSpy and eXSpy are GPL-licensed and optional: they are imported when such a file is read, not before.
"""
