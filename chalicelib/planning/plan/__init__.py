"""A plan: what to do about each object, in which order, and what to say of it.

making                              all of it: two sorted streams in (`join`), a `Plan` out
draft                               a plan while it is made; its three heaps: missing, differing, extra
consent, dependents, shared, scopes, claim_policy     what must not go, or be changed, with the rest
order, rules, gates                 waves; which object waits for which, and until when
effects, budgets, deployers         what will be felt, and who else deploys here
sayings                             the sentences
"""
