"""Base of what a launch description holds."""

from __future__ import annotations

import asyncio


class LaunchDescriptionEntity:
    """Something that can be visited and may yield further entities."""

    def visit(self, context) -> list[LaunchDescriptionEntity] | None:
        """Do its work and return what shall be visited next."""

    def get_asyncio_future(self) -> asyncio.Future | None:
        """Return the future of work that goes on after the visit."""
        return None

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the entities that are always yielded, as far as known without a context."""
        return []

    def describe_conditional_sub_entities(
        self,
    ) -> list[tuple[str, list[LaunchDescriptionEntity]]]:
        """Return those that depend on the context, with a text that says on what."""
        return []
