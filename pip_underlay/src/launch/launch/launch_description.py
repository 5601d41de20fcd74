"""Description of what shall be launched."""

from __future__ import annotations

from .launch_description_entity import LaunchDescriptionEntity


class LaunchDescription(LaunchDescriptionEntity):
    """A list of entities that are visited in order."""

    def __init__(self, initial_entities=None, *, deprecated_reason: str | None = None) -> None:
        self._entities = list(initial_entities or [])
        self.deprecated_reason = deprecated_reason

    @property
    def entities(self) -> list[LaunchDescriptionEntity]:
        """Entities in order."""
        return self._entities

    @property
    def deprecated(self) -> bool:
        """Tell whether this description is deprecated."""
        return self.deprecated_reason is not None

    def visit(self, context) -> list[LaunchDescriptionEntity]:
        """Yield the entities."""
        return self._entities

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the entities."""
        return self._entities

    def add_action(self, action) -> None:
        """Append an action."""
        self.add_entity(action)

    def add_entity(self, entity: LaunchDescriptionEntity) -> None:
        """Append an entity."""
        self._entities.append(entity)

    def get_launch_arguments(self, conditional_inclusion: bool = False) -> list:
        """
        Find the arguments that are declared anywhere below, without executing anything.

        Arguments which an inclusion sets itself are left out. Those that depend on a condition
        have `_conditionally_included` set.
        """
        found: list = []
        _collect(self._entities, found, conditional_inclusion, given=frozenset())
        return found


def _collect(entities, found: list, conditional: bool, given: frozenset) -> None:
    from .actions import DeclareLaunchArgument, IncludeLaunchDescription

    for entity in entities:
        if isinstance(entity, DeclareLaunchArgument):
            if entity.name not in given and entity.name not in (known.name for known in found):
                entity._conditionally_included = conditional
                found.append(entity)
            continue
        inner = given
        if isinstance(entity, IncludeLaunchDescription):
            inner = given | set(entity.known_argument_names())
        _collect(entity.describe_sub_entities(), found, conditional, inner)
        for _, conditional_entities in entity.describe_conditional_sub_entities():
            _collect(conditional_entities, found, True, inner)
