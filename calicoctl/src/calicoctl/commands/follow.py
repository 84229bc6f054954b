"""get --watch: a kind, and then whatever happens to its objects."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from calicoctl import gotext, printers
from calicoctl.columns import Context
from calicoctl.forms import Form
from libcalico.client import Client
from libcalico.datastore import keys
from libcalico.datastore.follow import Backoff
from libcalico.datastore.model import KeyValue, Revision
from libcalico.errors import CompactedError, UnauthorizedError, UnavailableError
from libcalico.resources.model import Resource

Word = Literal["ADDED", "MODIFIED", "DELETED"]
_CLEAR = "\x1b[H\x1b[2J\x1b[3J"


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened to an object; a deleted one as it was last."""

    word: Word
    resource: Resource


def follow(
    client: Client,
    kind: str,
    namespace: str,
    wanted: Callable[[Resource], bool],
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[list[Happening], Mapping[str, Resource]]]:
    """Yield what happened, first that all objects were added, and the objects by key; for ever.

    A datastore that goes away is waited for, and what happened meanwhile is told.

    Raises:
        UnavailableError: there was none to begin with.
    """
    known: dict[str, Resource] = {}
    reader = client.resource(kind)
    prefix = keys.resource_prefix(kind, namespace)
    backoff, begun = Backoff(), False

    def take(key: str, item: KeyValue | None) -> list[Happening]:
        before = known.pop(key, None)
        after = None if item is None else reader.read_stored(item)
        if after is not None and wanted(after):
            known[key] = after
            if before is None:
                return [Happening("ADDED", after)]
            return [Happening("MODIFIED", after)] if before != after else []
        return [] if before is None else [Happening("DELETED", before)]

    while True:
        try:
            snapshot = client.backend.read(prefix)
            items = {item.key: item for item in snapshot.items}
            happened = [h for key in [*known, *items] for h in take(key, items.get(key))]
            # Before the snapshot is passed on: later this might be another store, from a backup.
            with client.backend.watch([prefix], Revision(snapshot.revision + 1)) as batches:
                if happened or not begun:
                    yield happened, known
                begun = True
                for batch in batches:
                    backoff.reset()
                    happened = []
                    for event in batch.events:
                        stored = event.value
                        item = (
                            None if stored is None else KeyValue(event.key, stored, event.revision)
                        )
                        happened += take(event.key, item)
                    if happened:
                        yield happened, known
        except UnauthorizedError:
            raise
        except (CompactedError, UnavailableError):
            if not begun:
                raise
        pause(backoff.next_s())


class Display:
    """Turns what happened into text: a live table on a terminal, a line for each event elsewhere."""

    def __init__(self, kind: str, form: Form, *, namespaced: bool, live: bool) -> None:
        self._kind, self._form = kind, form
        self._namespaced, self._live = namespaced, live
        self._begun = False

    def text(
        self, happened: list[Happening], known: Mapping[str, Resource], context: Context
    ) -> str:
        """Return what to print now."""
        if self._form.name == "yaml":
            documents = (printers.as_yaml(printers.document(h.resource)) for h in happened)
            return "".join(
                f"---\n# {h.word}\n{d}" for h, d in zip(happened, documents, strict=True)
            )
        if self._form.name == "json":
            return "".join(
                f"{printers.as_json({'type': h.word, 'object': printers.document(h.resource)})}\n"
                for h in happened
            )
        if self._live:
            listed = printers.ordered(self._kind, [known[key] for key in sorted(known)])
            return _CLEAR + self._table(listed, context)
        return self._events(happened, context)

    def _table(self, resources: list[Resource], context: Context) -> str:
        if self._form.name == "custom-columns":
            return printers.chosen(self._kind, resources, self._form.columns, context)
        wide = self._form.name == "wide"
        return printers.table(
            self._kind, resources, wide=wide, namespaced=self._namespaced, context=context
        )

    def _events(self, happened: list[Happening], context: Context) -> str:
        header, *rows = self._table([h.resource for h in happened], context).splitlines()
        words = gotext.table(("EVENT",), [(h.word,) for h in happened]).splitlines()
        lines = [f"{word}{row}" for word, row in zip(words[1:], rows, strict=False)]
        if not self._begun:
            lines.insert(0, f"{'EVENT'.ljust(len(words[0]))}{header}")
        self._begun = True
        return "".join(f"{line}\n" for line in lines)
