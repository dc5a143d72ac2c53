"""The kinds of operations, each a module of named steps.

all of them        flows
backup             backup
restore, undo      restore, asked (what is to be), safety, execution, rollback, results
delete, sweep      delete, sweep
verify             verify, verifying, findings, mending
"""
