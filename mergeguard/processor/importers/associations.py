"""Writes the associations of a message, both ends mapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from mergeguard.core.importing.catalogue import AssociationType
from mergeguard.core.importing.links import SentLink, limited, plan_links
from mergeguard.storage.importing.store import ImportTransaction


def write_links(
    transaction: ImportTransaction, sent: Sequence[SentLink], types: Mapping[UUID, AssociationType], event: int
) -> None:
    """Write associations; those beyond what a parent may have give way, the oldest first."""
    ends = limited(sent, types)
    plan = plan_links(sent, transaction.linked(ends) if ends else (), types, event)
    if plan.unlink:
        transaction.unlink(plan.unlink)
    if plan.link:
        transaction.link(plan.link)
