"""The repository: documents, segments, versions and keys on S3-compatible storage or in a directory.

Promises: what is sealed can be read again or is reported as damaged, by key; a document is changed by compare
and swap only; nothing is half written. It knows applications, versions and operations as nouns to keep, and
must not know Kubernetes, HTTP, nor why something is stored.
"""
