"""How fast fusionkit is, beside memory and beside what people use today: ``python -m benchmarks``."""
