"""orthowatt."""
