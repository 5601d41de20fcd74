"""
Rigid transforms as (translation, quaternion) tuples of floats, quaternions x, y, z, w.

A lookup multiplies a handful of them: plain floats take a tenth of what small arrays take.
"""

import math

IDENTITY = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def compose(first, second):
    """Return the transform that applies `second`, then `first`."""
    x, y, z = rotate(first[1], second[0])
    a, b, c = first[0]
    return (x + a, y + b, z + c), multiply(first[1], second[1])


def invert(pose):
    """Return the inverse."""
    x, y, z, w = pose[1]
    inverse = (-x, -y, -z, w)
    x, y, z = rotate(inverse, pose[0])
    return (-x, -y, -z), inverse


def interpolate(start, end, share):
    """Return the pose at a share of the way: linear in translation, slerp in rotation."""
    translation = tuple(a + share * (b - a) for a, b in zip(start[0], end[0], strict=True))
    return translation, _slerp(start[1], end[1], share)


def multiply(first, second):
    """Return the product of two quaternions."""
    ax, ay, az, aw = first
    bx, by, bz, bw = second
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def rotate(quaternion, vector):
    """Return a vector turned by a unit quaternion."""
    x, y, z, w = quaternion
    a, b, c = vector
    # Twice the cross product of the axis part and the vector.
    p, q, r = 2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)
    return a + w * p + y * r - z * q, b + w * q + z * p - x * r, c + w * r + x * q - y * p


def normalized(quaternion):
    """Return a quaternion scaled to length 1."""
    length = math.sqrt(sum(value * value for value in quaternion))
    return tuple(value / length for value in quaternion)


def _slerp(start, end, share):
    """Return the unit quaternion at a share of the shorter way (Shoemake 1985)."""
    cosine = sum(a * b for a, b in zip(start, end, strict=True))
    sign = -1.0 if cosine < 0 else 1.0
    angle = math.acos(min(abs(cosine), 1.0))
    if angle < 1e-6:
        weights = 1.0 - share, sign * share
    else:
        weights = math.sin((1.0 - share) * angle), sign * math.sin(share * angle)
    blend = [weights[0] * a + weights[1] * b for a, b in zip(start, end, strict=True)]
    return normalized(blend)
