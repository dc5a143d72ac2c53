"""Documents the tests share: the least one, and one that says everything the language has."""

LEAST = """\
apiVersion: mainstay.dev/v1
kind: Application
metadata: {name: shop}
spec:
  state:
    objects:
      - namespaces: [shop]
"""

#: The sample of the design, with its placeholders filled in.
EVERYTHING = """\
apiVersion: mainstay.dev/v1
kind: Application
metadata: {name: shop}
spec:
  cluster: production                    # default: the only registered one
  state:
    objects:                             # each entry is a scope of its own; a union of scopes
      - namespaces: [shop]
        exclude: {kinds: [Event], labels: "tier=cache", names: ["tmp-*"]}
      - kinds: [ClusterRole, ClusterRoleBinding]
        labels: "app.kubernetes.io/part-of=shop"
    closure: references
    dumps:
      - name: orders
        pod: {labels: "app=postgres"}
        container: postgres
        capture: [pg_dump, -Fc, -U, shop, shop]          # stdout is the dump
        load: [pg_restore, --clean, -U, shop, -d, shop]  # stdin is the dump
        check: [psql, -U, shop, -c, "select 1 from orders limit 1"]
    volumes:
      - claims: "data-*"
        method: stream                   # stream | snapshot
    images: digests                      # none | digests | archive
    hooks:
      before: [{pod: {labels: "app=web"}, command: [app, freeze], timeout: 30s, onError: fail}]
      after:  [{pod: {labels: "app=web"}, command: [app, thaw], timeout: 30s, onError: continue}]
  backup:
    every: 1h                            # or cron: "0 3 * * *", with timezone, jitter, window
    keep: {last: 5, hourly: 24, daily: 7, weekly: 4, monthly: 12, yearly: 3, lastGood: true}
    quota: 20Gi
    alert: {noGoodVersionFor: 2h}
    notify: [{webhook: "https://hooks.example.com/mainstay"}]
  restore:
    mode: exact
    protect: [PersistentVolumeClaim, Namespace, CustomResourceDefinition]
    order: [{before: {kind: Deployment, name: web}, ready: {kind: StatefulSet, name: db}}]
    rewrite: [{match: {kind: Ingress}, mergePatch: {spec: {ingressClassName: inner, tls: null}}}]
    health: {timeout: 5m, checks: [{pod: {labels: "app=web"}, command: [curl, -fsS, localhost:8080/ready]}]}
    safety: bestEffort                   # required | bestEffort | none
    onFailure: rollback                  # rollback | keep
  drill:
    every: 1w
    namespace: shop-drill
    rewrite: [{match: {kind: Service}, jsonPatch: [{op: remove, path: /spec/clusterIP}]}]
"""

#: Its JSON twin, indented with tabs as some editors do.
JSON = """\
{
\t"apiVersion": "mainstay.dev/v1",
\t"kind": "Application",
\t"metadata": {"name": "shop"},
\t"spec": {"state": {"objects": [{"namespaces": ["shop"], "names": ["\\u0061-\\ud83d\\ude00"]}]}}
}
"""

#: Parts of `spec` that are right, by what they show. Each is put under `spec:` beside the least state.
RIGHT_PARTS = {
    "cron with all": 'backup: {cron: "0 3 * * 1-5", timezone: Europe/Berlin, jitter: 10m, window: 22:00-06:00}',
    "a window in local time": "backup: {every: 15m, window: 01:00-05:30, timezone: UTC}",
    "only rules of retention": "backup: {keep: {last: 3}}",
    "nothing protected": "restore: {protect: []}",
    "no way back": "restore: {safety: none, onFailure: keep}",
    "a patch of every operation": (
        "restore: {rewrite: [{match: {labels: 'a in (b, c)', name: 'x-*'}, jsonPatch: ["
        "{op: add, path: /a, value: null}, {op: replace, path: /a~1b, value: [1, 2.5, {x: y}]}, "
        "{op: test, path: '', value: {}}, {op: move, path: /a, from: /b}, {op: copy, path: /a, from: /b}, "
        "{op: remove, path: /metadata/annotations/x}]}]}"
    ),
    "a pod by its name": "restore: {health: {checks: [{pod: {name: db-0, namespace: shop}, command: [id]}]}}",
    "a drill by cron": 'drill: {cron: "0 4 * * SUN"}',
}


def with_spec(part: str) -> str:
    """The least document with one more line under `spec:` (line 8)."""
    return f"{LEAST}  {part}\n"


def with_scopes(*scopes: str) -> str:
    """The least document with more scopes (from line 8 on)."""
    return LEAST + "".join(f"      - {scope}\n" for scope in scopes)
