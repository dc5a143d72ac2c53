"""From a version and the live state to a plan: rules only.

    one object    normalise   without what the API server and the controllers write for themselves; its digest
                  kinds       what single kinds carry that is true of one incarnation only
                  overlay     the wanted content, laid over what the live object's controllers own
                  compare     as it is wanted beside as it is
                  diff        two contents as a list of fields, without secrets
                  creation    what to send to create or to change it
                  services    what the API server allocates for a Service
                  ownership   field managers, and how to leave them as they were
                  immutable   fields that cannot be changed in place
    which         selection   a document's scopes, as lists to ask for and a test for what comes back
                  overlap     what two selections have in common
                  only        the objects that a user named
                  references, referrers, accounts             what objects refer to; who refers to them from elsewhere
                  capture_rules, ownership_roots              what is never worth keeping; what others make again
    a plan        plan        all of it: two sorted streams in (`join`), a `Plan` out
                  draft       a plan while it is made; its three heaps: missing, differing, extra
                  context     what it needs to know of the cluster
                  consent, dependents, shared, scopes, claim_policy     what must not go, or be changed, with the rest
                  order, rules, gates                         waves; which object waits for which, and until when
                  effects, budgets, deployers, sayings        what there is to say of it
    elsewhere     elsewhere   an object on its way to another place (`destination`)
                  namespaces, namespace_fields, mentions      names of namespaces
                  deploying, suspend                          what deploys from elsewhere, or begins by itself
                  rewrite, shapes, schemas                    a user's patches, and what they may not break
                  versions    an object in another version of its API
    in time       schedule, retention                         when a backup is next; which versions stay
    everywhere    paths, lists, pod_specs, selectors, quantities   ways through the content of objects

Pure: bodies, rows and answers are arguments, and so is everything the cluster has to say. It must not know who
reads or writes them, and does no input or output. Same arguments, same plan.
"""
