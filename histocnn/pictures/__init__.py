"""Pictures of results: PNG and SVG files."""
