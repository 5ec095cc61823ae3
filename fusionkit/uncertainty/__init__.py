"""Error bars of fused maps, and the composition of regions with intervals: docs/uncertainty.md."""
