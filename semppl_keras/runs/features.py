"""What can be done only with packages that are not always installed."""

import dataclasses

from semppl_keras.data.images.formats import readable_formats
from semppl_keras.runs.backend import is_installed


@dataclasses.dataclass(frozen=True)
class Feature:
    """Something that needs packages.

    Args:
        name: What can be done, in a few words.
        modules: What has to be imported for it.
        install: What pip is to install where one is missing.
        image_format: The format that Pillow must be able to read, None for none: it
            may have come with it, or not.
    """

    name: str
    modules: tuple[str, ...]
    install: str
    image_format: str | None = None

    def missing(self) -> list[str]:
        """What it lacks here: modules, or what Pillow was built without."""
        lacking = [name for name in self.modules if not is_installed(name)]
        wanted = self.image_format
        if not lacking and wanted and wanted not in readable_formats():
            return [f"{wanted} in PIL"]
        return lacking


def _with(*extras: str) -> str:
    return f"'semppl_keras[{','.join(extras)}]'"


FEATURES = (
    Feature("hub:PRESET, networks of KerasHub", ("keras_hub",), _with("keras-hub")),
    Feature("backbones of KerasCV", ("keras_cv", "tensorflow"), _with("keras-cv")),
    Feature("HEIC photographs", ("pillow_heif",), _with("heif")),
    Feature("SVG drawings", ("resvg_py",), _with("svg")),
    Feature("AVIF photographs", ("PIL",), "-U pillow", image_format="AVIF"),
    Feature(
        "tfds:NAME, data sets of TensorFlow",
        ("tensorflow_datasets", "importlib_resources", "tensorflow"),
        _with("tfds", "tensorflow"),
    ),
    Feature("TFRecords, SimCLRv2's files", ("tensorflow",), _with("tensorflow")),
    Feature("export to SavedModel and LiteRT", ("tensorflow",), _with("export")),
    Feature("export to ONNX", ("tensorflow", "tf2onnx", "onnx"), _with("export")),
    Feature(
        "running what was exported", ("onnxruntime", "ai_edge_litert"), _with("serve")
    ),
    Feature(
        "label propagation over more than 20,000 images, all of them joined",
        ("faiss",),
        _with("neighbours"),
    ),
    Feature("embeddings as Parquet", ("pyarrow",), _with("parquet")),
    Feature("--log tensorboard", ("tensorboard",), "tensorboard"),
    Feature("--log wandb", ("wandb",), "wandb"),
    Feature("--log mlflow", ("mlflow",), "mlflow"),
    Feature("--print-completion", ("shtab",), _with("completion")),
)
