"""Refusing a request for one field of it."""

from __future__ import annotations

from chalicelib.domain.errors import Invalid, Problem


def invalid(path: str, message: str, hint: str) -> Invalid:
    """The error for one field: what is wrong with it, and what to do instead."""
    problem = Problem(path, message, hint=hint)
    return Invalid(f"{problem}.", [problem])
