"""The per-host services: Felix, the BGP agent, start-up, workload server, supervision."""
