"""What in a picture speaks for its type: Grad-CAM of a convolutional classifier, attention of a ViT.

The two methods are those of `models.matching.explanation`; Grad-CAM is of the log-probability of the type that is told.
"""

from __future__ import annotations

import torch

from calibration.image import Image
from models.embedding.backbones import VisionTransformer
from models.matching.explanation import ExplanationError, Map, class_activation, painted, rolled_out
from models.training.classification import Classifier, picture_batch


def explain_type(classifier: Classifier, crop: Image) -> Map:
    """Where a classifier sees the type it tells, (224, 224) float32 in units of the method; nothing off the coin.

    Raises
    ------
    ExplanationError
        If the network's last map is a single cell: timm's, and others on small pictures.
    """
    network, batch = classifier.network, picture_batch([crop], classifier.config)
    if isinstance(network.backbone, VisionTransformer):
        return painted(rolled_out(network.backbone, batch))
    with torch.no_grad():
        last = network.last_map(batch)
    if last.shape[-1] == 1:
        raise ExplanationError(
            f"{classifier.config.network} sees pictures of {classifier.config.picture_px} px as a single cell. "
            "Where on the coin it looks is to be told of larger ones only."
        )
    last.requires_grad_()
    told = torch.log_softmax(network.scores(last), dim=1).max()  # the type told, against the others
    (slope,) = torch.autograd.grad(told, last)
    return painted(class_activation(last.detach(), slope))
