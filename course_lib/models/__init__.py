"""Models beside the diffusion ones. Each is an nn.Module whose forward(batch) is its loss."""

from course_lib.models.classifier import Classifier

__all__ = ["Classifier"]
