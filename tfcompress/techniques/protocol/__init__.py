"""What techniques share: what hooks are given and give back, when a schedule wants something, changes of the graph."""
