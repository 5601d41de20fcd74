"""Pictures for people: overlays and bird's-eye views."""
