"""ragctx inside the pipelines of other frameworks: exact token budgets, placements, an index.

- `ragctx.adapters.langchain`: `BudgetTransformer`, a document transformer, and `BudgetCompressor`,
  the same as a compressor; `ragctx[langchain]`
- `ragctx.adapters.llama_index.BudgetPostprocessor`: a node postprocessor; `ragctx[llama-index]`
- `ragctx.adapters.haystack.BudgetRanker`: a ranker component; `ragctx[haystack]`

Each returns those of its input objects that fit, unchanged, in prompt order. `IndexRetriever` in
each of the three finds the passages of a ragctx index.
"""
