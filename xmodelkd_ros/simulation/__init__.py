"""A small drivable world: clouds, images, labels, ids and poses."""
