"""Placement: the order of the chosen passages in the prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragctx.lazy import handed_on

if TYPE_CHECKING:
    from ragctx.placement.laws import Strategy as Strategy
    from ragctx.placement.loading import load_strategy as load_strategy
    from ragctx.placement.orders import PositionProfile as PositionProfile
    from ragctx.placement.orders import best_first as best_first
    from ragctx.placement.orders import best_last as best_last
    from ragctx.placement.orders import document_order as document_order
    from ragctx.placement.orders import edges as edges
    from ragctx.placement.orders import edges_end as edges_end
    from ragctx.placement.orders import middle as middle
    from ragctx.placement.strategies import STRATEGIES as STRATEGIES
    from ragctx.placement.strategies import place as place
    from ragctx.placement.strategies import register as register
else:
    __getattr__, __dir__, __all__ = handed_on(
        __name__,
        {
            "PositionProfile": "ragctx.placement.orders",
            "STRATEGIES": "ragctx.placement.strategies",
            "Strategy": "ragctx.placement.laws",
            "best_first": "ragctx.placement.orders",
            "best_last": "ragctx.placement.orders",
            "document_order": "ragctx.placement.orders",
            "edges": "ragctx.placement.orders",
            "edges_end": "ragctx.placement.orders",
            "load_strategy": "ragctx.placement.loading",
            "middle": "ragctx.placement.orders",
            "place": "ragctx.placement.strategies",
            "register": "ragctx.placement.strategies",
        },
    )
