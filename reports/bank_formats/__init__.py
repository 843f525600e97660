"""Banks' files, each format read into the one shape of shape.py, row by row."""
