"""Manifests that several tests on a cluster use: `NS` stands for the scene's namespace."""

from __future__ import annotations

#: A webhook configuration about nothing, which nobody answers.
HOOK = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: NS-hook}
webhooks:
  - name: hook.scene.test
    clientConfig: {service: {namespace: NS, name: hook, path: /}}
    rules: [{apiGroups: [scene.test], apiVersions: [v1], resources: [nothing], operations: [CREATE]}]
    sideEffects: None
    failurePolicy: Ignore
    admissionReviewVersions: [v1]
"""

#: A kind of the scene's own, `Toy`, of any content.
TOYS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: toys.NS.scene.test}
spec:
  group: NS.scene.test
  scope: Namespaced
  names: {plural: toys, singular: toy, kind: Toy}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object,
    x-kubernetes-preserve-unknown-fields: true}}}]
"""

#: A volume that nobody provisions, and a claim to it.
VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: NS-data}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 1Mi}
  persistentVolumeReclaimPolicy: Retain
  storageClassName: NS-none
  hostPath: {path: /nowhere}
"""
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: NS-none, volumeName: NS-data,
  resources: {requests: {storage: 1Mi}}}
"""
