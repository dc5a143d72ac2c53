"""What every suite can ask for: a cluster, S3 servers, proxies that misbehave."""

pytest_plugins = ["tests.harness.fixtures"]
