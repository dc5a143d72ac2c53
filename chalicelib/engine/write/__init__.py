"""A plan carried out on the cluster.

wave by wave    apply, ledger, gates (what a wave waits for), put_off (what finds no room or no answer)
one action      writes, creating, updated (what an update left), deleting, attaching and owners (owner references),
                field_owners
  of claims     volumes, claim_policy, users (who holds a claim)
its requests    sending, silence (writes without an answer), beside (what the server would make of it), written
"""
