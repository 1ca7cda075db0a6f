"""Keys and values of prompts read before, by what they begin with: a chain of blocks.

A prompt's ids are cut into blocks of `BLOCK_TOKENS`. Each block is named by a hash of all ids up to
its end, so that prompts which begin alike share their first blocks, however many were kept in
between. Whatever is found equals, id for id, what is asked for: hashes only find it.
"""

from __future__ import annotations

import hashlib
import struct
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ragctx.errors import InputError
from ragctx.generator.cache_stats import CacheStats
from ragctx.generator.kept_files import KeptFiles
from ragctx.generator.prefix import common_prefix

BLOCK_TOKENS = 64
"""Ids in a block: by hand, between the number of tensors and what the last block wastes on disk."""

Layers = tuple[tuple[Tensor, Tensor], ...]
"""Keys and values of each layer, each of shape (1, heads, tokens, width)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some ids, their keys and values, and the name of the chain of ids that they end."""

    name: str
    parent: str
    token_ids: tuple[int, ...]
    layers: Layers

    @property
    def nbytes(self) -> int:
        """Bytes of its keys and values."""
        return sum(tensor.nbytes for pair in self.layers for tensor in pair)


class KeptPrefixes:
    """Blocks in memory, never more than `max_bytes`; those used longest ago go first.

    Whole blocks are kept in `files` too, if there are any, and found there by another process.
    `model` names what keys and values depend on beside the ids. Safe to use from several threads:
    nothing that is held is ever changed.

    Raises InputError for a negative bound.
    """

    def __init__(self, max_bytes: int, *, model: str = "", files: KeptFiles | None = None) -> None:
        if max_bytes < 0:
            raise InputError(f"max_bytes is {max_bytes}; a cache needs 0 (off) or more bytes")
        self.max_bytes, self.model, self.files = max_bytes, model, files
        self._held: OrderedDict[str, Block] = OrderedDict()  # a block comes after those behind it
        self._held_bytes = self._hits = self._misses = self._evictions = 0
        self._lock = threading.Lock()

    def longest(self, token_ids: Sequence[int], *, kind: str, like: Layers = ()) -> Layers:
        """Keys and values of the longest beginning of `token_ids` that is held; () for none.

        `kind` tells apart keys that the same ids have under another rotation. `like` is what the
        model itself made of other ids: files are believed only if theirs have its shapes.
        """
        with self._lock:
            pieces = list(self._pieces(token_ids, self._root(kind), like))
        if not pieces:
            return ()
        return tuple(
            (torch.cat([k for k, _ in parts], dim=-2), torch.cat([v for _, v in parts], dim=-2))
            for parts in zip(*pieces, strict=True)
        )

    def length(self, token_ids: Sequence[int], *, kind: str) -> int:
        """How many ids `longest` would find if its files are whole. Reads and counts nothing."""
        with self._lock:
            at, length = self._root(kind), 0
            for ids in _cut(token_ids):
                name = _name(at, ids)
                if name not in self._held and not self._is_stored(name, ids):
                    return length + self._likest(at, ids)[0]
                at, length = name, length + len(ids)
            return length

    def keep(self, token_ids: Sequence[int], layers: Layers, *, kind: str) -> None:
        """Hold the keys and values of `token_ids`, as much of their beginning as fits."""
        with self._lock:
            chain = self._chain(token_ids, layers, self._root(kind))
            if self.files is not None:
                self._write(self.files, chain)
            for block in reversed(chain):  # so that a block is never dropped before those behind it
                if block.name not in self._held:
                    self._held_bytes += block.nbytes
                self._held[block.name] = self._held.pop(block.name, block)
            while self._held_bytes > self.max_bytes:
                _, oldest = self._held.popitem(last=False)
                self._held_bytes -= oldest.nbytes
                self._evictions += 1

    def clear(self) -> None:
        """Drop what is in memory; files stay."""
        with self._lock:
            self._held.clear()
            self._held_bytes = 0

    @property
    def stats(self) -> CacheStats:
        """What was found so far, and is held in memory now: blocks."""
        with self._lock:
            return CacheStats(
                hits=self._hits,
                misses=self._misses,
                evictions=self._evictions,
                held=len(self._held),
                held_bytes=self._held_bytes,
                max_bytes=self.max_bytes,
            )

    @property
    def held_tokens(self) -> int:
        """Tokens whose keys and values are in memory now."""
        with self._lock:
            return sum(len(block.token_ids) for block in self._held.values())

    # ---- the chain ---------------------------------------------------------------------------

    def _root(self, kind: str) -> str:
        return hashlib.blake2b(f"{self.model}\0{kind}".encode(), digest_size=20).hexdigest()

    def _pieces(self, token_ids: Sequence[int], at: str, like: Layers) -> Iterator[Layers]:
        """Layers of one held block after another, the last one cut to what is the same."""
        for ids in _cut(token_ids):
            name = _name(at, ids)
            held = self._held.get(name)
            self._hits += held is not None
            self._misses += held is None
            block = held or self._stored(name, at, ids, like)
            if block is None or block.token_ids != ids:
                yield from self._begun(at, ids)
                return
            yield block.layers
            at = name

    def _begun(self, parent: str, ids: tuple[int, ...]) -> Iterator[Layers]:
        """The block after `parent` that begins most like `ids`, cut where it differs."""
        length, best = self._likest(parent, ids)
        if best is not None and length:
            yield tuple((k[..., :length, :], v[..., :length, :]) for k, v in best.layers)

    def _likest(self, parent: str, ids: tuple[int, ...]) -> tuple[int, Block | None]:
        """The block after `parent` that begins most like `ids`, and how many ids are the same."""
        behind = (block for block in self._held.values() if block.parent == parent)
        return max(
            ((common_prefix(block.token_ids, ids), block) for block in behind),
            key=lambda found: found[0],
            default=(0, None),
        )

    def _chain(self, token_ids: Sequence[int], layers: Layers, at: str) -> list[Block]:
        """The first blocks of a run, as many as fit: those held, and new ones of its tensors."""
        chain: list[Block] = []
        start = nbytes = 0
        for ids in _cut(token_ids):
            name, end = _name(at, ids), start + len(ids)
            block = self._held.get(name)
            if block is None:
                # Cloned: a view would keep the whole run's tensors alive, and count for little.
                own = tuple(
                    (k[..., start:end, :].clone(), v[..., start:end, :].clone()) for k, v in layers
                )
                block = Block(name=name, parent=at, token_ids=ids, layers=own)
            nbytes += block.nbytes
            if nbytes > self.max_bytes:
                break
            chain.append(block)
            at, start = name, end
        return chain

    # ---- on disk -----------------------------------------------------------------------------

    def _stored(self, name: str, parent: str, ids: tuple[int, ...], like: Layers) -> Block | None:
        if self.files is None or not like or len(ids) < BLOCK_TOKENS:
            return None
        layers = self.files.find(name, lambda body: _deserialise(body, ids, like))
        if layers is None:
            return None
        return Block(name=name, parent=parent, token_ids=ids, layers=layers)

    def _is_stored(self, name: str, ids: tuple[int, ...]) -> bool:
        return self.files is not None and len(ids) == BLOCK_TOKENS and self.files.has(name)

    @staticmethod
    def _write(files: KeptFiles, chain: Sequence[Block]) -> None:
        """Last ones first, so that what another process needs first is the last to go."""
        whole = [block for block in reversed(chain) if len(block.token_ids) == BLOCK_TOKENS]
        files.keep_all((b.name, _serialise(b)) for b in whole if not files.touch(b.name))


def _cut(token_ids: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(token_ids), BLOCK_TOKENS):
        yield tuple(token_ids[start : start + BLOCK_TOKENS])


def _name(parent: str, ids: tuple[int, ...]) -> str:
    packed = struct.pack(f"<{len(ids)}q", *ids)
    return hashlib.blake2b(parent.encode() + packed, digest_size=20).hexdigest()


def _serialise(block: Block) -> bytes:
    from safetensors.torch import save

    tensors = {"token_ids": torch.tensor(block.token_ids)}
    for i, (keys, values) in enumerate(block.layers):
        tensors |= {f"{i}.keys": keys.cpu(), f"{i}.values": values.cpu()}
    return bytes(save(tensors))


def _deserialise(body: bytes, ids: tuple[int, ...], like: Layers) -> Layers | None:
    """Keys and values of a file; None if they are not all there, or not those of these ids."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(body)
        if tensors["token_ids"].tolist() != list(ids):
            return None
        return tuple(
            (
                _fitting(tensors[f"{i}.keys"], keys, ids),
                _fitting(tensors[f"{i}.values"], values, ids),
            )
            for i, (keys, values) in enumerate(like)
        )
    except (SafetensorError, KeyError, ValueError):
        return None


def _fitting(tensor: Tensor, like: Tensor, ids: Sequence[int]) -> Tensor:
    """`tensor` where `like` is. Raises ValueError if it differs in more than its tokens."""
    expected = (*like.shape[:-2], len(ids), like.shape[-1])
    if tensor.dtype != like.dtype or tuple(tensor.shape) != expected:
        raise ValueError(f"a tensor of shape {tuple(tensor.shape)}, and {expected} is expected")
    return tensor.to(like.device)
