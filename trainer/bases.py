"""What continual runs start from: base runs of this trainer's own models, and checkpoints of others."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.files import content_hash, derived_seed
from trainer.settings import PLACE, settings_of
from trainer.sizes import Size
from trainer.training import Training, is_whole, raise_faults

if TYPE_CHECKING:
    from trainer.pretrained import Pretrained


@dataclass(frozen=True)
class BaseSpec:
    """A base model: pre-trained on the general corpus only.

    Args:
        width: the dial of ``sizes.Size``.
        vocab: vocabulary in tokens.
        general: name of the general corpus.
        general_data: key of its tokenizer, split and packed rows.
        seed: seed of weights and data order.
        training: how it is trained.
    """

    width: int
    vocab: int
    general: str
    general_data: str
    seed: int
    training: Training

    def __post_init__(self) -> None:
        faults = [] if is_whole(self.seed, 0) else [f"seed: expected a whole number, got {self.seed!r}"]
        try:
            Size(self.width)
        except ValueError as error:
            faults.append(str(error))
        raise_faults("base run", faults)

    @property
    def size(self) -> Size:
        """Width, depth and parameter counts."""
        return Size(self.width)

    @property
    def run_id(self) -> str:
        """Readable prefix and hash of all settings."""
        return f"base-w{self.width}-s{self.seed}-{content_hash(settings_of(self))[:10]}"

    @property
    def key(self) -> int:
        """What a study calls it."""
        return self.width

    @property
    def label(self) -> str:
        """Its part of the id of a run."""
        return f"w{self.width}"

    @property
    def length(self) -> int:
        """Positions in a row, in tokens."""
        return self.training.length

    @property
    def flops(self) -> float:
        """Training FLOPs of the run."""
        return float(self.size.flops_per_token(self.vocab)) * self.training.tokens

    @property
    def parent(self) -> None:
        """A base starts from nothing."""
        return None

    @property
    def stream_seed(self) -> int:
        """Seed of the data order."""
        return derived_seed("base", self.width, self.seed)


@cache
def describe(folder: str) -> Pretrained:
    """What the checkpoint in a folder is; read once in a process.

    Raises:
        ValueError: if there is no checkpoint that can be trained.
    """
    # Imported here, because a study without checkpoints need not load PyTorch to be read.
    from trainer.pretrained import describe_pretrained

    return describe_pretrained(Path(folder))


@dataclass(frozen=True)
class CheckpointSpec:
    """A checkpoint in the Hugging Face layout, trained by someone else.

    Args:
        name: what the study calls it.
        folder: where it lies; of no account for the id of a run.
        identity: of config and weights.
        vocab: rows of its embedding.
        general: name of the general corpus.
        general_data: key of its tokenizer, split and packed rows.
        length: positions in a row, in tokens.
    """

    name: str
    folder: str = field(metadata=PLACE)
    identity: str
    vocab: int
    general: str
    general_data: str
    length: int
    seed: int = 0

    def __post_init__(self) -> None:
        longest = self.size.longest
        if longest is not None and self.length > longest:
            raise ValueError(
                f"checkpoint {self.name}: rows of {self.length} tokens, but it has positions for {longest}"
            )

    @property
    def size(self) -> Pretrained:
        """Its parameter counts."""
        return describe(self.folder)

    @property
    def key(self) -> str:
        """What a study calls it."""
        return self.name

    @property
    def label(self) -> str:
        """Its part of the id of a run."""
        return self.name

    @property
    def run_id(self) -> str:
        """Readable prefix and hash of what it is."""
        return f"checkpoint-{self.name}-{content_hash(settings_of(self))[:10]}"

    @property
    def stream_seed(self) -> int:
        """Nobody knows in which order it read its data."""
        raise ValueError(f"checkpoint {self.name}: the order in which it read its data is not known")


Base = BaseSpec | CheckpointSpec
