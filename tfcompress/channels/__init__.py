"""Channel dependencies: finds channels that can only be removed together, scores them, and removes them."""
