"""What every node's `main` shares: start, spin, stop, and one line for errors of the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import contextlib
import signal
import socket
import sys
import threading

import rclpy
from rclpy._rclpy_pybind11 import RCLError, RCLInvalidROSArgsError, UnknownROSArgsError
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.utilities import remove_ros_args

from .allocator import keep_freed_memory
from ..errors import describe_missing, XModelKDError


def run_node(make_node: Callable[[], Node], args: Sequence[str] | None = None) -> int:
    """
    Run a node until it has finished, is interrupted, or fails; return its exit code.

    A node that ends by itself has a `finished` attribute, an `rclpy.task.Future`; its
    `destroy_node` is where it closes files. SIGINT and SIGTERM are an orderly end (code 0);
    an XModelKDError, at the start, in a callback or in `destroy_node`, is one FATAL line and its
    exit code.
    """
    if strange := remove_ros_args(args=args)[1:]:
        print(f'error: {strange[0]}: parameters are given as --ros-args -p <name>:=<value>; '
              'names like cameras:= are arguments of ros2 launch', file=sys.stderr)
        return XModelKDError.exit_code
    keep_freed_memory()
    # rclpy's own handlers end the middleware under the feet of callbacks and threads.
    options = SignalHandlerOptions.NO
    interrupted = Future()
    with _signals_complete(interrupted):
        try:
            rclpy.init(
                args=list(args) if args is not None else None, signal_handler_options=options)
        except (RCLError, RCLInvalidROSArgsError, UnknownROSArgsError) as error:
            print('error: ' + str(error).replace('\n', ' '), file=sys.stderr)
            return XModelKDError.exit_code
        return _run(make_node, interrupted)


def _run(make_node: Callable[[], Node], interrupted: Future) -> int:
    name = 'xmodelkd_ros'
    try:
        node = _made(make_node)
        name = node.get_name()
        try:
            _spin(node, interrupted)
        finally:
            node.destroy_node()
    except XModelKDError as error:
        get_logger(name).fatal(str(error))
        return error.exit_code
    except ModuleNotFoundError as error:
        get_logger(name).fatal(describe_missing(error))
        return XModelKDError.exit_code
    except ExternalShutdownException:
        return 0
    finally:
        rclpy.try_shutdown()
    return 0


def _made(make_node: Callable[[], Node]) -> Node:
    """Return a node; what rclpy refuses of its names and parameters is the user's to mend."""
    try:
        return make_node()
    except (RCLError, NameValidationException, ParameterException) as error:
        raise XModelKDError(' '.join(str(error).split())) from error


def _spin(node: Node, interrupted: Future) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    finished = getattr(node, 'finished', Future())
    interrupted.add_done_callback(lambda _: finished.set_result(None))
    try:
        executor.spin_until_future_complete(finished)
        if finished.done():
            finished.result()
    finally:
        executor.shutdown()


@contextlib.contextmanager
def _signals_complete(future: Future) -> Iterator[None]:
    """Let SIGINT and SIGTERM complete a future, and do nothing else, until the block ends."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    waiting = threading.Thread(
        target=lambda: reader.recv(1) and future.set_result(None), daemon=True)
    waiting.start()
    handlers = {
        number: signal.signal(number, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)
        writer.close()
        waiting.join()
        reader.close()
