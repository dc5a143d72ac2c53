"""The `mainstay` command, also `kubectl mainstay`.

Promises: every use case of the service from a terminal or a script; the same words, the same JSON and the same
exit codes whether a server answers (`http.py`) or none runs (`--direct`, `direct.py`); what is dangerous is
shown before it is done. It starts quickly, so heavy libraries are imported where they are used.

It must not know: how a version is stored, how a plan is made, or what the API server says. Everything goes
through the one seam, `gateway.Gateway`, as the JSON that the API documents.
"""
