"""The LiDAR student: trained on the feature cache, judged, adapted, exported."""
