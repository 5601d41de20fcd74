"""Actions that change configurations and environment, group, print, or call a function."""

from __future__ import annotations

import os

from .. import logging
from ..action import Action
from ..utilities import list_of_entities, text_of


class SetLaunchConfiguration(Action):
    """Set a launch configuration."""

    def __init__(self, name, value, **kwargs) -> None:
        super().__init__(**kwargs)
        self.name, self.value = name, value

    def execute(self, context) -> None:
        """Set it."""
        value = text_of(context, self.value)
        context.launch_configurations[text_of(context, self.name)] = value


class UnsetLaunchConfiguration(Action):
    """Remove a launch configuration."""

    def __init__(self, name, **kwargs) -> None:
        super().__init__(**kwargs)
        self.name = name

    def execute(self, context) -> None:
        """Remove it, if it is set."""
        context.launch_configurations.pop(text_of(context, self.name), None)


class SetEnvironmentVariable(Action):
    """Set an environment variable for processes that start later."""

    def __init__(self, name, value, **kwargs) -> None:
        super().__init__(**kwargs)
        self.name, self.value = name, value

    def execute(self, context) -> None:
        """Set it."""
        context.environment[text_of(context, self.name)] = text_of(context, self.value)


class UnsetEnvironmentVariable(Action):
    """Remove an environment variable for processes that start later."""

    def __init__(self, name, **kwargs) -> None:
        super().__init__(**kwargs)
        self.name = name

    def execute(self, context) -> None:
        """Remove it, if it is set."""
        context.environment.pop(text_of(context, self.name), None)


class AppendEnvironmentVariable(Action):
    """Add to a list in an environment variable, at the end or in front."""

    def __init__(self, name, value, prepend=False, separator=os.pathsep, **kwargs) -> None:
        super().__init__(**kwargs)
        self.name, self.value, self.prepend, self.separator = name, value, prepend, separator

    def execute(self, context) -> None:
        """Add it."""
        name, value = text_of(context, self.name), text_of(context, self.value)
        old = context.environment.get(name)
        parts = [value] if not old else [value, old] if self.prepend else [old, value]
        context.environment[name] = text_of(context, self.separator).join(parts)


class PushLaunchConfigurations(Action):
    """Remember the launch configurations until they are popped."""

    def execute(self, context) -> None:
        """Remember."""
        context.push_scope(configurations=True, environment=False)


class PopLaunchConfigurations(Action):
    """Bring the remembered launch configurations back."""

    def execute(self, context) -> None:
        """Bring back."""
        context.pop_scope(configurations=True, environment=False)


class PushEnvironment(Action):
    """Remember the environment until it is popped."""

    def execute(self, context) -> None:
        """Remember."""
        context.push_scope(configurations=False, environment=True)


class PopEnvironment(Action):
    """Bring the remembered environment back."""

    def execute(self, context) -> None:
        """Bring back."""
        context.pop_scope(configurations=False, environment=True)


class GroupAction(Action):
    """Visit actions, by default in a scope of configurations and environment of their own."""

    def __init__(
        self, actions, *, scoped=True, forwarding=True, launch_configurations=None, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        if not forwarding:
            raise NotImplementedError('launch.actions.GroupAction(forwarding=False)')
        self._actions, self._scoped = list_of_entities(actions), scoped
        self._configurations = dict(launch_configurations or {})

    def describe_sub_entities(self) -> list:
        """Return the actions, unless a condition decides."""
        return self._actions if self.condition is None else []

    def describe_conditional_sub_entities(self) -> list:
        """Return the actions where a condition decides."""
        if self.condition is None:
            return []
        return [(f'Conditionally included by {self.describe()}', self._actions)]

    def get_sub_entities(self) -> list:
        """Return the actions with what makes their scope."""
        sets = [SetLaunchConfiguration(*item) for item in self._configurations.items()]
        actions = [*sets, *self._actions]
        if not self._scoped:
            return actions
        before = (PushLaunchConfigurations(), PushEnvironment())
        return [*before, *actions, PopEnvironment(), PopLaunchConfigurations()]

    def execute(self, context) -> list:
        """Yield the actions."""
        return self.get_sub_entities()


class LogInfo(Action):
    """Print a message."""

    def __init__(self, *, msg, **kwargs) -> None:
        super().__init__(**kwargs)
        self.msg = msg

    def execute(self, context) -> None:
        """Print it."""
        logging.get_logger('launch.user').info(text_of(context, self.msg))


class OpaqueFunction(Action):
    """Call function(context, *args, **kwargs) and visit what it returns."""

    def __init__(self, *, function, args=None, kwargs=None, **left_over_kwargs) -> None:
        super().__init__(**left_over_kwargs)
        self._function, self._args, self._kwargs = function, args or (), kwargs or {}

    def execute(self, context):
        """Call it."""
        return self._function(context, *self._args, **self._kwargs)
