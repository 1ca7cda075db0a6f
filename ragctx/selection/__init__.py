"""Selection: which candidates go into the prompt under a budget, and why the others do not."""
