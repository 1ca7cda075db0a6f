"""Questions with known answers, and what becomes of them: asked in every way, scored, tested."""
