"""The cockpit: sit at the lens in a browser page, beside policies that play the same episode."""
