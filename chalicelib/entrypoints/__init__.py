"""Where the outside comes in: HTTP routes (`api`), schedules and queues (`events`).

A handler parses, calls one function of the services and translates what comes back. It decides nothing.
"""
