"""Is a vision model, compiled for an accelerator, right: layer by layer, image by image?"""

__version__ = "0.1.0"
