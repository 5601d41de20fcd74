"""LiDAR and camera semantics for ROS 2."""

import os

# By default the threads of OpenMP spin for about 10 ms at the end of each parallel loop. Where
# cores are shared, as on a vehicle, that takes five times the CPU time of the work itself. It is
# read when torch is imported, which is after this.
os.environ.setdefault('GOMP_SPINCOUNT', '1000')
