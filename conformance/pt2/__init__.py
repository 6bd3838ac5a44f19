"""Files of torch.export, `.pt2`, from anyone: checked before torch sees them, read in a process that can do little.

`torch.export.load` runs code that a file brings along: expressions go through sympy's eval, pickles are read without
limits where the limited way fails, specifications of inputs import modules, libraries in it are loaded.
"""
