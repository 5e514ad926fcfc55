"""All that is trained, one file a model, each with the methods of `Trainable`; MODELS has a builder for each name."""

from collections.abc import Callable

from torch import nn

from course_lib.models.autoencoder import Autoencoder, CodeGaussian
from course_lib.models.autoregressive import Autoregressive
from course_lib.models.classifier import Classifier
from course_lib.models.denoisers import ImageDenoiser, choose, unet_denoiser
from course_lib.models.flow import Flow
from course_lib.models.gan import GAN
from course_lib.models.gaussians import PCAGaussian
from course_lib.models.generation import generate
from course_lib.models.hvae import MarkovVAE
from course_lib.models.image_autoencoder import ImageAutoencoder, perceptual_distance
from course_lib.models.latent import LatentDenoiser, latent_denoiser
from course_lib.models.mixture import Mixture
from course_lib.models.naive_bayes import NaiveBayes
from course_lib.models.noisy_classifier import NoisyClassifier
from course_lib.models.progressive import ProgressiveGAN
from course_lib.models.protocol import (
    Loss,
    Trainable,
    check_draws,
    check_loss,
    check_protocol,
    makes_images,
    options_of,
    parts_of,
)
from course_lib.models.rbm import RBM
from course_lib.models.reader import Reader
from course_lib.models.refiner import Refiner
from course_lib.models.vae import VAE

MODELS: dict[str, Callable[..., nn.Module]] = {
    "naive-bayes": NaiveBayes, "pca-gaussian": PCAGaussian, "mixture": Mixture, "autoencoder": Autoencoder,
    "code-gaussian": CodeGaussian, "autoregressive": Autoregressive, "unet-denoiser": unet_denoiser,
    "classifier": Classifier, "vae": VAE, "markov-vae": MarkovVAE, "flow": Flow, "rbm": RBM,
    "gan": GAN, "progressive-gan": ProgressiveGAN, "refiner": Refiner,
    "reader": Reader, "image-autoencoder": ImageAutoencoder, "latent-denoiser": latent_denoiser,
    "noisy-classifier": NoisyClassifier,
}  # fmt: skip

__all__ = [
    "GAN", "MODELS", "RBM", "VAE", "Autoencoder", "Autoregressive", "Classifier", "CodeGaussian", "Flow",
    "ImageAutoencoder", "ImageDenoiser", "LatentDenoiser", "Loss", "MarkovVAE", "Mixture", "NaiveBayes",
    "NoisyClassifier", "PCAGaussian", "ProgressiveGAN", "Reader", "Refiner", "Trainable", "check_draws", "check_loss",
    "check_protocol", "choose", "generate", "latent_denoiser", "makes_images", "options_of", "parts_of",
    "perceptual_distance", "unet_denoiser",
]  # fmt: skip
