"""Which Groundwork this is."""

VERSION = "0.1.0"  # a test keeps it equal to pyproject.toml's
