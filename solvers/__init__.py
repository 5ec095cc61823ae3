"""Solvers, one algorithm a file; `fusionkit.solver` has their common options, `fusionkit.loop` the loop."""

if __name__ != "fusionkit.solvers":
    raise ImportError(f"import this package as fusionkit.solvers, not as {__name__}")

TABLE = {
    "solvers": {
        "auto": "fusionkit.solvers.auto:Auto",
        "chambolle_pock": "fusionkit.solvers.chambolle_pock:ChambollePock",
        "condat_vu": "fusionkit.solvers.condat_vu:CondatVu",
        "admm": "fusionkit.solvers.admm:ADMM",
        "linearized_admm": "fusionkit.solvers.linearized_admm:LinearizedADMM",
        "davis_yin": "fusionkit.solvers.davis_yin:DavisYin",
        "proximal_gradient": "fusionkit.solvers.proximal_gradient:ProximalGradient",
        "lbfgsb": "fusionkit.solvers.lbfgsb:LBFGSB",
        "schwartz2022": "fusionkit.solvers.schwartz2022:Schwartz2022",
        "pyproximal_primal_dual": "fusionkit.solvers.pyproximal_primal_dual:PyproximalPrimalDual",
        "pyproximal_admm": "fusionkit.solvers.pyproximal_admm:PyproximalADMM",
    }
}
