"""Why a transform cannot be had."""


class TransformException(Exception):  # noqa: N818
    """Base of what a lookup raises."""


class ConnectivityException(TransformException):
    """The two frames are not in one tree."""


class LookupException(TransformException):
    """A frame is not known, or the tree has a loop."""


class ExtrapolationException(TransformException):
    """The time lies outside what is stored."""


class InvalidArgumentException(TransformException):
    """A frame's name is impossible."""


class TimeoutException(TransformException):
    """The transform did not come in time."""
