"""LiDAR and camera semantics for ROS 2."""

import os

# Two thread pools on the same cores wait for work by spinning, each at the cost of the other.
# OpenMP, which torch uses, spins for 10 ms by default: shorter, so that the player and the
# middleware get their turn. BLAS, which numpy uses, spins for longer: one thread, as its
# matrices are small here. Both are read when the libraries are loaded, which is after this.
os.environ.setdefault('GOMP_SPINCOUNT', '30000')
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
