"""Operations: what runs long, survives being killed anywhere, and ends with a reason.

`engine.Engine` starts, runs, resumes and cancels operations; each kind is a module of named steps (`backup`,
`restore`, …). The engine knows the store, the cluster and the rules of planning. It knows no HTTP, no queue and
no schedule: who calls it decides when.
"""
