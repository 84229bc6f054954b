"""Reference of Felix's parameters and metrics, of the keys in etcd, and of errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from calico_node.felix.metrics import REGISTRY
from calico_node.felix.parameters import effect
from generate.markdown import code, prose, table
from libcalico import errors
from libcalico.datastore.keys import LAYOUT, resource_prefix
from libcalico.resources.felixparams import PARAMS, Param
from libcalico.resources.registry import KINDS


def felix() -> str:
    """Return the page of Felix's parameters."""
    rows = [
        (
            code(param.name),
            code(param.field),
            _allowed(param),
            code(_value(param.default)),
            "yes" * param.fatal,
            effect(param.name),
        )
        for param in sorted(PARAMS.values(), key=lambda param: param.name.lower())
    ]
    head = ("name", "field of the resource", "allowed", "default", "fatal", "effect")
    return f"""# Felix parameters

A parameter is set, from the strongest source to the weakest, by the environment (`FELIX_` and the name, in
any case), by the file `/etc/calico/felix.cfg`, by the FelixConfiguration `node.NAME`, by one whose
`nodeSelector` selects the node, or by the FelixConfiguration `default`. Parameters without a field are local
to a host.

Of a wrong value Felix warns, and the next weaker source decides; of a *fatal* one Felix refuses to start.
Every parameter of Calico's data model is accepted and stored; the last column tells which have an effect
here, and why others have none. Changes of the datastore are applied live; file and environment are read at
the start.

`LogSeverityScreen`, `LogSeverityFile` (for `LogFilePath`) and `LogSeveritySys` (for `/dev/log`) are levels,
or `none`. `calico-node run` keeps what Felix says on its standard error in `/var/log/calico/felix/current`,
and starts Felix with `LogFilePath` and `LogSeveritySys` set to `none` unless its environment says otherwise.

`HealthTimeoutOverrides` takes the names that Felix's health page shows; `InternalDataplaneMainLoop` means
`Dataplane`.

Felix hears of what others change in the kernel and puts it right at once. The refresh intervals are for what
the kernel tells nobody: commits that were not told of, routes, settings of interfaces. `0` turns one off.
Each repair is counted in `felix_int_dataplane_repairs_total`.

{table(head, rows)}
"""


def _allowed(param: Param) -> str:
    if param.choices:
        return ", ".join(code(choice) for choice in param.choices)
    if param.low is not None or param.high is not None:
        low = "" if param.low is None else str(param.low)
        high = "" if param.high is None else str(param.high)
        return f"{param.type}, {low} to {high}" if high else f"{param.type}, at least {low}"
    unit = {True: ", milliseconds", False: ", seconds"}
    return param.type + (unit[param.milliseconds] if param.type == "duration" else "")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ",".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, tuple):
        return ",".join(_member(item) for item in value)
    return "" if value is None else str(value)


def _member(item: object) -> str:
    protocol, port = getattr(item, "protocol", None), getattr(item, "port", None)
    return f"{protocol}:{port}" if protocol else str(item)


def metrics() -> str:
    """Return the page of Felix's metrics."""
    rows = []
    for family in REGISTRY.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        rows.append((code(name), family.type, family.documentation))
    return f"""# Metrics

Felix serves them in Prometheus' form when `PrometheusMetricsEnabled` is set, on `PrometheusMetricsPort`
(9091), path `/metrics`.

With `PrometheusMetricsCertFile` and `PrometheusMetricsKeyFile` (PEM, the key without a password) it is HTTPS.
`PrometheusMetricsClientAuth` says what a client needs: a certificate signed by one of
`PrometheusMetricsCAFile` (`RequireAndVerifyClientCert`, the default, and `RequireAnyClientCert`, as a
certificate that nobody verifies proves nothing), one if it shows any (`VerifyClientCertIfGiven`), or none
(`NoClientCert`). Files that change are read again; while they cannot be used, the ones read before stay.
Until there are any that can, nothing is served, and the log says why.

{table(("metric", "type", "meaning"), sorted(rows))}
"""


def keys() -> str:
    """Return the page of the keys in etcd."""
    resources = [
        (code(resource_prefix(kind) + ("NAMESPACE/" if s.INFO.namespaced else "") + "NAME"), kind)
        for kind, s in KINDS.items()
    ]
    others = [(code(row.template), row.value) for row in LAYOUT]
    return f"""# Keys in etcd

The layout is Calico v3's. Values are JSON. Read them with `etcdctl get --prefix /calico/`; change them
with `calicoctl` only, which validates.

## Resources

{table(("key", "value"), resources)}

## Addresses and status

`{{cidr}}` is written `ipv4/block/10.65.0.0-26`.

{table(("key", "value"), others)}
"""


def error_page() -> str:
    """Return the page of errors."""
    rows = [
        ("&nbsp;&nbsp;" * depth + code(kind.__name__), prose(kind))
        for depth, kind in _tree(errors.CalicoError)
    ]
    return f"""# Errors

Every error says where it happened and what to do. Programs print it on standard error; plugins put it into
the form of their protocol. They are sorted by what the caller can do:

{table(("error", "meaning"), rows)}
"""


def _tree(
    kind: type[errors.CalicoError], depth: int = 0
) -> Iterator[tuple[int, type[errors.CalicoError]]]:
    yield depth, kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _tree(child, depth + 1)
