"""vLLM's OpenAI-compatible server with the harness's chat formats: `ochat-eval serve`."""
