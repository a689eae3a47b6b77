# ruff: noqa
# mypy: ignore-errors
# As thousands of public scripts are: it is the client of test_old_style_project.
import io
import json
import logging
import os
import sys

import torch
import torch.nn as nn
import torchvision.models as models
import torchvision.transforms as transforms
from PIL import Image

logger = logging.getLogger(__name__)
logger.setLevel(logging.DEBUG)
logger.addHandler(logging.StreamHandler(sys.stdout))

JSON_CONTENT_TYPE = "application/json"
JPEG_CONTENT_TYPE = "image/jpeg"


def net():
    model = models.resnet50(pretrained=True)
    for param in model.parameters():
        param.requires_grad = False
    num_features = model.fc.in_features
    model.fc = nn.Sequential(nn.Linear(num_features, 128), nn.ReLU(inplace=True), nn.Linear(128, 2))
    return model


def model_fn(model_dir):
    print("In model_fn. Model directory is -", model_dir)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = net().to(device)
    with open(os.path.join(model_dir, "model.pth"), "rb") as f:
        model.load_state_dict(torch.load(f, map_location=device))
        logger.info("Successfully loaded the model")
    model.eval()
    return model


def input_fn(request_body, content_type=JPEG_CONTENT_TYPE):
    logger.info("Deserializing the input data.")
    logger.debug(f"Request body CONTENT-TYPE is: {content_type}")
    if content_type == JPEG_CONTENT_TYPE:
        return Image.open(io.BytesIO(request_body))
    if content_type == JSON_CONTENT_TYPE:
        return Image.new("RGB", (32, 32), tuple(json.loads(request_body)["colour"]))
    raise Exception("Requested unsupported ContentType in content_type: {}".format(content_type))


def predict_fn(input_object, model):
    logger.info("In predict fn")
    test_transform = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])
    with torch.no_grad():
        return model(test_transform(input_object).unsqueeze(0))
