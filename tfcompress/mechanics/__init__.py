"""The mechanism: weights read through transforms, activation ranges behind operations, and the graph they lie on."""
