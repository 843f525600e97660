"""Reports that a worker loads: asked for with their file, done under a lease, with progress."""
