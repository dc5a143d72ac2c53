"""From a version and the live state to a plan: rules only.

    normalise        an object without what the API server and the controllers write for themselves; its digest
    capture_rules    which objects are never worth keeping, and why
    ownership_roots  which objects others make again
    selection        a document's scopes, as lists to ask for and a test for what comes back
    overlay          the wanted content, laid over what the live object's controllers own
    creation         what to send to create or to change an object
    ownership        field managers, and how to leave them as they were
    diff             two contents as a list of fields, without secrets
    draft            a plan while it is made; its three heaps: missing, differing, extra
    order            waves
    plan             all of it: two sorted streams in, a `Plan` out

Pure: bodies, rows and answers are arguments, and so is everything the cluster has to say. It must not know who
reads or writes them, and does no input or output. Same arguments, same plan.
"""
