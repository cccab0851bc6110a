"""Object videos: what was recorded, decoded: frames, cameras, masks."""
