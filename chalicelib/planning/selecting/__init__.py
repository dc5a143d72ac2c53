"""Which objects: those of an application, those a user named, those that others refer to.

selection                           a document's scopes, as lists to ask for and a test for what comes back
overlap                             what two selections have in common
only                                the objects that a user named
references, referrers, accounts     what objects refer to; who refers to them from elsewhere
capture_rules, ownership_roots      what is never worth keeping; what others make again
"""
