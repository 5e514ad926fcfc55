"""The networks. Lesson 08 builds the U-Net block by block."""

from course_lib.nets.blocks import Attention, Downsample, ResidualBlock, TimeEmbedding, Upsample, sinusoids
from course_lib.nets.conditional import CONDITIONS, ClassUNet, PictureUNet, TextUNet
from course_lib.nets.mlp import MLP, perceptron
from course_lib.nets.summary import Stage, receptive_field, stages, way_down
from course_lib.nets.transformer import CrossAttention, SpatialTransformer, TextEncoder
from course_lib.nets.unet import UNet
from course_lib.nets.without import ABLATIONS

__all__ = [
    "ABLATIONS", "CONDITIONS", "MLP", "Attention", "ClassUNet", "CrossAttention", "Downsample", "PictureUNet",
    "ResidualBlock", "SpatialTransformer", "Stage", "TextEncoder", "TextUNet", "TimeEmbedding", "UNet", "Upsample",
    "perceptron", "receptive_field", "sinusoids", "stages", "way_down",
]  # fmt: skip
