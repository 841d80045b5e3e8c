"""Data sets held whole on the device: their sources, their splits and their batches."""
