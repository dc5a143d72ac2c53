"""An object on its way to another place, or changed by its user.

carrier                             an object, carried to a `destination`
namespaces, namespace_fields, mentions     names of namespaces
deploying, suspend                  what deploys from elsewhere, or begins by itself
rewrite, shapes, schemas            a user's patches, and what they may not break
versions                            an object in another version of its API
"""
