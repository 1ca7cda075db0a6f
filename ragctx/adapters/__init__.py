"""ragctx inside the pipelines of other frameworks: exact token budgets, and placements.

- `ragctx.adapters.langchain.BudgetTransformer`: a document transformer; `ragctx[langchain]`
- `ragctx.adapters.llama_index.BudgetPostprocessor`: a node postprocessor; `ragctx[llama-index]`
- `ragctx.adapters.haystack.BudgetRanker`: a ranker component; `ragctx[haystack]`

Each returns those of its input objects that fit, unchanged, in prompt order.
"""
