"""How long what is long takes, so that it is begun first where several workers share the tests.

Measured with three workers on two cores. Only the order matters: what is short, and what nobody has measured yet,
comes at the end. A worker gets a file at a time, whose tests share what they start; or what is said below.
"""

from __future__ import annotations

#: Tests of a file, by how their ids begin, that make a unit of their own: beside them the rest is long enough.
APART = ("tests/applications/test_applications.py::test_an_application_goes_there_and_back[kube-prometheus]",)
#: Files, by how their ids begin, that are one unit: they share servers that take long to start.
TOGETHER = {
    "tests/e2e/test_localstack_": "LocalStack",
    "tests/e2e/test_package_runs_elsewhere.py": "LocalStack",
    "tests/e2e/test_stack_at_localstack.py": "LocalStack",
    "tests/contract/store/": "storages",
}
#: Seconds of a unit.
SECONDS = {
    "tests/applications/test_applications.py": 490,
    APART[0]: 300,
    "LocalStack": 280,
    "storages": 270,
    "tests/cluster/test_fault_storage.py": 210,
    "tests/cluster/test_fault_workers.py": 130,
    "tests/cluster/test_fault_endings.py": 105,
    "tests/e2e/test_cli_there_and_back.py": 100,
    "tests/harness/test_cluster.py": 85,
    "tests/cluster/test_fault_turns.py": 80,
    "tests/cluster/test_fault_cluster.py": 75,
    "tests/cluster/test_planning_round_trip.py": 60,
    "tests/e2e/test_soak.py": 55,
    "tests/e2e/test_api_there_and_back.py": 40,
    "tests/e2e/test_runner_interrupted.py": 40,
    "tests/e2e/test_runner_serving.py": 40,
    "tests/cluster/test_restore_elsewhere.py": 39,
    "tests/cluster/test_cluster_listing.py": 30,
    "tests/cluster/test_fault_elsewhere.py": 27,
    "tests/cluster/test_restore_custom_objects.py": 27,
    "tests/cluster/test_restore_volumes.py": 25,
    "tests/cluster/test_backup_selection.py": 24,
    "tests/cluster/test_eks_tokens.py": 23,
    "tests/cluster/test_restore_to_cluster.py": 23,
    "tests/cluster/test_restore_modes.py": 22,
    "tests/cluster/test_fault_refusals.py": 19,
    "tests/contract/adapters/test_kms.py": 18,
    "tests/cluster/test_restore_order.py": 18,
    "tests/e2e/test_by_itself.py": 18,
    "tests/cluster/test_cluster_kinds.py": 18,
    "tests/cluster/test_restore_closure.py": 17,
    "tests/cluster/test_facts_volumes.py": 15,
    "tests/cluster/test_restore_gates.py": 15,
    "tests/unit/language/test_fuzz.py": 15,
    "tests/cluster/test_cluster_pods.py": 14,
    "tests/harness/test_api_proxy.py": 14,
    "tests/cluster/test_restore_admission.py": 12,
}


def unit_of(test: str) -> str:
    """What a worker gets at a time, for the id of a test."""
    if test in APART:
        return test
    shared = (name for beginning, name in TOGETHER.items() if test.startswith(beginning))
    return next(shared, test.partition("::")[0])
