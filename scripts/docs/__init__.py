"""The generator of the documentation; scripts/docs.py runs it."""

from docs.pages import CHECKOUT, documents

__all__ = ["CHECKOUT", "documents"]
