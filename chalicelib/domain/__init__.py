"""Nouns and rules of application continuity.

Pure: no input or output and no clock; time is always an argument. It knows nothing of S3, of the Kubernetes
client or of HTTP, and every other folder may use it.
"""
