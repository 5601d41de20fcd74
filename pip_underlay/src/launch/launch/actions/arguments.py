"""Arguments of launch files, and the inclusion of launch files."""

from __future__ import annotations

from pathlib import Path

from .configuration import OpaqueFunction, SetLaunchConfiguration
from .. import logging
from ..action import Action
from ..launch_description_source import LaunchDescriptionSource
from ..substitution import Substitution
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions, text_of


class DeclareLaunchArgument(Action):
    """Declare an argument, its default, meaning and choices; without default it is required."""

    def __init__(
        self,
        name: str,
        *,
        default_value=None,
        description: str | None = None,
        choices=None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.name, self.choices = name, choices
        self.default_value = None
        if default_value is not None:
            self.default_value = normalize_to_list_of_substitutions(default_value)
        self.description = _description(description, choices)
        self._conditionally_included = False
        if choices is not None and len(choices) == 0:
            raise RuntimeError('Provided choices arg is empty. Use None to ignore the list.')
        plain = default_value is not None and not isinstance(default_value, (Substitution, list))
        if choices is not None and plain and default_value not in choices:
            raise RuntimeError(
                f'Provided default_value "{default_value}" is not in provided choices "{choices}".'
            )

    def execute(self, context) -> None:
        """Set the default where nothing is set, and check the choice."""
        if self.name not in context.launch_configurations:
            if self.default_value is None:
                logging.get_logger('launch').error(
                    f'Required launch argument "{self.name}" (description: "{self.description}") '
                    'was not provided'
                )
                raise RuntimeError(f'Required launch argument "{self.name}" was not provided.')
            value = perform_substitutions(context, self.default_value)
            context.launch_configurations[self.name] = value
        value = context.launch_configurations[self.name]
        if self.choices is not None and value not in self.choices:
            raise RuntimeError(
                f'Argument "{self.name}" provided value "{value}" is not valid. Valid options '
                f'are: {self.choices}'
            )


def _description(description: str | None, choices) -> str:
    if description is None:
        return 'no description given' if choices is None else f'One of: {choices}'
    if choices is None:
        return description
    return f'{description}{"" if description.endswith(".") else "."} Valid choices are: {choices}'


class IncludeLaunchDescription(Action):
    """Visit another launch file, with arguments; what it sets stays set, as upstream."""

    def __init__(self, launch_description_source, *, launch_arguments=None, **kwargs) -> None:
        super().__init__(**kwargs)
        if not isinstance(launch_description_source, LaunchDescriptionSource):
            from ..launch_description_sources import AnyLaunchDescriptionSource

            launch_description_source = AnyLaunchDescriptionSource(launch_description_source)
        self.launch_description_source = launch_description_source
        self.launch_arguments = tuple(launch_arguments or ())

    def describe(self) -> str:
        """Return the location."""
        return f'IncludeLaunchDescription({self.launch_description_source.location})'

    def known_argument_names(self) -> list[str]:
        """Names of the given arguments, as far as they are plain text."""
        return [name for name, _ in self.launch_arguments if isinstance(name, str)]

    def describe_sub_entities(self) -> list:
        """Return the included description, if it is found without a context."""
        description = self.launch_description_source.try_get_launch_description_without_context()
        return [] if description is None or self.condition is not None else [description]

    def describe_conditional_sub_entities(self) -> list:
        """Return the included description where a condition decides."""
        description = self.launch_description_source.try_get_launch_description_without_context()
        conditional = description is not None and self.condition is not None
        return [(self.describe(), [description])] if conditional else []

    def execute(self, context) -> list:
        """Check the arguments, set them, and visit the description."""
        description = self.launch_description_source.get_launch_description(context)
        given = [(text_of(context, name), value) for name, value in self.launch_arguments]
        self._require_arguments(description, [name for name, _ in given])
        before = context.get_locals_as_dict()
        path = Path(self.launch_description_source.location).absolute()
        here = {
            'current_launch_file_path': str(path),
            'current_launch_file_directory': str(path.parent),
        }
        context.extend_locals(here)
        restored = {name: before[name] for name in here if name in before}
        return [
            *(SetLaunchConfiguration(name, value) for name, value in given),
            description,
            OpaqueFunction(function=lambda context: context.extend_locals(restored)),
        ]

    def _require_arguments(self, description, given: list[str]) -> None:
        for argument in description.get_launch_arguments():
            optional = argument._conditionally_included or argument.default_value is not None
            if not optional and argument.name not in given:
                raise RuntimeError(
                    f"Included launch description missing required argument '{argument.name}' "
                    f"(description: '{argument.description}'), given: [{', '.join(given)}]"
                )
