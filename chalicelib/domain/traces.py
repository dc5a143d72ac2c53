"""Where an unexpected error came from, without its words: they may repeat a secret that was sent or read."""

from __future__ import annotations


def places(error: BaseException) -> str:
    """One line for each frame, the outermost first: file, line and function."""
    lines = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        lines.append(f"  {code.co_filename}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    return "\n".join(lines)


#: Exceptions told: it, and what it came of.
_MOST_CAUSES = 5


def story(error: BaseException) -> str:
    """Type and places of an exception and of those it came from, in lines; none of their words."""
    told: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(told) < _MOST_CAUSES:
        told.append(f"{type(cause).__name__}\n{places(cause)}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n  which came of ".join(told)
