"""Training one configuration inside an energy window."""
