"""Objective terms: forward models, fidelities, penalties, constraints and linear operators; one idea a file."""

if __name__ != "fusionkit.operators":
    raise ImportError(f"import this package as fusionkit.operators, not as {__name__}")

TABLE = {
    "terms": {
        "haadf": "fusionkit.operators.haadf:haadf",
        "poisson": "fusionkit.operators.poisson:poisson",
        "least_squares": "fusionkit.operators.least_squares:least_squares",
        "tv": "fusionkit.operators.tv:tv",
        "nonnegative": "fusionkit.operators.box:nonnegative",
    },
    "forwards": {
        "power_sum": "fusionkit.operators.power_sum:power_sum",
        "identity": "fusionkit.operators.identity:identity",
    },
    "functionals": {},
    "operators": {},
}
