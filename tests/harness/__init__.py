"""A real Kubernetes cluster and real S3 servers on one machine, without a container engine.

What it promises: everything it starts listens on 127.0.0.1 only, lives in one directory, and is gone after
`stop`, processes, mounts, network namespaces and cgroups included, even if the owner was killed. Every wait
is bounded and ends with the tail of the log that tells why.

What it must not know: Mainstay. It is used by the tests, the demo and the benchmarks, and imports none of
their code. `python -m tests.harness up` gives a cluster for a whole day, `fixtures.py` gives one to pytest,
`cluster.Cluster` is the same by hand.
"""
