"""Buffer: stores transforms and answers what takes one frame to another at a time."""

import math
import threading

from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.logging import get_logger

from .exceptions import TransformException
from .frame_tree import FrameTree
from .poses import compose, normalized

DEFAULT_CACHE_TIME = Duration(seconds=10)
_NORM_TOLERANCE = 0.01


class Buffer:
    """
    Transforms of the last `cache_time`, and static ones for ever.

    With a `node` it forgets the moving ones when the node's clock jumps backwards. It may be
    used from several threads. Times are rclpy's or messages, 0 for the latest common one.
    """

    def __init__(self, cache_time=None, node=None):
        self._tree = FrameTree((cache_time or DEFAULT_CACHE_TIME).nanoseconds)
        self._changed = threading.Condition()
        if node is not None:
            threshold = JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
            )
            self.jump_handle = node.get_clock().create_jump_callback(
                threshold, post_callback=self._jumped
            )

    def __getattr__(self, name):
        """Say by name what this stand-in does not provide."""
        if name in _NOT_PROVIDED:
            raise NotImplementedError(f'tf2_ros.Buffer.{name}')
        raise AttributeError(name)

    def _jumped(self, jump):
        get_logger('tf2_buffer').warning('Detected jump back in time. Clearing tf buffer.')
        self.clear()

    def clear(self):
        """Forget all transforms but the static ones."""
        with self._changed:
            self._tree.clear()

    def set_transform(self, transform, authority):
        """Store a transform that holds at its stamp."""
        self._insert(transform, authority, static=False)

    def set_transform_static(self, transform, authority):
        """Store a transform that holds at any time."""
        self._insert(transform, authority, static=True)

    def _insert(self, message, authority, static):
        parent, child = message.header.frame_id.lstrip('/'), message.child_frame_id.lstrip('/')
        pose = _pose(message.transform)
        problem = _problem(parent, child, pose)
        if problem:
            _log(f'{problem}: ignoring transform for child_frame_id "{child}" with frame_id '
                 f'"{parent}" from authority "{authority}": {pose}')
            return
        pose = pose[0], normalized(pose[1])
        with self._changed:
            stored = self._tree.insert(child, parent, _nanoseconds(message.header.stamp), pose,
                                       static)
            self._changed.notify_all()
        if not stored:
            _log(f'TF_OLD_DATA: ignoring data from the past for frame {child} at time '
                 f'{_nanoseconds(message.header.stamp) / 1e9:.6f} from authority "{authority}"')

    def lookup_transform(self, target_frame, source_frame, time, timeout=None):
        """Return what takes points of the source frame to the target frame at a time."""
        return self._stamped(*self._wait(
            self._find, ('lookupTransform', target_frame, source_frame, _nanoseconds(time)),
            timeout,
        ), target_frame, source_frame)

    def lookup_transform_full(
        self, target_frame, target_time, source_frame, source_time, fixed_frame, timeout=None
    ):
        """Return what takes the source at one time to the target at another, by a fixed frame."""
        arguments = (
            'lookupTransform', target_frame, _nanoseconds(target_time), source_frame,
            _nanoseconds(source_time), fixed_frame,
        )
        return self._stamped(
            *self._wait(self._find_full, arguments, timeout), target_frame, source_frame
        )

    def can_transform(
        self, target_frame, source_frame, time, timeout=None, return_debug_tuple=False
    ):
        """Return whether a lookup would succeed, with the reason if a tuple is asked for."""
        arguments = 'canTransform', target_frame, source_frame, _nanoseconds(time)
        return self._possible(self._find, arguments, timeout, return_debug_tuple)

    def can_transform_full(
        self, target_frame, target_time, source_frame, source_time, fixed_frame, timeout=None,
        return_debug_tuple=False,
    ):
        """Return whether a lookup would succeed, with the reason if a tuple is asked for."""
        arguments = (
            'canTransform', target_frame, _nanoseconds(target_time), source_frame,
            _nanoseconds(source_time), fixed_frame,
        )
        return self._possible(self._find_full, arguments, timeout, return_debug_tuple)

    def _possible(self, find, arguments, timeout, with_reason):
        try:
            self._wait(find, arguments, timeout)
        except TransformException as error:
            return (False, str(error)) if with_reason else False
        return (True, '') if with_reason else True

    def _wait(self, find, arguments, timeout):
        """Return what `find` returns once it does not raise, at the latest after `timeout`."""
        seconds = timeout.nanoseconds / 1e9 if timeout else 0.0
        with self._changed:
            if seconds > 0:
                self._changed.wait_for(lambda: _succeeds(find, arguments), seconds)
            return find(*arguments)

    def _find(self, caller, target, source, stamp):
        if target != source:
            self._tree.check_name(target, f'{caller} argument target_frame')
            self._tree.check_name(source, f'{caller} argument source_frame')
        return self._tree.target_from_source(target, source, stamp)

    def _find_full(self, caller, target, target_stamp, source, source_stamp, fixed):
        for argument, name in (('target', target), ('source', source), ('fixed', fixed)):
            self._tree.check_name(name, f'{caller} argument {argument}_frame')
        fixed_from_source, _ = self._tree.target_from_source(fixed, source, source_stamp)
        target_from_fixed, stamp = self._tree.target_from_source(target, fixed, target_stamp)
        return compose(target_from_fixed, fixed_from_source), stamp

    @staticmethod
    def _stamped(pose, stamp, target, source):
        (x, y, z), (qx, qy, qz, qw) = pose
        message = TransformStamped(child_frame_id=source, transform=Transform(
            translation=Vector3(x=x, y=y, z=z), rotation=Quaternion(x=qx, y=qy, z=qz, w=qw)
        ))
        message.header.frame_id = target
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 1_000_000_000)
        return message


_NOT_PROVIDED = {
    'all_frames_as_string', 'all_frames_as_yaml', 'get_latest_common_time',
    'lookup_transform_async', 'lookup_transform_full_async', 'registration', 'transform',
    'transform_full', 'wait_for_transform_async', 'wait_for_transform_full_async',
}


def _succeeds(find, arguments):
    try:
        find(*arguments)
    except TransformException:
        return False
    return True


def _pose(transform):
    move, turn = transform.translation, transform.rotation
    return (move.x, move.y, move.z), (turn.x, turn.y, turn.z, turn.w)


def _problem(parent, child, pose):
    """Return the name of what is wrong with a transform, or None."""
    if not child:
        return 'TF_NO_CHILD_FRAME_ID'
    if not parent:
        return 'TF_NO_FRAME_ID'
    if parent == child:
        return 'TF_SELF_TRANSFORM'
    if any(map(math.isnan, pose[0] + pose[1])):
        return 'TF_NAN_INPUT'
    if not abs(sum(value * value for value in pose[1]) - 1.0) < _NORM_TOLERANCE:
        return 'TF_DENORMALIZED_QUATERNION'
    return None


def _nanoseconds(time):
    if hasattr(time, 'nanoseconds'):
        return time.nanoseconds
    return time.sec * 1_000_000_000 + time.nanosec


def _log(text):
    get_logger('tf2_buffer').warning(text)
