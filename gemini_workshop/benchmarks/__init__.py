"""Measurements that anyone can repeat: each prints one table of ratios to a peer, taken in the same run."""
