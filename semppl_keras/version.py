"""The version of the package, which is read without importing anything."""

__version__ = "0.2.0"
