"""The demo: simulated turntable, recording, learning and live poses, each in its own process."""
