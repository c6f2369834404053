"""Where on a slide: tissue, ink and annotations as masks and polygons."""
