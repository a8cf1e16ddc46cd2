"""One file for ONNX Runtime: the plain decoder as a graph, for batches and texts of any length."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch.export import Dim

from gemini_workshop.checkpoint import Checkpoint, restore_weights
from gemini_workshop.config import ModelConfig
from gemini_workshop.data.tokenizers import start_ids, stop_ids
from gemini_workshop.errors import CheckpointError, ConfigError, WorkshopError
from gemini_workshop.files import check_target, write_atomically
from gemini_workshop.models.transformer import Transformer

MOST_BYTES = 2**31 - 2**20  # what fits into one file of this format
CLOSE = 1e-4  # of a logit: float32, summed in another order


def export_onnx(checkpoint: Checkpoint, path: Path) -> None:
    """Write the file, after its logits were compared with the model's.

    The graph takes ``input_ids`` [batch, tokens] and returns ``logits`` [batch, tokens, vocabulary], in float32. Its
    metadata name the ids that a text begins with and ends at, and the longest context.

    Args:
        path: a file that does not exist yet.

    Raises:
        ConfigError: the model has experts or takes media, is too large for one file, or ONNX Runtime's logits differ.
        CheckpointError: the file exists already.
    """
    runtime = _libraries()
    config = checkpoint.config.model
    _check_expressible(config)
    if path.exists():
        raise CheckpointError(f"{path} exists already. Choose a new file, such as {path.stem}-2.onnx.")
    check_target(path)
    model = Transformer(config).eval()  # the plain one: faster functions choose their way by the length
    restore_weights(model, checkpoint)
    graph = _graph(model.float())
    facts = {
        "start_ids": json.dumps(start_ids(checkpoint.tokenizer)),
        "stop_ids": json.dumps(sorted(stop_ids(checkpoint.tokenizer))),
        "context_tokens": str(config.context_tokens),
    }
    for key, value in facts.items():
        graph.metadata_props.add(key=key, value=value)
    content = graph.SerializeToString()
    _compare(runtime, content, model)
    write_atomically(path, content)


def _libraries() -> Any:
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise WorkshopError(
            f'The package {error.name} is not installed. Install it: pip install "gemini-from-scratch[onnx]".'
        ) from None
    return onnxruntime


def _check_expressible(config: ModelConfig) -> None:
    if config.moe is not None or config.media is not None:
        part = "moe" if config.moe is not None else "media"
        raise ConfigError(
            f"A graph for ONNX cannot express {part}: its way through the model is the same for every token, and it "
            f"takes token ids alone. Export a dense model for text, or leave --format away."
        )


def _graph(model: Transformer) -> Any:
    """The decoder as a graph of ONNX."""
    if 4 * sum(weight.numel() for weight in model.parameters()) > MOST_BYTES:
        raise ConfigError("The weights take more than 2 GB in float32, the most that one ONNX file holds.")
    example = torch.zeros(2, min(17, model.config.context_tokens), dtype=torch.long)
    shapes = {"token_ids": {0: Dim("batch"), 1: Dim("tokens", max=model.config.context_tokens)}}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # what the libraries tell each other
        program = torch.export.export(model, (example,), dynamic_shapes=shapes)
        names: dict[str, Any] = {"input_names": ["input_ids"], "output_names": ["logits"]}
        exported = torch.onnx.export(program, (), dynamo=True, verbose=False, **names)
    assert exported is not None
    return exported.model_proto


@torch.no_grad()
def _compare(runtime: Any, content: bytes, model: Transformer) -> None:
    """Short and long texts must get equal logits from both."""
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    for num_rows, num_tokens in ((1, 1), (3, min(23, model.config.context_tokens)), (1, model.config.context_tokens)):
        ids = torch.randint(model.config.vocab_size, (num_rows, num_tokens), generator=generator)
        difference = float(np.abs(run_onnx(session, ids.numpy()) - model(ids).numpy()).max())
        if not difference < CLOSE:
            raise ConfigError(
                f"ONNX Runtime's logits for {num_tokens} tokens differ by {difference:.2g} from the model's, more than "
                f"{CLOSE}. Nothing was written. Try another version of onnxruntime."
            )


def run_onnx(session: Any, token_ids: Int[np.ndarray, "B T"]) -> Float[np.ndarray, "B T V"]:
    """The logits that a session of ONNX Runtime computes."""
    logits: Float[np.ndarray, "B T V"] = session.run(["logits"], {"input_ids": token_ids.astype(np.int64)})[0]
    return logits
