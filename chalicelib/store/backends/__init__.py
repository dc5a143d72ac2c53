"""The storages a repository can lie on, one module each, all under one conformance suite.

Each keeps the promises of `chalicelib.store.backend.Backend` and lets no error of its library out.
"""
