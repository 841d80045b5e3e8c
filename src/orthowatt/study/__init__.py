"""Studies: variants × seeds, interleaved, resumable; it knows configurations and records only."""
