"""YOLOv13, written from its paper (arXiv 2506.17733); none of the authors' code is in it, nor will their weights fit.

What the paper leaves open, and what was chosen, stands in the docstring of each module.
"""
