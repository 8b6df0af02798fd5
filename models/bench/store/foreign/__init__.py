"""Files of other programs that measure language models, each as rows of ours: what a file does not say stays empty."""
