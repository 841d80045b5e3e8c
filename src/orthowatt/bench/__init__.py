"""Measurements and checks that `orthowatt demo` and `orthowatt bench` run."""
