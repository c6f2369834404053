"""One slide in, one file out: skip what is done, survive what fails, processes, summary."""
