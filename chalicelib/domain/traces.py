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
