"""The HTTP API: one blueprint for each resource, all built on `routing.Api`.

`routing` holds every workaround for Chalice, each with its cause; the blueprints hold none. Models of requests and
answers are the services': `openapi` describes the API from the same ones.
"""
