"""One submission under examination: the attempt that runs it, and what checks hold in their hands."""
