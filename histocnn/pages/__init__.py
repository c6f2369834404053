"""What a browser shows: the report and the interactive heatmap."""
