"""What the fault tests are made of: a small application, a place where it is kept, moments at which something
happens, and workers in processes of their own.

Nothing here is known to the product: moments are found by wrapping the steps of operations, the transport of the
cluster's client and the repository's backend.
"""
