"""Payment files and what comes back: one module a format, pure, from typed values to bytes and back."""
