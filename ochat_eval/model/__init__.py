"""What a model is, where its weights are, and how a conversation becomes its tokens."""
