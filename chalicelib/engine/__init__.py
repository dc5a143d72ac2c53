"""Operations: what runs long, survives being killed anywhere, and ends with a reason.

`engine.Engine` starts, runs, resumes and cancels operations; each kind is a module of named steps (`backup`,
`restore`, …). The engine knows the store, the cluster and the rules of planning. It knows no HTTP, no queue and
no schedule: who calls it decides when.

    work is taken up         engine, line, worker, lease, running, turns, budget; calling, dead_letters; collector
    a step works with        work, clusters (sessions with API servers), journal (what it finds out)
    started by themselves    schedules, sweeps
    the kinds, in flows      backup, restore, delete, sweep, verify

    backup                   reading, rows, packing, keeping, noting, closure; its last step: retention
    restore                  asked, original, safety, execution, health, results; its way back: rollback
      plans                  planner, gating, plans, stale, compare
        from what is kept    destination, wanted, carrying, known_fields
        and what is live     live, strayed, dependents, facts, held, users, neighbours, dry_run, beside
      is carried out         apply, ledger, put_off, gates
        one action           writes, creating, deleting, attaching, claim_policy, field_owners, owners, volumes
        its requests         sending, silence, written
    delete, retention        needed (versions that are in use)
    verify                   verifying, findings, mending
"""
