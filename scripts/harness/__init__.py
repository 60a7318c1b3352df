"""What quickstart, mount tests and benchmarks share: shards, servers, mounts, a console."""
