"""Objective terms: forward models, fidelities, penalties, constraints and linear operators; one idea a file."""

if __name__ != "fusionkit.operators":
    raise ImportError(f"import this package as fusionkit.operators, not as {__name__}")

TABLE = {
    "terms": {
        "haadf": "fusionkit.operators.haadf:haadf",
        "poisson": "fusionkit.operators.poisson:poisson",
        "least_squares": "fusionkit.operators.least_squares:least_squares",
        "tv": "fusionkit.operators.tv:tv",
        "penalty": "fusionkit.operators.penalty:penalty",
        "l1": "fusionkit.operators.penalty:l1",
        "l2": "fusionkit.operators.penalty:l2",
        "anisotropic_tv": "fusionkit.operators.anisotropic_tv:anisotropic_tv",
        "huber_tv": "fusionkit.operators.huber_tv:huber_tv",
        "tgv": "fusionkit.operators.tgv:tgv",
        "vectorial_tv": "fusionkit.operators.vectorial_tv:vectorial_tv",
        "directional_tv": "fusionkit.operators.directional_tv:directional_tv",
        "structure_tensor_tv": "fusionkit.operators.structure_tensor_tv:structure_tensor_tv",
        "pyproximal": "fusionkit.operators.pyproximal_term:term",
        "nonnegative": "fusionkit.operators.box:nonnegative",
        "box": "fusionkit.operators.box:box",
    },
    "forwards": {
        "power_sum": "fusionkit.operators.elastic:power_sum",
        "z_contrast": "fusionkit.operators.elastic:z_contrast",
        "identity": "fusionkit.operators.identity:identity",
        "sum": "fusionkit.operators.power_sum:total",
        "element": "fusionkit.operators.power_sum:element",
        "affine": "fusionkit.operators.affine:affine",
        "elements": "fusionkit.operators.elements:elements",
        "scan": "fusionkit.operators.scan:scan",
        "blur": "fusionkit.operators.blur:blur",
        "pylops": "fusionkit.operators.linear_forward:pylops_forward",
        "linear": "fusionkit.operators.linear_forward:linear_forward",
    },
    "functionals": {
        "l1": "fusionkit.operators.norms:l1",
        "l21": "fusionkit.operators.norms:l21",
        "l2": "fusionkit.operators.norms:l2",
        "euclidean": "fusionkit.operators.norms:euclidean",
        "huber": "fusionkit.operators.group_huber:huber",
        "nuclear": "fusionkit.operators.nuclear:nuclear",
        "pyproximal": "fusionkit.operators.pyproximal_term:functional",
    },
    "operators": {
        "identity": "fusionkit.operators.identity_map:identity",
        "gradient": "fusionkit.operators.gradient:gradient",
        "guided_gradient": "fusionkit.operators.guided_gradient:guided_gradient",
        "laplacian": "fusionkit.operators.laplacian:laplacian",
        "symmetric_gradient": "fusionkit.operators.symmetric_gradient:symmetric_gradient",
        "pylops": "fusionkit.operators.pylops_by_name:pylops_map",
    },
}
