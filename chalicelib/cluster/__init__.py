"""The API server of an application's cluster: connect, discover, list, write, exec, watch over health.

Promises: raw JSON in and out, every call bounded in time, reads repeated while that can help, a write whose
outcome is unknown never repeated, and nothing but the domain's errors, which say the object, the request and
what the server answered. No content of a Secret is ever in one.

Must not know: applications, versions, plans and operations. Who calls decides what a failure means.
"""
