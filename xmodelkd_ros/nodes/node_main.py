"""What every node's `main` shares: start, spin, stop, and one line for errors of the user's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import sys

import rclpy
from rclpy._rclpy_pybind11 import RCLError, RCLInvalidROSArgsError, UnknownROSArgsError
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node

from ..errors import XModelKDError


def run_node(
    make_node: Callable[[], Node],
    args: Sequence[str] | None = None,
    make_executor: Callable[[], Executor] = SingleThreadedExecutor,
) -> int:
    """
    Run a node until it has finished, is interrupted, or fails; return its exit code.

    A node that ends by itself has a `finished` attribute, an `rclpy.task.Future`; its
    `destroy_node` is where it closes files. SIGINT and SIGTERM are an orderly end (code 0);
    an XModelKDError, at the start or in a callback, is one FATAL line and its exit code.
    """
    node: Node | None = None
    try:
        rclpy.init(args=list(args) if args is not None else None)
    except (RCLError, RCLInvalidROSArgsError, UnknownROSArgsError) as error:
        print('error: ' + str(error).replace('\n', ' '), file=sys.stderr)
        return XModelKDError.exit_code
    try:
        node = make_node()
        _spin(node, make_executor())
    except XModelKDError as error:
        get_logger(node.get_name() if node else 'xmodelkd_ros').fatal(str(error))
        return error.exit_code
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except RCLError:
        if rclpy.ok():
            raise
        return 0  # A signal has ended the middleware while a callback was using it.
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _spin(node: Node, executor: Executor) -> None:
    executor.add_node(node)
    finished = getattr(node, 'finished', None)
    try:
        if finished is None:
            executor.spin()
        else:
            executor.spin_until_future_complete(finished)
            if finished.done():
                finished.result()
    finally:
        executor.shutdown()
