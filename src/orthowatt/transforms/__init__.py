"""Orthogonal transforms: exact, differentiable, over any dimensions of a tensor."""
