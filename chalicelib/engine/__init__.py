"""Operations: what runs long, survives being killed anywhere, and ends with a reason.

`lane.engine.Engine` starts, runs, resumes and cancels operations; each kind is a module of named steps
(`operations.backup`, `operations.restore`, …). The engine knows the store, the cluster and the rules of planning. It
knows no HTTP, no queue and no schedule: who calls it decides when.

    operations    the kinds of operations, step by step
    plan          what a restore would do, from what is kept and what is live
    write         a plan carried out on the cluster, each intent before its deed
    capture       what is live, read and kept
    lane          work is asked for, taken up, and let go: one operation of an application at a time

Each of these knows those below it only; their first lines are maps of their modules.
"""
