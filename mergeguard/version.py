"""The version, without asking the package metadata: that costs more than all of ``mergeguard --help``."""

__version__ = "0.1.0"
