"""JSON schemas (draft 2020-12) of what MergeGuard writes; ``importlib.resources.files(__name__)`` reads them."""
