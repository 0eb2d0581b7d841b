"""The Gymnasium environment, its vector version and its wrappers."""
