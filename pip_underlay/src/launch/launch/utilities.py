"""Normalise what launch files give and walk through entities."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from .launch_description_entity import LaunchDescriptionEntity
from .substitution import Substitution


def normalize_to_list_of_substitutions(subs) -> list[Substitution]:
    """Turn text, a path, a substitution or an iterable of those into substitutions."""
    from .substitutions import TextSubstitution

    if isinstance(subs, (str, Path)):
        return [TextSubstitution(text=str(subs))]
    if isinstance(subs, Substitution):
        return [subs]
    if isinstance(subs, Iterable):
        return [part for sub in subs for part in normalize_to_list_of_substitutions(sub)]
    raise TypeError(
        f"Failed to normalize given item of type '{type(subs)}', when only 'str' or "
        "'launch.Substitution' were expected."
    )


def perform_substitutions(context, subs: Iterable[Substitution]) -> str:
    """Join the texts of all substitutions."""
    return ''.join(context.perform_substitution(sub) for sub in subs)


def text_of(context, value) -> str:
    """Text of anything that a launch file may give as text."""
    return perform_substitutions(context, normalize_to_list_of_substitutions(value))


def describe(subs: Iterable[Substitution]) -> str:
    """Describe several substitutions for people."""
    return ' + '.join(sub.describe() for sub in subs)


def list_of_entities(entities) -> list[LaunchDescriptionEntity]:
    """Turn None, one entity or an iterable of entities into a list."""
    if entities is None:
        return []
    if isinstance(entities, LaunchDescriptionEntity):
        return [entities]
    listed = list(entities)
    for entity in listed:
        if not isinstance(entity, LaunchDescriptionEntity):
            raise TypeError(f"expected a LaunchDescriptionEntity, got '{entity!r}'")
    return listed


def visit_all_entities_and_collect_futures(entity, context) -> list[asyncio.Future]:
    """Visit an entity and all that it yields; return the futures of what goes on."""
    futures = []
    for sub_entity in list_of_entities(entity.visit(context)):
        futures += visit_all_entities_and_collect_futures(sub_entity, context)
    own = entity.get_asyncio_future()
    return [own, *futures] if own is not None else futures
