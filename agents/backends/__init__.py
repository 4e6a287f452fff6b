"""Who answers: transformers, vLLM, any endpoint that speaks the OpenAI API."""
