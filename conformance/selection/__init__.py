"""From what is asked for to cases."""
