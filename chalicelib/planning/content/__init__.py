"""Ways through the content of objects.

paths           places in a body, as tables write them: `spec.rules[].host`
lists           which item of one list is which of another
pod_specs       where the kinds that make pods have the pod's spec
selectors       label selectors, as objects have them
quantities      `10Gi` and `500M` can be compared
"""
