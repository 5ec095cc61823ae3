"""Counts of elements from spectrum images: windows of energy, lines, and fits."""
