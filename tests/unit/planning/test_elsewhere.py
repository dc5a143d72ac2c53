"""What becomes of objects on their way to another place, and what is said about it."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.document.restore import Rewrite
from chalicelib.domain.objects import ObjectKey, key_of
from chalicelib.domain.version import Gap
from chalicelib.language.loader import load
from chalicelib.planning.bodies.normalise import copy_of
from chalicelib.planning.elsewhere.carrier import Carrier
from chalicelib.planning.elsewhere.destination import HERE, Destination
from chalicelib.planning.elsewhere.rewrite import Rewrites

BESIDE = Destination(names={"shop": "copy"})
FAR = Destination(cluster="cl-there")
BOTH = Destination(names={"shop": "copy"}, cluster="cl-there")


def carrier(there: Destination, *rules: dict[str, Any], **more: Any) -> Carrier:
    return Carrier(there, Rewrites(tuple(Rewrite.model_validate(rule) for rule in rules)), **more)


def body(kind: str, version: str = "v1", *, spec: Any = None, **members: Any) -> dict[str, Any]:
    content = {"apiVersion": version, "kind": kind, "metadata": {"name": "one", "namespace": "shop"}, **members}
    return {**content, "spec": copy_of(spec)} if spec is not None else content


SERVICE = {
    "type": "LoadBalancer",
    "clusterIP": "10.0.0.1",
    "clusterIPs": ["10.0.0.1"],
    "ipFamilies": ["IPv4"],
    "ipFamilyPolicy": "SingleStack",
    "healthCheckNodePort": 30001,
    "loadBalancerIP": "1.2.3.4",
    "externalIPs": ["5.6.7.8"],
    "ports": [{"port": 80, "nodePort": 30000}],
}
CHOSEN = '{"spec":{"healthCheckNodePort":30001,"ports":[{"port":80,"nodePort":30000}]}}'


@pytest.mark.parametrize("there", [HERE, BESIDE, FAR])
def test_fields_that_the_cluster_does_not_know_are_told_of_what_was_rewritten_wherever_it_goes(
    there: Destination,
) -> None:
    def unknown(found: dict[str, Any]) -> list[str]:
        return [f"spec.{name}" for name in found["spec"] if name not in {"replicas", "paused"}]

    rule = {"match": {"kind": "Deployment"}, "mergePatch": {"spec": {"replica": 0}}}
    one = carrier(there, rule, unknown=unknown)
    one.carry(body("Deployment", "apps/v1", spec={"replicas": 1}))
    said = "Fields that the cluster does not know, and drops: Deployment.apps shop/one spec.replica."
    assert [warning for warning in one.warnings() if warning.startswith("Fields")] == [said]
    # What was not rewritten has, in place, the fields that the cluster itself gave.
    other = carrier(there, rule, unknown=unknown)
    other.carry(body("StatefulSet", "apps/v1", spec={"replica": 1}))
    assert bool([warning for warning in other.warnings() if warning.startswith("Fields")]) is there.far


@pytest.mark.parametrize("there", [BESIDE, FAR, BOTH])
def test_a_service_leaves_what_was_allocated_to_it_behind(there: Destination) -> None:
    spec = carrier(there).carry(body("Service", spec=SERVICE))["spec"]
    assert not {"clusterIP", "clusterIPs", "healthCheckNodePort", "loadBalancerIP"} & spec.keys()
    assert spec["ports"] == [{"port": 80}]


def test_a_port_that_a_user_chose_goes_along_to_another_cluster_but_not_beside_the_original() -> None:
    service = body("Service", spec=SERVICE)
    service["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": CHOSEN}
    far = carrier(FAR).carry(copy_of(service))["spec"]
    assert (far["ports"][0]["nodePort"], far["healthCheckNodePort"]) == (30000, 30001)
    beside = carrier(BESIDE).carry(copy_of(service))["spec"]
    assert "nodePort" not in beside["ports"][0]
    assert not {"healthCheckNodePort", "externalIPs"} & beside.keys()


def test_a_headless_service_stays_headless() -> None:
    spec = carrier(BESIDE).carry(body("Service", spec={"clusterIP": "None", "clusterIPs": ["None"]}))["spec"]
    assert spec == {"clusterIP": "None", "clusterIPs": ["None"]}


def test_a_claim_gets_a_new_volume_and_volumes_stay() -> None:
    one = carrier(BESIDE)
    claim = {"volumeName": "pv-1", "selector": {"matchLabels": {"a": "b"}}, "storageClassName": "fast"}
    assert one.carry(body("PersistentVolumeClaim", spec=claim))["spec"] == {"storageClassName": "fast"}
    assert list(one.warnings()) == []
    by_hand = one.carry(body("PersistentVolumeClaim", spec={**claim, "storageClassName": ""}))["spec"]
    assert by_hand == {"storageClassName": "", "selector": claim["selector"]}
    assert "wait until somebody makes a volume" in next(one.warnings())
    assert not one.takes(ObjectKey("", "PersistentVolume", "", "pv-1"))
    assert carrier(HERE).takes(ObjectKey("", "PersistentVolume", "", "pv-1"))


def test_storage_classes_are_exchanged_in_claims_and_in_templates_of_claims() -> None:
    one = carrier(Destination(storage_classes={"fast": "slow"}))
    assert not one.idle
    claim = one.carry(body("PersistentVolumeClaim", spec={"storageClassName": "fast", "volumeName": "pv-1"}))
    assert claim["spec"] == {"storageClassName": "slow", "volumeName": "pv-1"}
    template = {"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}}
    ephemeral = {"name": "tmp", "ephemeral": {"volumeClaimTemplate": {"spec": {"storageClassName": "fast"}}}}
    spec = {"volumeClaimTemplates": [template], "template": {"spec": {"volumes": [ephemeral, {"name": "x"}]}}}
    carried = one.carry(body("StatefulSet", "apps/v1", spec=spec))["spec"]
    assert carried["volumeClaimTemplates"][0]["spec"] == {"storageClassName": "slow"}
    volume = carried["template"]["spec"]["volumes"][0]["ephemeral"]["volumeClaimTemplate"]
    assert volume["spec"] == {"storageClassName": "slow"}
    assert one.classes.keys() == {"slow"}
    other = one.carry(body("PersistentVolumeClaim", spec={"storageClassName": "other"}))
    assert other["spec"] == {"storageClassName": "other"}


@pytest.mark.parametrize(("kind", "version"), [("PodTemplate", "v1"), ("ReplicationController", "v1")])
def test_every_kind_that_makes_pods_has_its_ephemeral_claims_exchanged(kind: str, version: str) -> None:
    volume = {"name": "tmp", "ephemeral": {"volumeClaimTemplate": {"spec": {"storageClassName": "fast"}}}}
    template = {"spec": {"volumes": [volume]}}
    place = {"template": template} if kind == "PodTemplate" else {"spec": {"template": template}}
    made = body(kind, version, **copy_of(place))
    one = carrier(Destination(storage_classes={"fast": "slow"}))
    assert one.concerns(ObjectKey("", kind, "shop", "one"))
    assert "slow" in str(one.carry(made))


@pytest.mark.parametrize(
    ("there", "waits"),
    [
        (BESIDE, True),
        (FAR, None),
        (BOTH, None),
        (Destination(names={"shop": "copy"}, suspend=False), None),
        (Destination(cluster="cl-there", suspend=True), True),
        (Destination(suspend=True), True),
    ],
)
def test_jobs_wait_beside_the_original_and_where_it_is_asked_for(there: Destination, waits: bool | None) -> None:
    one = carrier(there)
    spec = one.carry(body("CronJob", "batch/v1", spec={"schedule": "0 3 * * *"}))["spec"]
    assert spec.get("suspend") is waits
    assert list(one.acting.values()) == [bool(waits)]
    assert next(iter(one.acting)).namespace == ("copy" if there.names else "shop")


def test_what_waits_already_is_not_counted_among_what_was_suspended() -> None:
    one = carrier(BESIDE)
    assert one.carry(body("CronJob", "batch/v1", spec={"suspend": True}))["spec"] == {"suspend": True}
    assert one.acting == {}


def test_a_rewrite_can_have_one_go_on() -> None:
    one = carrier(BESIDE, {"match": {"kind": "CronJob"}, "mergePatch": {"spec": {"suspend": False}}})
    assert one.carry(body("CronJob", "batch/v1", spec={}))["spec"] == {"suspend": False}
    assert list(one.acting.values()) == [False]


AUTOMATED = {"destination": {"namespace": "shop"}, "syncPolicy": {"automated": {"prune": True}}}


@pytest.mark.parametrize(
    ("there", "waits", "namespace"),
    [
        (BESIDE, True, "copy"),
        (FAR, False, "shop"),
        (BOTH, True, "copy"),
        (Destination(names={"shop": "copy"}, cluster="cl-there", suspend=False), False, "copy"),
    ],
)
def test_what_deploys_waits_wherever_a_namespace_has_another_name(
    there: Destination, waits: bool, namespace: str
) -> None:
    one = carrier(there)
    spec = one.carry(body("Application", "argoproj.io/v1alpha1", spec=AUTOMATED))["spec"]
    assert ("automated" not in spec["syncPolicy"], spec["destination"]["namespace"]) == (waits, namespace)
    assert list(one.acting.values()) == [waits]
    told = "Deploy what their sources say once they go on" in " ".join(one.warnings())
    assert told is bool(there.names)


def test_by_hand_or_by_itself_an_application_of_the_copy_never_has_what_it_deployed_deleted() -> None:
    application = body("Application", "argoproj.io/v1alpha1", spec={"destination": {"namespace": "shop"}})
    application["metadata"]["finalizers"] = ["resources-finalizer.argocd.argoproj.io"]
    one = carrier(BESIDE)
    assert "finalizers" not in one.carry(copy_of(application))["metadata"]
    assert one.acting == {}


def test_by_another_name_nothing_bears_the_signs_of_who_deployed_the_original() -> None:
    signed = body("ConfigMap")
    signed["metadata"]["labels"] = {
        "argocd.argoproj.io/instance": "shop",
        "kustomize.toolkit.fluxcd.io/name": "shop",
        "kustomize.toolkit.fluxcd.io/namespace": "shop",
    }
    for there in (BESIDE, BOTH):
        assert "labels" not in carrier(there).carry(copy_of(signed))["metadata"]
    assert carrier(FAR).carry(copy_of(signed)) == signed
    # By its own name it is still deployed by what is in the other namespace now.
    signed["metadata"]["namespace"] = "infra"
    far = carrier(BOTH).carry(copy_of(signed))["metadata"]["labels"]
    assert far == {**signed["metadata"]["labels"], "kustomize.toolkit.fluxcd.io/namespace": "copy"}


def test_beside_the_original_what_argo_cd_may_take_for_its_own_is_told_with_whose_it_would_be() -> None:
    labelled = body("ConfigMap")
    labelled["metadata"]["labels"] = {"app.kubernetes.io/instance": "web"}
    labelled["metadata"]["managedFields"] = [{"manager": "argocd-controller"}]
    beside, both = carrier(BESIDE), carrier(BOTH)
    for one in (beside, both):
        one.carry(copy_of(labelled))
    assert "ConfigMap copy/one of Application web." in next(beside.warnings())
    assert list(both.warnings()) == []


HOOK = {"clientConfig": {"service": {"name": "hook", "namespace": "shop"}}}


@pytest.mark.parametrize(
    ("kind", "version", "content"),
    [
        ("ValidatingWebhookConfiguration", "admissionregistration.k8s.io/v1", {"webhooks": [HOOK]}),
        ("APIService", "apiregistration.k8s.io/v1", {"spec": HOOK["clientConfig"]}),
        (
            "CustomResourceDefinition",
            "apiextensions.k8s.io/v1",
            {"spec": {"conversion": {"strategy": "Webhook", "webhook": HOOK}}},
        ),
    ],
)
def test_what_belongs_to_the_whole_cluster_names_the_original_beside_it_and_the_copy_far_from_it(
    kind: str, version: str, content: dict[str, Any]
) -> None:
    kept = {"apiVersion": version, "kind": kind, "metadata": {"name": "one"}, **content}
    assert carrier(BESIDE).carry(copy_of(kept)) == kept
    far = carrier(BOTH).carry(copy_of(kept))
    assert str(far) == str(kept).replace("'shop'", "'copy'")


def test_beside_the_original_hosts_that_both_would_answer_to_are_told() -> None:
    ingress = body("Ingress", "networking.k8s.io/v1", spec={"rules": [{"host": "shop.example.com"}, {"http": {}}]})
    beside, far = carrier(BESIDE), carrier(FAR)
    assert beside.carry(copy_of(ingress))["spec"] == ingress["spec"]
    far.carry(copy_of(ingress))
    assert "the original answers to as well" in next(beside.warnings())
    assert "Ingress.networking.k8s.io shop/one shop.example.com" in next(beside.warnings())
    assert list(far.warnings()) == []


TEXTS = {"url": "http://db.shop.svc/a", "other": "db.shop.svc"}
LEFT = "DNS names of the old namespace are left as they are (a rewrite changes them): "


def test_what_is_said_to_be_left_is_what_neither_the_move_nor_a_rewrite_changed() -> None:
    alias = body("Service", spec={"type": "ExternalName", "externalName": "web.shop.svc.cluster.local"})
    config = body("ConfigMap", data=dict(TEXTS))
    one = carrier(BESIDE)
    assert one.carry(copy_of(alias))["spec"]["externalName"] == "web.copy.svc.cluster.local"
    one.carry(copy_of(config))
    assert list(one.warnings()) == [f"{LEFT}ConfigMap shop/one /data/url, /data/other."]
    rule = {"match": {"kind": "ConfigMap"}, "mergePatch": {"data": {"url": "http://db.copy.svc/a"}}}
    rewritten = carrier(BESIDE, rule)
    rewritten.carry(copy_of(config))
    assert list(rewritten.warnings()) == [f"{LEFT}ConfigMap shop/one /data/other."]


def test_of_what_is_not_restored_nothing_is_told() -> None:
    one = carrier(BESIDE)
    for name in ("one", "two"):
        config = body("ConfigMap", data={"url": "db.shop.svc"})
        one.carry({**config, "metadata": {**config["metadata"], "name": name}})
    two = ObjectKey("", "ConfigMap", "copy", "two")
    assert list(one.warnings(lambda key: key == two)) == [f"{LEFT}ConfigMap shop/two /data/url."]
    assert list(one.warnings(lambda _key: False)) == []


def test_a_name_that_is_changed_is_not_left_where_namespaces_change_places() -> None:
    alias = body("Service", spec={"type": "ExternalName", "externalName": "web.shop.svc.cluster.local"})
    one = carrier(Destination(names={"shop": "infra", "infra": "shop"}, cluster="cl-there"))
    assert one.carry(alias)["spec"]["externalName"] == "web.infra.svc.cluster.local"
    assert list(one.warnings()) == []


def test_a_host_that_a_rewrite_changes_is_not_said_to_be_the_originals() -> None:
    ingress = body("Ingress", "networking.k8s.io/v1", spec={"rules": [{"host": "shop.example.com"}]})
    patch = [{"op": "replace", "path": "/spec/rules/0/host", "value": "copy.example.com"}]
    one = carrier(BESIDE, {"match": {"kind": "Ingress"}, "jsonPatch": patch})
    one.carry(ingress)
    assert list(one.warnings()) == []


@pytest.mark.parametrize(("there", "told"), [(BESIDE, True), (BOTH, True), (FAR, False)])
def test_annotations_that_may_name_the_old_namespace_are_told_with_their_place(
    there: Destination, told: bool
) -> None:
    ingress = body("Ingress", "networking.k8s.io/v1")
    ingress["metadata"]["annotations"] = {
        "nginx.ingress.kubernetes.io/auth-secret": "shop/basic",
        "traefik.ingress.kubernetes.io/router.middlewares": "shop-auth@kubernetescrd",
    }
    one = carrier(there)
    one.carry(ingress)
    place = "/metadata/annotations/traefik.ingress.kubernetes.io~1router.middlewares"
    said = (
        "Annotations that may name something in the old namespace are left as they are (a rewrite changes them): "
        f"Ingress.networking.k8s.io shop/one {place}."
    )
    assert list(one.warnings()) == ([said] if told else [])


def test_a_record_of_helm_that_names_objects_of_the_old_namespace_is_told() -> None:
    beside, both, far = carrier(BESIDE), carrier(BOTH), carrier(FAR)
    for one in (beside, both, far):
        one.carry(body("Secret", type="helm.sh/release.v1", data={"release": "SDRz"}))
    assert "would change those: Secret shop/one." in next(beside.warnings())
    assert list(both.warnings()) == list(beside.warnings())
    assert list(far.warnings()) == []


def test_a_record_of_kapp_that_goes_by_the_originals_label_is_told_beside_it() -> None:
    record = body("ConfigMap", data={"spec": '{"labelKey":"kapp.k14s.io/app","labelValue":"1557"}'})
    record["metadata"]["labels"] = {"kapp.k14s.io/is-app": ""}
    beside, both = carrier(BESIDE), carrier(BOTH)
    for each in (beside, both):
        each.carry(copy_of(record))
    assert "would change those: ConfigMap shop/one." in next(beside.warnings())
    assert list(both.warnings()) == []


BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "reader"},
    "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": "shop"}],
}


@pytest.mark.parametrize(("there", "name"), [(BESIDE, "reader-copy"), (BOTH, "reader"), (FAR, "reader")])
def test_beside_the_original_its_accounts_are_bound_a_second_time(there: Destination, name: str) -> None:
    assert carrier(there).carry(copy_of(BINDING))["metadata"]["name"] == name


def test_a_second_binding_has_no_labels_by_which_it_would_be_the_originals() -> None:
    labelled = {**BINDING, "metadata": {"name": "reader", "labels": {"of": "shop"}}}
    assert "labels" not in carrier(BESIDE).carry(copy_of(labelled))["metadata"]
    assert carrier(BOTH).carry(copy_of(labelled))["metadata"]["labels"] == {"of": "shop"}


def inside(*subjects: tuple[str, str], namespace: str = "infra") -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "reader", "namespace": namespace, "labels": {"of": "shop"}},
        "subjects": [{"kind": "ServiceAccount", "namespace": at, "name": name} for at, name in subjects],
    }


def test_a_binding_of_a_namespace_that_stays_is_made_there_a_second_time_for_accounts_of_the_copy() -> None:
    binding, one = inside(("shop", "web"), ("infra", "agent"), ("shop", "job")), carrier(BESIDE)
    assert one.takes(key_of(binding))
    assert one.concerned(binding)
    assert one.is_others(key_of(binding))
    made = one.carry(copy_of(binding))
    assert made["metadata"] == {"name": "reader-copy", "namespace": "infra"}
    assert [(each["namespace"], each["name"]) for each in made["subjects"]] == [("copy", "web"), ("copy", "job")]


def test_a_binding_of_a_namespace_that_stays_is_left_out_where_it_grants_nothing_to_the_copy() -> None:
    assert not carrier(BESIDE).concerned(inside(("infra", "web")))
    every = {**inside(), "subjects": [{"kind": "Group", "name": "system:serviceaccounts"}]}
    assert not carrier(BESIDE).concerned(every)
    group = {**inside(), "subjects": [{"kind": "Group", "name": "system:serviceaccounts:shop"}]}
    assert carrier(BESIDE).concerned(group)


def test_a_binding_goes_by_its_own_name_in_a_namespace_that_is_restored_and_on_another_cluster() -> None:
    own, others = inside(("shop", "web"), namespace="shop"), inside(("shop", "web"), ("infra", "agent"))
    assert carrier(BESIDE).carry(copy_of(own))["metadata"]["name"] == "reader"
    far = carrier(BOTH).carry(copy_of(others))
    assert far["metadata"] == others["metadata"]
    assert [each["namespace"] for each in far["subjects"]] == ["copy", "infra"]
    assert not carrier(BOTH).is_others(key_of(others))


def test_a_second_binding_grants_nothing_to_others_again() -> None:
    both = copy_of(BINDING)
    both["subjects"] += [{"kind": "User", "name": "jane"}, {"kind": "Group", "name": "system:serviceaccounts:shop"}]
    subjects = carrier(BESIDE).carry(both)["subjects"]
    assert [each["name"] for each in subjects] == ["web", "system:serviceaccounts:copy"]


def test_the_name_of_a_second_binding_is_no_longer_than_names_may_be() -> None:
    long = {**copy_of(BINDING), "metadata": {"name": "r" * 253}}
    name = carrier(BESIDE).carry(long)["metadata"]["name"]
    assert (len(name), name[-6:]) == (253, "r-copy")


def test_a_binding_of_others_accounts_keeps_its_name() -> None:
    others = {**BINDING, "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": "infra"}]}
    assert carrier(BESIDE).carry(copy_of(others)) == others


def test_beside_the_original_only_what_has_another_namespace_is_restored() -> None:
    keys = {name: ObjectKey("", "ConfigMap", name, "a") for name in ("shop", "infra")}
    assert [carrier(BESIDE).takes(key) for key in keys.values()] == [True, False]
    assert [carrier(BOTH).takes(key) for key in keys.values()] == [True, True]
    assert not carrier(BESIDE).takes(ObjectKey("", "Namespace", "", "infra"))
    assert carrier(BESIDE).takes(ObjectKey("rbac.authorization.k8s.io", "ClusterRole", "", "infra"))
    gaps = [Gap(group="", kind="Secret", namespace=name, message="no") for name in ("shop", "infra", "")]
    assert [gap.namespace for gap in BESIDE.gaps(gaps)] == ["copy", ""]


def test_rewrites_see_the_old_name_and_change_what_will_be() -> None:
    rule = {
        "match": {"namespace": "shop"},
        "jsonPatch": [{"op": "test", "path": "/metadata/namespace", "value": "copy"}],
    }
    one = carrier(BESIDE, rule)
    assert one.carry(body("ConfigMap"))["metadata"]["namespace"] == "copy"
    assert one.problems == {}


def test_a_problem_is_told_with_what_the_object_is_called_there() -> None:
    one = carrier(BESIDE, {"match": {"name": "one"}, "jsonPatch": [{"op": "remove", "path": "/none"}]})
    for _ in range(2):
        one.carry(body("ConfigMap"))
    assert list(one.problems.values()) == [ObjectKey("", "ConfigMap", "copy", "one")]


def test_a_version_to_which_no_way_is_known_is_a_problem() -> None:
    one = carrier(FAR, unspoken={("example.com", "Widget"): "v2"})
    one.carry(body("Widget", "example.com/v1"))
    assert "was kept in version v1; the cluster serves v2" in next(iter(one.problems))


def test_nothing_is_read_where_nothing_changes() -> None:
    assert carrier(HERE).idle
    some = carrier(HERE, {"match": {"kind": "Ingress"}, "mergePatch": {"spec": {"a": 1}}})
    assert not some.idle
    assert some.concerns(ObjectKey("networking.k8s.io", "Ingress", "shop", "web"))
    assert not some.concerns(ObjectKey("", "ConfigMap", "shop", "web"))


DOCUMENT = """
apiVersion: mainstay.dev/v1
kind: Application
metadata: {name: shop}
spec:
  state:
    objects:
    - {namespaces: [shop, infra], exclude: {kinds: [Event]}}
    - {kinds: [ClusterRole], labels: "app=shop"}
  restore:
    health: {checks: [{pod: {labels: app=web, namespace: shop}, command: [id]}]}
    order: [{before: {kind: Job, name: a, namespace: shop}, ready: {kind: Deployment, name: b}}]
"""


def test_beside_the_original_no_check_runs_in_pods_of_a_namespace_that_is_not_restored() -> None:
    document = load(DOCUMENT.replace("namespace: shop", "namespace: infra"))
    assert [check.pod.namespace for check in document.spec.restore.health.checks] == ["infra"]
    assert BESIDE.document(document).spec.restore.health.checks == ()
    assert len(FAR.document(document).spec.restore.health.checks) == 1


def test_the_document_holds_at_the_destination_by_the_new_names() -> None:
    document = load(DOCUMENT)
    assert HERE.document(document) is document
    beside, both = BESIDE.document(document).spec, BOTH.document(document).spec
    assert [scope.namespaces for scope in beside.state.objects] == [("copy",)]
    assert [scope.namespaces for scope in both.state.objects] == [("copy", "infra")]
    assert beside.state.objects[0].exclude == document.spec.state.objects[0].exclude
    assert beside.restore.health.checks[0].pod.namespace == "copy"
    assert (beside.restore.order[0].before.namespace, beside.restore.order[0].ready.namespace) == ("copy", None)
