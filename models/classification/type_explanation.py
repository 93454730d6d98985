"""Where on a coin a classifier sees its type: Grad-CAM of a convolutional classifier, attention of a ViT.

The two methods are those of `models.explanation.maps`; Grad-CAM is of the log-probability of the predicted type.
"""

from __future__ import annotations

import torch

from calibration.image import Image
from models.classification.classification import Classifier, image_batch
from models.embedding.backbones import VisionTransformer
from models.explanation.last_map import ExplanationError
from models.explanation.maps import class_activation, roll_out_attention
from models.explanation.places import Map, paint_map


def explain_type(classifier: Classifier, crop: Image) -> Map:
    """Where a classifier sees the type it predicts, (224, 224) float32 in units of the method; nothing off the coin.

    Raises
    ------
    ExplanationError
        If the network's last map is a single cell: timm's, and others on small images.
    """
    network, batch = classifier.network, image_batch([crop], classifier.config)
    if isinstance(network.backbone, VisionTransformer):
        return paint_map(roll_out_attention(network.backbone, batch))
    with torch.no_grad():
        last = network.last_map(batch)
    if last.shape[-1] == 1:
        raise ExplanationError(
            f"{classifier.config.network} sees images of {classifier.config.picture_px} px as a single cell. "
            "Where on the coin it sees the type can be drawn for larger images only."
        )
    last.requires_grad_()
    predicted = torch.log_softmax(network.scores(last), dim=1).max()  # the predicted type, against the others
    (slope,) = torch.autograd.grad(predicted, last)
    return paint_map(class_activation(last.detach(), slope))
