"""From the selectors that a policy holds to the selectors that are evaluated.

Namespaces and service accounts are labels to Felix: a profile ``kns.<namespace>`` lends its
endpoints ``pcns.*`` labels, a profile ``ksa.*`` lends ``pcsa.*`` labels. Source:
``calico-control-plane.md`` 3.5.

Selectors are combined as text, so each is parsed by itself first: one that does not parse alone, such
as ``a) || (b``, could otherwise reach out of the namespace that it is put in.
"""

from __future__ import annotations

from libcalico.resources.names import NAMESPACE_LABEL, SERVICE_ACCOUNT_LABEL
from libcalico.resources.policy import (
    EntityRule,
    GlobalNetworkPolicy,
    NetworkPolicy,
    PolicyType,
    ServiceAccountMatch,
)
from libcalico.selector import parse
from libcalico.selector.model import In

NAMESPACE_PREFIX = "pcns."
SERVICE_ACCOUNT_PREFIX = "pcsa."
_HAS_NAMESPACE = f"has({NAMESPACE_LABEL})"


def entity_selectors(side: EntityRule, namespace: str) -> tuple[str, str]:
    """Return the positive and the negative selector of one side of a rule; "" is no selector.

    A namespaced rule that only has nets or ports has no selector: it matches any address.

    Args:
        side: source or destination.
        namespace: the policy's; "" for a cluster-scoped policy and for profiles.

    Raises:
        SelectorSyntaxError: one of the side's selectors does not parse.
    """
    _require_whole(side.selector, side.not_selector)
    accounts = service_accounts_selector(side.service_accounts)
    part = accounts or side.selector
    if accounts and side.selector:
        part = _both(accounts, side.selector)
    selects = side.selector or accounts or side.not_selector or side.namespace_selector
    home = _namespace_part(side.namespace_selector, namespace) if selects else ""
    positive = _both(home, part) if home and part else home or part
    return positive, side.not_selector


def policy_selector(policy: NetworkPolicy | GlobalNetworkPolicy) -> str:
    """Return the selector of the endpoints that a policy applies to, as Felix evaluates it.

    Raises:
        SelectorSyntaxError: one of the policy's selectors does not parse.
    """
    _require_whole(policy.spec.selector)
    if isinstance(policy, NetworkPolicy):
        return _namespaced_selector(policy)
    spec, selector = policy.spec, policy.spec.selector
    if spec.namespace_selector:
        selector = _append(selector, prefixed(spec.namespace_selector, NAMESPACE_PREFIX))
        selector = selector.replace("all()", _HAS_NAMESPACE)
    if spec.service_account_selector:
        selector = _append(
            selector, prefixed(spec.service_account_selector, SERVICE_ACCOUNT_PREFIX)
        )
        selector = selector.replace("all()", f"has({SERVICE_ACCOUNT_LABEL})")
    return selector


def effective_types(policy: NetworkPolicy | GlobalNetworkPolicy) -> frozenset[PolicyType]:
    """Return the directions that a stored policy governs; an empty list means both."""
    return frozenset(policy.spec.types or ("Ingress", "Egress"))


def service_accounts_selector(match: ServiceAccountMatch | None) -> str:
    """Return the label selector of a service account match, "" if it selects by nothing."""
    if match is None:
        return ""
    selector = prefixed(match.selector, SERVICE_ACCOUNT_PREFIX) if match.selector else ""
    if not match.names:
        return selector
    names = str(In(SERVICE_ACCOUNT_LABEL, tuple(sorted(set(match.names)))))
    return _both(selector, names) if selector else names


def prefixed(selector: str, prefix: str) -> str:
    """Return the canonical text of a selector, every label prefixed.

    Raises:
        SelectorSyntaxError: the selector does not parse.
    """
    return str(parse(selector).with_label_prefix(prefix))


def _require_whole(*selectors: str) -> None:
    for selector in selectors:
        parse(selector)


def _namespace_part(namespace_selector: str, namespace: str) -> str:
    if namespace_selector:
        text = prefixed(namespace_selector, NAMESPACE_PREFIX)
        return text.replace("all()", _HAS_NAMESPACE).replace("global()", f"!{_HAS_NAMESPACE}")
    return f"{NAMESPACE_LABEL} == '{namespace}'" if namespace else ""


def _namespaced_selector(policy: NetworkPolicy) -> str:
    spec = policy.spec
    clause = f"{NAMESPACE_LABEL} == '{policy.namespace}'"
    selector = f"({spec.selector}) && {clause}" if spec.selector else clause
    if spec.service_account_selector:
        return _append(selector, prefixed(spec.service_account_selector, SERVICE_ACCOUNT_PREFIX))
    return selector


def _append(selector: str, clause: str) -> str:
    return f"({selector}) && {clause}" if selector else clause


def _both(first: str, second: str) -> str:
    return f"({first}) && ({second})"
