"""Labelled images without a download: coloured shapes on noisy grounds, whose boxes are exact by construction."""
