"""Old name of `tfcompress.demo.networks`, from release 0.1."""

from tfcompress.demo.networks import codelab, ds_cnn, lenet5, lenet300, resnet8, tutorial

__all__ = ["codelab", "ds_cnn", "lenet5", "lenet300", "resnet8", "tutorial"]
