"""The API's JSON shapes, one module per resource: what requests carry and what answers say.

OpenAPI is generated from them. Requests are read strictly and refuse fields they do not know. Answers of one kind
have the same fields everywhere; `null` is said, not left out. They do not know what may be asked in which state.
"""
