"""One module per command; stages never import each other."""
