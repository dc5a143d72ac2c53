"""Mainstay: application continuity for Kubernetes.

The arrows between the folders point down only (see `docs/architecture.md`; `make lint` holds them to it):

    cli → local → entrypoints → services → engine → planning | language | store | cluster | adapters → domain
"""
