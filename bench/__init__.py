"""What Mainstay's work costs, beside what the same API server could do at most.

Promises: every row is a ratio between Mainstay's time and a raw limit that was measured right beside it, on a control
plane started for the run and ended after it. It prints, and asserts only what makes a measurement one of the right
thing (a backup that added nothing, a restore that created all). Run `python -m bench`; the rows are explained in
`docs/benchmarks.md`.

Must not know: how Mainstay does its work. It starts operations as the service does and reads their documents.
"""
