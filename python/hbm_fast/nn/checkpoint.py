"""Files of networks: safetensors, the weights with a JSON header and a checksum of both.

Loading executes no code of the file. A file that is damaged or foreign is refused with a `ValueError` that names it.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from hbm_fast import _config, _files, _validate, models
from hbm_fast._optional import import_optional
from hbm_fast.nn.data import MOST_GROUPS, MOST_TOTAL
from hbm_fast.nn.training import State

Network = TypeVar("Network", bound=nn.Module)

FORMAT = 2  # 1 had no checksum
CHECKSUM = "sha256"  # field of the header


def save(path: str | Path, network: nn.Module, state: State | None, header: dict[str, Any]) -> None:
    """Write a network, its header and, where there is one, the state of its training."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    versions = {"library": _config.__version__, "stream_version": _config.STREAM_VERSION}
    if state is not None:
        tensors |= {f"optimizer.{name}": value for name, value in state.optimizer.items()}
        if state.generator is not None:
            tensors["generator"] = state.generator
        names = ("step", "seconds", "simulator_seconds", "history")
        header = {**header, "state": {name: getattr(state, name) for name in names}}
    write(Path(path), tensors, {**versions, **header})


def restore(
    path: str | Path, make: Callable[[], Network], tensors: dict[str, Tensor], header: dict[str, Any]
) -> tuple[Network, State | None]:
    """Build a network with ``make`` and load its weights; return it and the state of its training if there is one.

    The network is first built on the device "meta", which takes no memory, and compared with the tensors: so the sizes
    of a damaged header cost nothing. ValueError where the settings build no network, or one of other tensors.
    """

    def under(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    weights = {  # half precision, which keeps a file small, is for the file alone
        name: value.float() if value.dtype == torch.float16 else value for name, value in under("network.").items()
    }
    # sizes that the constructors loop over
    largest = max((max(value.shape, default=1) for value in weights.values()), default=1)
    sizes = [*header["settings"].items(), *(header["model"] or {}).items()]
    for name, value in sizes:
        looped = name in ("n_categories", "dim", "depth", "encoder_depth") and isinstance(value, int)
        if looped and value > max(largest, 256):
            raise ValueError(f"{path}: the header's {name!r} is {value}, but no tensor is longer than {largest}")
    try:
        with torch.device("meta"):
            expected = make()
    except Exception as error:
        raise ValueError(
            f"{path}: the header's fields 'model' and 'settings' build no network: {error}; "
            f"settings are {header['settings']!r:.200}"
        ) from error
    compare(expected.state_dict(), weights, f"{path}: the header's fields 'model', 'totals' and 'settings'", "the file")
    with torch.random.fork_rng(devices=[]):
        network = make()
    network.load_state_dict(weights)
    network.eval()
    if "state" not in header:
        return network, None
    optimizer, generator = under("optimizer."), tensors.get("generator")
    if generator is not None and (generator.dtype, generator.ndim) != (torch.uint8, 1):
        raise ValueError(f"{path}: the tensor 'generator' must hold bytes; it is {generator.dtype}")
    _check_optimizer(path, optimizer, [p for p in network.parameters() if p.requires_grad])
    return network, State(**header["state"], generator=generator, optimizer=optimizer)


def compare(expected: dict[str, Tensor], found: dict[str, Tensor], who: str, other: str) -> None:
    """ValueError for weights of another architecture: it names the first tensor whose name, shape or type differs."""
    for name in sorted(expected.keys() | found.keys()):
        needed, present = (
            f"{part[name].dtype} of shape {tuple(part[name].shape)}" if name in part else "no such tensor"
            for part in (expected, found)
        )
        if needed != present:
            raise ValueError(f"{who} ask for other weights: {name!r} would be {needed}, {other} has {present}")


def write(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Save tensors and a JSON header with a checksum of both; the file is whole or not there."""
    safetensors_torch = import_optional("safetensors.torch", "amortize")
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    plain = json.loads(json.dumps({"format": FORMAT, **header}, default=_python_number))
    metadata = {"hbm_fast": json.dumps({**plain, CHECKSUM: _checksum(plain, stored)})}
    _files.write_bytes(path, safetensors_torch.save(stored, metadata=metadata))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header; ValueError for a file that is damaged, of a later format, or holds no network."""
    safetensors = import_optional("safetensors", "amortize")
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            text = (file.metadata() or {}).get("hbm_fast")
            if text is not None:
                header = _parse(path, text)
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except _Refused:
        raise
    except Exception as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    if text is None:
        raise ValueError(f"{path} holds tensors, but no network of hbm_fast (no header)")
    checksum = header.pop(CHECKSUM, None)
    if header["format"] > 1 and checksum != _checksum(header, tensors):
        raise ValueError(f"{path} is damaged: the checksum of its tensors and header is not the one in it")
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ValueError(f"{path}: the tensor {name!r} holds NaN or infinity")
    return tensors, header


class _Refused(ValueError):
    """A header that describes no network, apart from files that safetensors itself refuses."""


def _parse(path: Path, text: str) -> dict[str, Any]:
    """The header with all its fields checked: their types, and their sizes against endless loops."""

    def refuse(name: str, expected: str, cause: Exception | None = None) -> _Refused:
        found = f"it holds {header[name]!r:.100}" if name in header else "there is none"
        reason = "" if cause is None else f" ({cause})"
        return _Refused(f"{path}: the header's field {name!r} must be {expected}; {found}{reason}")

    def require(name: str, expected: str, valid: Callable[[Any], Any]) -> None:
        try:
            right = name in header and valid(header[name]) is not False
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise refuse(name, expected, error) from error
        if not right:
            raise refuse(name, expected)

    def numbers(value: Any) -> bool:
        return all(isinstance(v, int | float) for v in value.values())

    def state(value: Any) -> bool:
        names = {field.name for field in fields(State)} - {"generator", "optimizer", "ended"}
        _validate.positive_int(value["step"], "step", minimum=0)
        times = [_validate.finite_float(value[name], name) for name in ("seconds", "simulator_seconds")]
        return set(value) == names and min(times) >= 0.0 and all(numbers(point) for point in value["history"])

    def training(value: Any) -> bool:
        key = value.get("key", ["0", "0"])
        return len(key) == 2 and all(isinstance(word, str) and 0 <= int(word) < 2**64 for word in key)

    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _Refused(f"{path}: its header is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise _Refused(f"{path}: its header must be a JSON object; it is {header!r:.100}")
    require("format", "a whole number from 1", lambda value: _validate.positive_int(value, "format"))
    if header["format"] > FORMAT:
        raise _Refused(
            f"{path} has format {header['format']}; this version reads up to {FORMAT}: upgrade hbm-fast "
            f"(it was written by {header.get('library', 'a later version')!s:.40})"
        )
    if header.get("kind") != "embedding":
        require("factorization", "a name", lambda value: isinstance(value, str))
    require("model", "null, or the number of categories and the priors", lambda m: m is None or models.from_dict(m))
    require("settings", "an object", lambda value: isinstance(value, dict))
    for name, lowest, largest in (("n_groups", 1, MOST_GROUPS), ("totals", 0, MOST_TOTAL)):
        within = partial(_is_range, lowest=lowest, largest=largest)
        require(name, f"two whole numbers, low <= high, within [{lowest}, {largest}]", within)
    require("training", "an object, its key two whole numbers below 2**64", training)
    require("figures", "an object of numbers", numbers)
    if "state" in header:
        require("state", "the step, the seconds and the history of the training", state)
    return header


def _is_range(value: Any, lowest: int, largest: int) -> bool:
    return isinstance(value, list) and bool(_validate.inclusive_range(tuple(value), "it", lowest, largest))


def _python_number(value: Any) -> Any:
    """A setting that was given as a number of NumPy, in Python's own type."""
    if not isinstance(value, np.generic):
        raise TypeError(f"a setting of type {type(value).__name__} cannot be stored: {value!r:.60}")
    return value.item()


def _checksum(header: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(header).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _check_optimizer(path: str | Path, saved: dict[str, Tensor], parameters: list[nn.Parameter]) -> None:
    """Refuse an optimizer's state that does not belong to these parameters."""
    shapes = {
        f"{i}.{name}": () if name == "step" else tuple(parameter.shape)
        for i, parameter in enumerate(parameters)
        for name in ("step", "exp_avg", "exp_avg_sq")
    }
    for name, value in saved.items():
        if shapes.get(name) != tuple(value.shape):
            raise ValueError(f"{path}: the tensor 'optimizer.{name}' belongs to none of the network's parameters")
