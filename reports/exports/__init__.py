"""Reports as tables, and the files that people and other programs take them away in."""
