"""ragctx inside other frameworks' pipelines: exact token budgets, and placements.

- `ragctx.adapters.langchain.BudgetTransformer`: a document transformer; `ragctx[langchain]`
- `ragctx.adapters.llama_index.BudgetPostprocessor`: a node postprocessor; `ragctx[llama-index]`
- `ragctx.adapters.haystack.BudgetRanker`: a ranker component; `ragctx[haystack]`

Each gives back some of the very objects it was given, in prompt order, unchanged.
"""
