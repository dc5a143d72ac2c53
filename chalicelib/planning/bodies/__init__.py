"""One object.

normalise       without what the API server and the controllers write for themselves; its digest
kinds           what single kinds carry that is true of one incarnation only
overlay         the wanted content, laid over what the live object's controllers own
compare         as it is wanted beside as it is
diff            two contents as a list of fields, without secrets
creation        what to send to create or to change it
services        what the API server allocates for a Service
ownership       field managers, and how to leave them as they were
immutable       fields that cannot be changed in place
context         what there is to know of the cluster
"""
