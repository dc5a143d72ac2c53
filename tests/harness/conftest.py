"""The harness tests itself with its own fixtures, whether or not the conftest above knows them."""

from tests.harness.fixtures import (  # noqa: F401 (pytest finds them by name)
    api_http_proxy,
    api_tcp_proxy,
    cluster,
    control_namespace,
    control_plane,
    make_cluster,
    moto_s3,
    namespace,
    s3_proxy,
    versity_s3,
)
