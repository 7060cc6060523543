"""vLLM's OpenAI-compatible server with the harness's chat formats: `python -m ochat_eval.serve`."""
