"""Error bars of fused maps and atomic fractions of regions with intervals; see docs/uncertainty.md."""
