"""Error bars of fused maps, and compositions of regions with intervals: docs/uncertainty.md."""
