"""Networks on disk: one safetensors file, the weights with a JSON header. Loading runs no code of the file."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from hbm_fast import _config, priors
from hbm_fast._validate import missing_extra
from hbm_fast.amortize.training import State
from hbm_fast.model import HierarchicalModel

FORMAT = 1
SHIPPED = Path(__file__).parent / "checkpoints"


def describe_model(model: HierarchicalModel) -> dict[str, Any]:
    """The model as plain JSON."""
    return {
        "n_categories": model.n_categories,
        "alpha": {"prior": type(model.alpha).__name__, **asdict(model.alpha)},
        "beta": {"prior": type(model.beta).__name__, **asdict(model.beta)},
    }


def model_of(description: dict[str, Any]) -> HierarchicalModel:
    """The inverse of `describe_model`: only the classes of `hbm_fast.priors` are ever made.

    Raises
    ------
    ValueError
        For a prior that this version does not know.
    """

    def prior(fields: dict[str, Any]) -> Any:
        fields = dict(fields)
        name = fields.pop("prior")
        if name not in priors.__all__:
            raise ValueError(f"the network's model has a prior {name!r} that this version does not know")
        return getattr(priors, name)(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})

    return HierarchicalModel(
        description["n_categories"], alpha=prior(description["alpha"]), beta=prior(description["beta"])
    )


def save(path: str | Path, network: nn.Module, state: State | None, header: dict[str, Any]) -> None:
    """Write a network and, where there is a state, what it takes to go on training; the header is the caller's."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    versions = {"library": _config.__version__, "stream_version": _config.STREAM_VERSION}
    if state is not None:
        tensors |= {f"optimizer.{name}": value for name, value in state.optimizer.items()}
        if state.generator is not None:
            tensors["generator"] = state.generator
        header = {
            **header,
            "state": {name: getattr(state, name) for name in ("step", "seconds", "simulator_seconds", "history")},
        }
    write(Path(path), tensors, {**versions, **header})


def restore(network: nn.Module, tensors: dict[str, Tensor], header: dict[str, Any]) -> State | None:
    """The inverse of `save`: fills the network, sets it to evaluate, and returns the state if there is one."""

    def under(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    network.load_state_dict(under("network."))
    network.eval()
    if "state" not in header:
        return None
    return State(**header["state"], generator=tensors.get("generator"), optimizer=under("optimizer."))


def write(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Save tensors and a JSON header; the file is whole or not there."""
    safetensors = _safetensors()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    metadata = {"hbm_fast": json.dumps({"format": FORMAT, **header})}
    safetensors.torch.save_file(
        {k: v.detach().cpu().contiguous() for k, v in tensors.items()}, str(partial), metadata=metadata
    )
    partial.replace(path)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header.

    Raises
    ------
    FileNotFoundError, ValueError
        Where there is no such file, it is no network of ours, or of a later format.
    """
    if not path.is_file():
        shipped = ", ".join(repr(p.stem) for p in sorted(SHIPPED.glob("*.safetensors")))
        raise FileNotFoundError(f"no network at {path}; the networks that come with hbm_fast are {shipped}")
    safetensors = _safetensors()
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            header = (file.metadata() or {}).get("hbm_fast")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    if header is None:
        raise ValueError(f"{path} holds tensors, but no network of hbm_fast (no header)")
    parsed: dict[str, Any] = json.loads(header)
    if parsed["format"] > FORMAT:
        raise ValueError(
            f"{path} has format {parsed['format']}; this version reads up to {FORMAT}: upgrade hbm-fast "
            f"(it was written by {parsed.get('library', 'a later version')})"
        )
    return tensors, parsed


def locate(name: str | Path) -> Path:
    """A shipped network by its name, or else a path."""
    shipped = SHIPPED / f"{name}.safetensors"
    if isinstance(name, str) and "/" not in name and shipped.is_file():
        return shipped
    return Path(name)


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.torch
    except ImportError as error:
        raise missing_extra("safetensors", "amortize") from error
    return safetensors
