"""Published models by name, fetched from the Hugging Face hub."""

import hashlib
from pathlib import Path

from gemini_workshop.errors import CheckpointError

FILES = ["config.json", "generation_config.json", "*.safetensors", "model.safetensors.index.json", "tokenizer*"]


def download_huggingface(
    name: str, folder: str | Path | None = None, revision: str = "main", endpoint: str | None = None
) -> Path:
    """Fetch a published model, with progress; what is here already is not fetched again, and a rest is resumed.

    Args:
        name: owner and model: ``openai-community/gpt2``.
        folder: where to; left out, the cache that all programs on this machine share.
        revision: branch, tag or commit.
        endpoint: another hub than huggingface.co, by its address.

    Returns:
        The folder for :func:`~gemini_workshop.models.huggingface.load_huggingface`.

    Raises:
        CheckpointError: there is no such model, or no network and the model is not here yet; or the sha256 of a file
            is not the one that the hub states.
    """
    from huggingface_hub import snapshot_download

    sums = _stated_sums(name, revision, endpoint)
    try:
        path = snapshot_download(
            name,
            revision=revision,
            local_dir=folder,
            endpoint=endpoint,
            allow_patterns=FILES,
            local_files_only=sums is None,
        )
    except OSError as error:
        raise CheckpointError(
            f"{name} is not on this machine, and it could not be fetched: {str(error).splitlines()[0]}. "
            "Try again with a network, or give the folder of a model that is here."
        ) from None
    for file, stated in (sums or {}).items():
        _check(Path(path, file), stated)
    return Path(path)


def _stated_sums(name: str, revision: str, endpoint: str | None) -> dict[str, str] | None:
    """The sha256 of the large files as the hub states it; None if the hub cannot be reached."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    try:
        info = HfApi(endpoint=endpoint).model_info(name, revision=revision, files_metadata=True)
    except GatedRepoError:
        raise CheckpointError(
            f"{name} is given to those who accept its licence: do so at huggingface.co/{name}, then run: hf auth login"
        ) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise CheckpointError(
            f"The hub has no model {name!r}. Give owner and name, such as openai-community/gpt2."
        ) from None
    except Exception:  # each version of the library has other errors for a network that is not there
        return None
    return {file.rfilename: file.lfs.sha256 for file in info.siblings or [] if file.lfs and file.lfs.sha256}


def _check(path: Path, stated: str) -> None:
    if not path.exists():  # a large file of another kind, which was not asked for
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != stated:
        path.resolve().unlink()
        raise CheckpointError(
            f"{path} is damaged: its sha256 is {found}, and the hub states {stated}. It was thrown away; fetch it anew."
        )
