"""The standalone runner: the same app.py behind an HTTP server, with the wake index pumped in-process.

It chooses nothing that `bootstrap` chooses and decides nothing that the services decide.
"""
