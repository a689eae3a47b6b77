"""What the runner hands to each benchmark: a scratch folder, servers, how often to measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from harness import servers
from harness.servers import PeerMissing, Server

Measured = TypeVar("Measured")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One benchmark's surroundings."""

    scratch: Path
    """An empty folder of its own."""
    quick: bool
    """Measure once, only to see that everything runs."""
    say: Callable[[str], None]
    """Progress, for whoever watches."""
    notes: list[str] = field(default_factory=list)

    def rounds(self, num: int) -> int:
        return 1 if self.quick else num

    def fogbank(self) -> AbstractContextManager[Server]:
        """A fresh cloud."""
        return servers.fogbank(self.scratch)

    @contextmanager
    def fogbank_and_moto(self) -> Iterator[list[Server]]:
        """Both, fresh; Fogbank alone, and a note, where moto cannot be had."""
        with ExitStack() as stack:
            found = [stack.enter_context(self.fogbank())]
            try:
                found.append(stack.enter_context(servers.moto(self.scratch)))
            except PeerMissing as error:
                self.notes.append(f"Fogbank was measured alone: {error}.")
            yield found


def alternate(
    num: int, contestants: dict[str, Callable[[], Measured]], *, warm_up: bool = True
) -> dict[str, list[Measured]]:
    """`num` rounds, in each every contestant once, every second round in reverse order, so that
    neither has the quiet moments. The warm-up is a round that does not count."""
    found: dict[str, list[Measured]] = {name: [] for name in contestants}
    if warm_up:
        for measure in contestants.values():
            measure()
    for number in range(num):
        order = list(contestants)
        for name in reversed(order) if number % 2 else order:
            found[name].append(contestants[name]())
    return found
