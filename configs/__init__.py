"""Worked problems, one YAML file each, runnable by name: ``fusionkit run cos_nanoparticle``."""

if __name__ != "fusionkit.configs":
    raise ImportError(f"import this package as fusionkit.configs, not as {__name__}")
