"""Use cases: what a user can ask of Mainstay, one module for each resource.

HTTP handlers and the command line's direct mode call the same functions here. They take plain values and shapes of
`services.models`, decide what may be asked in the present state, start operations and answer with domain values;
`services.views` turns those into the API's JSON shapes. They know no HTTP and no environment: `bootstrap` hands them
the repository, the engine and the clusters.
"""
