"""Liveness and readiness of the agents: the rule, the HTTP endpoint, the client."""
