"""Parts of a model that are switched off during a run (ablation): which, where they act, what stands in their place."""
