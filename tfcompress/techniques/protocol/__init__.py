"""What the hooks of techniques are given and give back, and when a schedule wants something done."""
