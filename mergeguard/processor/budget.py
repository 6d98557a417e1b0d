"""How much a worker of one queue claims at once: as much as it can run in one batch, learnt from the last ones."""

from __future__ import annotations

from dataclasses import dataclass

from mergeguard.core.events import Claim


@dataclass(slots=True)
class Budget:
    """Events and chains of the next claim. Shared by the threads of a queue; a lost update does no harm."""

    events: int
    chains: int

    def learn(self, claim: Claim, ran: int, begun: int, *, most_events: int, most_chains: int) -> None:
        """Note how many events of a claim ran, and of how many chains, before its time was over.

        Where time was short, chains that were not begun were kept from others for nothing: fewer are claimed next.
        """
        claimed = sum(len(lease.events) for lease in claim.leases)
        if ran >= claimed:
            self.events = min(most_events, max(self.events, claimed * 2))
            self.chains = min(most_chains, max(self.chains, len(claim.leases) * 2), self.events)
        else:
            self.events = min(most_events, max(1, ran * 2))
            self.chains = min(most_chains, max(1, begun), self.events)

    def isolate(self) -> None:
        """Claim one event next, so that one which clashes is found and the others go on without it."""
        self.events = self.chains = 1
